import { MigrateError } from '../base/errors.ts'
import { describeChange } from './diff.ts'
import { canonicalContent } from './names.ts'
import type { DnsRecord, RecordChange } from './port.ts'

/**
 * How strictly TTLs are compared. `exact`: they are part of the record. `by-hand`: a person sets them in a form that may not offer
 * the wanted number, so a change of content stands with any TTL, and a change of TTL stands when it went the wanted way.
 */
export type TtlRule = 'exact' | 'by-hand'

/** The change that takes `change` back. */
export const inverse = ({ before, after }: RecordChange): RecordChange => ({ before: after, after: before })

/**
 * The changes that don't stand yet, judged by what the provider says now. Throws MigrateError `dns-record-changed` when neither
 * `before` nor `after` of one stands: somebody else was there. Pure; every provider's `apply` starts with it.
 */
export function outstanding(
  changes: readonly RecordChange[],
  current: readonly DnsRecord[],
  rule: TtlRule = 'exact',
): readonly RecordChange[] {
  return changes.filter((change) => {
    const state = stateOf(change, current, rule)
    if (state === 'foreign') throw changedMeanwhile(change, current)
    return state === 'before'
  })
}

function stateOf(change: RecordChange, current: readonly DnsRecord[], rule: TtlRule): 'before' | 'after' | 'foreign' {
  const { before, after } = change
  const find = (wanted: DnsRecord): boolean => stands(wanted, counterpart(wanted, current), change, rule)
  if (before === null) return after === null || find(after) ? 'after' : sameData(after, current) ? 'foreign' : 'before'
  if (after === null) return find(before) ? 'before' : counterpart(before, current) === undefined ? 'after' : 'foreign'
  if (find(after)) return 'after'
  return find(before) ? 'before' : 'foreign'
}

/** A record of the same name, type and content that isn't the wanted one (its TTL or proxying differs) is somebody else's. */
const sameData = (wanted: DnsRecord, current: readonly DnsRecord[]): boolean =>
  current.some((record) => equalData(record, wanted))

const equalData = (a: DnsRecord, b: DnsRecord): boolean =>
  a.name === b.name && a.type === b.type && canonicalContent(a.type, a.content) === canonicalContent(b.type, b.content)

/** The provider's record that a planned one speaks of: by its handle, else by what it says (a record deleted and made again). */
export const counterpart = (wanted: DnsRecord, current: readonly DnsRecord[]): DnsRecord | undefined =>
  current.find((record) => wanted.id !== null && record.id === wanted.id) ?? current.find((record) => equalData(record, wanted))

function stands(wanted: DnsRecord, found: DnsRecord | undefined, { before, after }: RecordChange, rule: TtlRule): boolean {
  if (found === undefined || !equalData(found, wanted) || found.proxied !== wanted.proxied) return false
  if (rule === 'exact') return found.ttlSeconds === wanted.ttlSeconds
  if (before === null || after === null || !equalData(before, after) || wanted === before) return true
  // Forms have a smallest TTL to offer, so lower is low enough; nothing keeps a person from putting the old one back.
  return after.ttlSeconds < before.ttlSeconds ? found.ttlSeconds < before.ttlSeconds : found.ttlSeconds >= after.ttlSeconds
}

function changedMeanwhile(change: RecordChange, current: readonly DnsRecord[]): MigrateError {
  const name = (change.before ?? change.after)?.name ?? ''
  const now = current
    .filter((record) => record.name === name)
    .map((record) => `${record.type} ${record.content} ttl=${record.ttlSeconds}`)
  return new MigrateError(
    'dns-record-changed',
    `Somebody else changed ${name} meanwhile. Planned: ${describeChange(change)}. It now says: ${now.join(', ') || 'nothing'}. None of the planned changes was made.`,
    {
      hint: 'Find out who changed it (colleague, other tool, the DNS panel). Then run again: the plan is made anew from what stands.',
    },
  )
}

/** The names that these changes are about, each once. */
export const namesIn = (changes: readonly RecordChange[]): readonly string[] => [
  ...new Set(changes.flatMap(({ before, after }) => [before, after].flatMap((record) => (record === null ? [] : [record.name])))),
]

/**
 * Reads a zone for one provider, and knows whether changes were sent whose outcome nobody knows yet: then an error while reading says
 * so, since what it says of the zone ("nothing was changed") is true of the reading alone.
 */
export class ReadBack {
  readonly #zone: string
  #isOpen = false

  constructor(zone: string) {
    this.#zone = zone
  }

  /** Changes went out, and nobody knows what came of them. */
  sent(): void {
    this.#isOpen = true
  }

  /** What stands is known again, or the changes were refused. */
  settled(): void {
    this.#isOpen = false
  }

  async read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.#isOpen && error instanceof MigrateError ? unknownOutcome(this.#zone, error) : error
    }
  }
}

const unknownOutcome = (zone: string, cause: MigrateError): MigrateError =>
  new MigrateError(
    cause.code,
    `The changes to ${zone} were sent, and whether they were made couldn't be read back: ${cause.message.replace(/ Nothing was changed\.$/, '')}`,
    {
      hint: `${cause.hint ?? 'Run again.'} What stands by then is left alone; nothing is sent before it was read back.`,
      retrySafe: cause.retrySafe,
      cause,
    },
  )
