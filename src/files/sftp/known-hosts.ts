import { createHash, createHmac } from 'node:crypto'

/** What known_hosts says of a host's key. */
export type KeyVerdict =
  | { readonly verdict: 'known' }
  | { readonly verdict: 'unknown' }
  | { readonly verdict: 'changed'; readonly line: number }
  | { readonly verdict: 'revoked'; readonly line: number }

interface KnownLine {
  readonly line: number
  readonly revoked: boolean
  readonly hosts: string
  readonly keyType: string
  readonly key: string
}

/** `SHA256:…` as OpenSSH prints it: the key's hash in base64 without padding. */
export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

/** The type that a public key blob begins with (RFC 4253, section 6.6): `ssh-ed25519`, `ssh-rsa`, … */
export function keyType(key: Buffer): string {
  if (key.length < 4) return ''
  const length = key.readUInt32BE(0)
  return key.toString('latin1', 4, 4 + length)
}

/**
 * Judges a key by the text of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): patterns with `*`, `?` and `!`, hashed
 * names, ports as `[host]:port`, `@revoked`. Lines of certificate authorities are passed over. A host that is known with keys of
 * other types only counts as changed, as OpenSSH has it.
 */
export function judgeKey(knownHosts: string, host: string, port: number, key: Buffer): KeyVerdict {
  const encoded = key.toString('base64')
  const lines = linesOf(knownHosts)
  const revoked = lines.find((line) => line.revoked && line.key === encoded && hostMatches(line.hosts, host, port))
  if (revoked !== undefined) return { verdict: 'revoked', line: revoked.line }
  const mine = lines.filter((line) => !line.revoked && hostMatches(line.hosts, host, port))
  if (mine.some((line) => line.key === encoded)) return { verdict: 'known' }
  const other = mine.find((line) => line.keyType === keyType(key)) ?? mine[0]
  return other === undefined ? { verdict: 'unknown' } : { verdict: 'changed', line: other.line }
}

/** The key types by which a host is known, so that the server can be asked for one of these. */
export function knownKeyTypes(knownHosts: string, host: string, port: number): readonly string[] {
  const mine = linesOf(knownHosts).filter((line) => !line.revoked && hostMatches(line.hosts, host, port))
  return [...new Set(mine.map((line) => line.keyType))]
}

function linesOf(text: string): readonly KnownLine[] {
  return text.split('\n').flatMap((raw, index) => {
    const fields = raw.trim().split(/\s+/)
    if (fields[0] === undefined || fields[0] === '' || fields[0].startsWith('#')) return []
    const marker = fields[0].startsWith('@') ? fields.shift() : undefined
    if (marker === '@cert-authority') return []
    const [hosts, type, key] = fields
    if (hosts === undefined || type === undefined || key === undefined) return []
    return [{ line: index + 1, revoked: marker === '@revoked', hosts, keyType: type, key }]
  })
}

function hostMatches(patterns: string, host: string, port: number): boolean {
  const name = (port === 22 ? host : `[${host}]:${port}`).toLowerCase()
  if (patterns.startsWith('|')) return hashedMatches(patterns, name)
  let matched = false
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!')
    if (!wildcard(negated ? pattern.slice(1) : pattern).test(name)) continue
    if (negated) return false
    matched = true
  }
  return matched
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, keyed with the salt, both in base64. */
function hashedMatches(field: string, name: string): boolean {
  const [, version, salt, hash] = field.split('|')
  if (version !== '1' || salt === undefined || hash === undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${escaped}$`)
}
