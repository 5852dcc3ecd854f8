import { MigrateError } from '../base/errors.ts'
import { canonicalContent } from './names.ts'
import type { DnsRecord, RecordChange } from './port.ts'
import { CLASSES, encodeData, type MessageParts, TYPES, type WireRecord } from './rfc2136-wire.ts'
import { counterpart } from './standing.ts'

type RecordType = DnsRecord['type']

/** The records of one name and type: DNS keeps them together, with one TTL (RFC 2181, 5). */
interface RecordSet {
  readonly name: string
  readonly type: RecordType
  readonly now: readonly DnsRecord[]
  readonly next: readonly DnsRecord[]
}

/**
 * One update message for all changes (RFC 2136, 2.4 and 2.5): the server makes it as a whole, and only if every touched set of records
 * still has exactly the values in `current`. Nothing is named in it but these sets. Throws MigrateError `dns-failed` for TTLs that
 * can't stand together.
 */
export function updateOf(
  zone: string,
  changes: readonly RecordChange[],
  current: readonly DnsRecord[],
): Omit<MessageParts, 'id'> {
  const sets = touched(changes, current)
  for (const set of sets) refuseMixedTtls(set)
  return {
    opcode: 'update',
    question: { name: zone, type: TYPES.SOA },
    answers: sets.flatMap((set) => [...asSeen(set), ...withoutRivals(set)]),
    authorities: [...sets.flatMap(removals), ...sets.flatMap(additions)],
  }
}

function touched(changes: readonly RecordChange[], current: readonly DnsRecord[]): readonly RecordSet[] {
  const sets = new Map<string, RecordSet>()
  const change = ({ name, type }: DnsRecord, work: (records: readonly DnsRecord[]) => readonly DnsRecord[]): void => {
    const now = current.filter((record) => record.name === name && record.type === type)
    const set = sets.get(`${name} ${type}`) ?? { name, type, now, next: now }
    sets.set(`${name} ${type}`, { ...set, next: work(set.next) })
  }
  for (const { before, after } of changes) {
    if (before !== null) change(before, (records) => records.filter((record) => record !== counterpart(before, records)))
    if (after !== null) change(after, (records) => [...records, after])
  }
  return [...sets.values()]
}

/** RFC 2136, 2.4.2 (exactly these values; TTLs aren't compared) and 2.4.3 (no such records). */
const asSeen = ({ name, type, now }: RecordSet): readonly WireRecord[] =>
  now.length === 0 ? [absent(name, type)] : now.map((record) => wire(record, CLASSES.IN, 0))

/** A server passes over an added CNAME beside other records, and the other way round, without a word (RFC 2136, 3.4.2.2). */
function withoutRivals({ name, type, now, next }: RecordSet): readonly WireRecord[] {
  if (now.length > 0 || next.length === 0) return []
  return type === 'CNAME' ? [absent(name, 'A'), absent(name, 'AAAA')] : [absent(name, 'CNAME')]
}

export const absent = (name: string, type: RecordType): WireRecord => ({
  name,
  type: TYPES[type],
  class: CLASSES.NONE,
  ttl: 0,
  data: Buffer.alloc(0),
})

/** A new TTL is an old record taken away and a new one added: Knot passes over the addition of what is there already, whatever its TTL. */
const removals = ({ now, next }: RecordSet): readonly WireRecord[] =>
  now.filter((record) => !next.some(stays(record))).map((record) => wire(record, CLASSES.NONE, 0))

const additions = ({ now, next }: RecordSet): readonly WireRecord[] =>
  next.filter((record) => !now.some(stays(record))).map((record) => wire(record, CLASSES.IN, record.ttlSeconds))

const stays =
  (record: DnsRecord) =>
  (other: DnsRecord): boolean =>
    sameData(record, other) && record.ttlSeconds === other.ttlSeconds

const sameData = (a: DnsRecord, b: DnsRecord): boolean =>
  canonicalContent(a.type, a.content) === canonicalContent(b.type, b.content)

export const wire = (
  { name, type, content }: Pick<DnsRecord, 'name' | 'type' | 'content'>,
  recordClass: number,
  ttl: number,
): WireRecord => ({
  name,
  type: TYPES[type],
  class: recordClass,
  ttl,
  data: encodeData(type, canonicalContent(type, content)),
})

function refuseMixedTtls({ name, type, next }: RecordSet): void {
  const ttls = [...new Set(next.map((record) => record.ttlSeconds))]
  if (ttls.length < 2) return
  throw new MigrateError(
    'dns-failed',
    `The ${type} records of ${name} would get different TTLs (${ttls.join(', ')} s); in DNS they share one. Nothing was changed.`,
    { hint: 'Change all of them together.' },
  )
}
