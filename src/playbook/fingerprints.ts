import { createHash } from 'node:crypto'
import type { Path, Source } from './source.ts'

interface Given {
  readonly fingerprint?: string | undefined
  readonly hostKey?: string | undefined
}

/** Of a certificate: SHA-256 as 64 hexadecimal digits. */
export function certificateOf({ fingerprint }: Given, path: Path, source: Source): string | undefined {
  const digits = fingerprint?.replace(/^sha-?256:/i, '').replaceAll(':', '')
  if (digits === undefined || /^[0-9a-f]{64}$/i.test(digits)) return digits
  return source.complain(
    [...path, 'fingerprint'],
    'This is no SHA-256 of a certificate.',
    'It has 64 hexadecimal digits; see  openssl s_client -starttls ftp -connect HOST:21 | openssl x509 -noout -fingerprint -sha256',
  )
}

/** Of an SSH server's key: `SHA256:…`, from either of the two ways to give it. */
export function fingerprintOf(options: Given, path: Path, source: Source): string | undefined {
  const { fingerprint, hostKey } = options
  if (fingerprint !== undefined && hostKey !== undefined) {
    source.complain([...path, 'hostKey'], `${source.name(path)} has both fingerprint and hostKey.`, 'Keep one of the two.', 'key')
  }
  if (fingerprint !== undefined) {
    if (/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(fingerprint)) return fingerprint.replace(/=$/, '')
    return source.complain(
      [...path, 'fingerprint'],
      'This is no fingerprint of a host key.',
      'It looks like SHA256:… with 43 characters; see  ssh-keyscan HOST | ssh-keygen -lf -',
    )
  }
  if (hostKey === undefined) return undefined
  const blob = /^(?:ssh|ecdsa|sk)-\S+ ([A-Za-z0-9+/]+={0,2})(?: .*)?$/.exec(hostKey.trim())?.[1]
  if (blob === undefined)
    return source.complain(
      [...path, 'hostKey'],
      'This is no host key.',
      'It looks like  ssh-ed25519 AAAA…  as ssh-keyscan prints it, without the host’s name.',
    )
  // A fingerprint is the hash of the key's binary form (RFC 4255 and ssh-keygen's -l).
  return `SHA256:${createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '')}`
}
