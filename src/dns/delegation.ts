import { createHash } from 'node:crypto'
import { canonicalName } from './names.ts'
import type { DnsAnswer, Resolver } from './port.ts'

/** What the zone above says of a zone: where resolvers begin, and by which keys they judge. */
export interface Delegation {
  readonly nameServers: readonly string[]
  /** Addresses that it gives along with the names (glue, RFC 9471). */
  readonly glue: ReadonlyMap<string, readonly string[]>
  /** DS records, `tag algorithm digestType digest`; [] also where they couldn't be had. */
  readonly ds: readonly string[]
}

/** Asks the servers of the zone above, one after the other, until one gives the delegation; `undefined` when none does. */
export async function readDelegation(
  parents: readonly Resolver[],
  zone: string,
  signal?: AbortSignal,
): Promise<Delegation | undefined> {
  for (const parent of parents) {
    const referral = await parent.query(zone, 'NS', signal)
    const all = [...referral.records, ...(referral.beside ?? [])]
    const isZone = ({ name }: { readonly name: string }): boolean => canonicalName(name) === zone
    const nameServers = all.filter((record) => record.type === 'NS' && isZone(record)).map(({ content }) => content)
    if (nameServers.length === 0) continue
    const ds = await parent.query(zone, 'DS', signal)
    return {
      nameServers: [...new Set(nameServers)].sort(),
      glue: gluesIn(all, nameServers),
      ds: ds.records.filter((record) => record.type === 'DS' && isZone(record)).map(({ content }) => content),
    }
  }
  return undefined
}

function gluesIn(records: DnsAnswer['records'], names: readonly string[]): Delegation['glue'] {
  const addresses = records.filter(({ type }) => type === 'A' || type === 'AAAA')
  const glue = names.map(
    (name) => [name, addresses.filter((each) => canonicalName(each.name) === name).map(({ content }) => content)] as const,
  )
  return new Map(glue.filter(([, found]) => found.length > 0))
}

/** Digest types with their functions (RFC 4034, A.2; RFC 4509; RFC 6605). */
const DIGESTS: Readonly<Record<string, string>> = { '1': 'sha1', '2': 'sha256', '4': 'sha384' }

/**
 * Whether one of the zone's keys is one that the zone above vouches for. `unknown`: only by digests that can't be made here.
 *
 * @param keys DNSKEY records: `flags protocol algorithm base64`
 */
export function judgeDs(zone: string, ds: readonly string[], keys: readonly string[]): 'none' | 'matches' | 'fails' | 'unknown' {
  if (ds.length === 0) return 'none'
  const known = ds.filter((each) => DIGESTS[each.split(' ')[2] ?? ''] !== undefined)
  if (known.some((each) => keys.some((key) => isOf(zone, each, key)))) return 'matches'
  return known.length < ds.length ? 'unknown' : 'fails'
}

/** Digest = hash(owner's name in canonical form | the key's RDATA) (RFC 4034, 5.1.4). */
function isOf(zone: string, ds: string, key: string): boolean {
  const [, algorithm, digestType = '', digest = ''] = ds.split(' ')
  const [flags, protocol, keyAlgorithm, base64 = ''] = key.split(' ')
  const hash = DIGESTS[digestType]
  if (hash === undefined || algorithm !== keyAlgorithm) return false
  const head = Buffer.alloc(4)
  head.writeUInt16BE(Number(flags))
  head.writeUInt8(Number(protocol), 2)
  head.writeUInt8(Number(keyAlgorithm), 3)
  const labels = zone.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const name = Buffer.concat([...labels, Buffer.from([0])])
  const made = createHash(hash)
    .update(Buffer.concat([name, head, Buffer.from(base64, 'base64')]))
    .digest('hex')
  return made === digest.toLowerCase()
}
