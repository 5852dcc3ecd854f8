import { createPublicKey } from 'node:crypto'
import type { Lookup } from './lookup.ts'

export interface DkimKey {
  readonly selector: string
  /** `broken`: there, and not a key that a receiver could use. `revoked`: an empty key (RFC 6376, 3.6.1). */
  readonly state: 'good' | 'short' | 'revoked' | 'broken' | 'missing' | 'unknown'
  /** Of an RSA key. */
  readonly bits: number | null
  /** What is wrong. '' for a good one. */
  readonly why: string
}

/** RFC 8301, 3.2: signers use 1,024 bits at least and should use 2,048. */
const SHORT_BITS = 2048

/** The public key that a selector of the domain shows. */
export async function dkimKey(selector: string, domain: string, lookup: Lookup): Promise<DkimKey> {
  const name = `${selector}._domainkey.${domain}`
  const { state, values, status } = await lookup(name, 'TXT')
  const key = (kind: DkimKey['state'], why: string, bits: number | null = null): DkimKey => ({ selector, state: kind, bits, why })
  if (state === 'unknown') return key('unknown', `${name}: ${status}`)
  const text = values[0]
  if (text === undefined) return key('missing', `${name} has no TXT record`)
  const tags = tagsOf(text)
  if (tags.has('v') && tags.get('v') !== 'DKIM1') return key('broken', `${name} is no DKIM1 record`)
  const data = tags.get('p')?.replace(/\s/g, '')
  if (data === undefined) return key('broken', `${name} holds no p= (key)`)
  if (data === '') return key('revoked', `${name} holds an empty key: it was withdrawn`)
  const kind = tags.get('k') ?? 'rsa'
  if (kind === 'ed25519') {
    const isWhole = Buffer.from(data, 'base64').length === 32
    return isWhole ? key('good', '') : key('broken', `${name}: its ed25519 key isn't 32 bytes long`)
  }
  const bits = rsaBits(data)
  if (bits === undefined) return key('broken', `${name}: its key can't be read (cut off?)`)
  return bits < SHORT_BITS ? key('short', `${name}: ${bits} bits`, bits) : key('good', '', bits)
}

function rsaBits(base64: string): number | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyDetails?.modulusLength
  } catch {
    return undefined
  }
}

/** `a=b; c=d` (RFC 6376, 3.2). */
export function tagsOf(text: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>()
  for (const part of text.split(';')) {
    const at = part.indexOf('=')
    if (at > 0) tags.set(part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim())
  }
  return tags
}
