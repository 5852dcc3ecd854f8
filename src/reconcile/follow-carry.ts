import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { keyOnly } from '../databases/plan/restore.ts'
import type { KeyCells, LedgerEntry, Row, Transaction, WholePrintedRow } from '../databases/port.ts'
import { fullName, type IdentityState, type Table } from '../databases/schema.ts'
import { cellsNamed } from './columns.ts'
import { stateText } from './difference.ts'
import { keyText, RowReader } from './fingerprint.ts'
import { type FollowedTable, type FollowOptions, type FollowPlan, isAhead, isNewborn, type Link } from './follow-tables.ts'
import { existing } from './rows-by-key.ts'

/** What became of newborn rows: keys as `keyText`. */
export interface Carried {
  readonly inserted: readonly string[]
  /** On the target already, as they are on the source. */
  readonly there: readonly string[]
  /** For the full pass: collisions, merges, refusals. */
  readonly left: readonly string[]
  /** Rows whose parent isn't there yet: perhaps at the next look. */
  readonly waiting: readonly string[]
}

/** What is known of rows that were carried: by this follower, and by what the ledger says. */
export interface Known {
  /** `true` where the row stands on the target under the same key because it was carried; `false` where the full pass did else with it. */
  isCarried(table: string, key: string): Promise<boolean | undefined>
}

/** What is the fault of a row, and stops no other: nothing of its transaction is kept. */
const REFUSED: ReadonlySet<string> = new Set(['database-statement-failed', 'row-written-differs', 'value-not-storable'])

const NOTHING: Carried = { inserted: [], there: [], left: [], waiting: [] }

export const together = (parts: readonly Carried[]): Carried => ({
  inserted: parts.flatMap((part) => part.inserted),
  there: parts.flatMap((part) => part.there),
  left: parts.flatMap((part) => part.left),
  waiting: parts.flatMap((part) => part.waiting),
})

/**
 * Inserts newborn rows of one table with their ledger entries, in one transaction, where nothing speaks against it: no row with their
 * key or natural key is there, their parents are, and their numbers are behind the target's. All else is left to the full pass: nothing
 * is parked, updated or given another number here. Throws what may be tried again with nothing written.
 */
export class FollowCarrier {
  readonly #options: FollowOptions
  readonly #plan: FollowPlan
  readonly #known: Known
  readonly #states: readonly IdentityState[]

  /** `states`: the numberings of the target as they stand now. */
  constructor(options: FollowOptions, plan: FollowPlan, known: Known, states: readonly IdentityState[]) {
    this.#options = options
    this.#plan = plan
    this.#known = known
    this.#states = states
  }

  async carry(table: FollowedTable, keys: readonly KeyCells[]): Promise<Carried> {
    const rows = await table.printer.rows(this.#options.source, table.source, table.printing.source, keys)
    const reader = new RowReader(table.source)
    const ordered = keys.flatMap((key) => rows.find((each) => reader.key(each.row) === keyText(key)) ?? [])
    const early = ordered.filter(({ row }) => !isAhead(table.target, row, this.#states))
    const adopted = await this.#withParents(table, early)
    const textOf = ({ row }: WholePrintedRow): string => reader.key(row)
    const ready = new Set(adopted)
    return together([
      {
        ...NOTHING,
        left: ordered.filter((each) => !early.includes(each)).map(textOf),
        waiting: early.filter((each) => !ready.has(each)).map(textOf),
      },
      await this.#insertAll(table, adopted),
    ])
  }

  /** The rows whose every parent stands on the target and is the one that it is on the source. */
  async #withParents(table: FollowedTable, rows: readonly WholePrintedRow[]): Promise<readonly WholePrintedRow[]> {
    let ready = rows
    for (const link of table.links) {
      if (link.key === undefined || ready.length === 0) continue
      const names = link.key
      const parentOf = ({ row }: WholePrintedRow): KeyCells | undefined => referred(table.source, row, names, link)
      const wanted = new Map(ready.flatMap((each) => entryOf(parentOf(each))))
      const there = await this.#present(link, [...wanted.values()])
      // Rows of the table itself may come together, the earlier ones first, where the server itself refuses one whose parent is refused.
      const own = link.parent === table.name && link.enforced
      const kept: WholePrintedRow[] = []
      const coming = new Set<string>()
      const reader = new RowReader(table.source)
      for (const each of ready) {
        const parent = parentOf(each)
        if (parent !== undefined && !there.has(keyText(parent)) && !(own && coming.has(keyText(parent)))) continue
        kept.push(each)
        coming.add(reader.key(each.row))
      }
      ready = kept
    }
    return ready
  }

  /** Of these parents, those that are on the target the rows that they are on the source: older than the baseline's end, or carried. */
  async #present({ parent, parentTable }: Link, keys: readonly KeyCells[]): Promise<ReadonlySet<string>> {
    const known: string[] = []
    for (const key of keys) {
      const carried = await this.#known.isCarried(parent, keyText(key))
      if (carried ?? !isNewborn(this.#plan.ends, parent, key)) known.push(keyText(key))
    }
    return await existing(this.#options.target, keyOnly(parentTable), known)
  }

  /** All at once; where the target refuses one of them, each by itself, and what is refused then is left. */
  async #insertAll(table: FollowedTable, rows: readonly WholePrintedRow[]): Promise<Carried> {
    if (rows.length === 0) return NOTHING
    try {
      return await this.#insert(table, rows)
    } catch (error) {
      if (!(error instanceof MigrateError) || !REFUSED.has(error.code)) throw error
      if (rows.length === 1) return { ...NOTHING, left: rows.map(({ key }) => keyText(key)) }
    }
    const parts: Carried[] = []
    for (const row of rows) parts.push(await this.#insertAll(table, [row]))
    return together(parts)
  }

  #insert(table: FollowedTable, rows: readonly WholePrintedRow[]): Promise<Carried> {
    const { target, printer, printing } = table
    return this.#options.target.transaction([target], async (transaction) => {
      const locked = await printer.lock(
        transaction,
        target,
        printing.target,
        rows.map(({ key }) => key),
      )
      const standing = new Map(locked.map((each) => [keyText(each.key), each.print]))
      const absent = rows.filter(({ key }) => !standing.has(keyText(key)))
      const twins = await this.#twins(transaction, table, absent)
      const born = absent.filter((each) => !twins.has(each))
      if (born.length > 0) {
        await transaction.insert(
          target,
          born.map(({ row }) => row),
        )
        await transaction.ledger(await this.#entries(transaction, table, born))
      }
      const texts = (some: readonly WholePrintedRow[]): readonly string[] => some.map(({ key }) => keyText(key))
      const same = rows.filter(({ key, print }) => standing.get(keyText(key)) === print)
      const other = rows.filter(({ key, print }) => standing.has(keyText(key)) && standing.get(keyText(key)) !== print)
      return { inserted: texts(born), there: texts(same), left: texts([...other, ...twins]), waiting: [] }
    })
  }

  /** Rows whose natural key the target has already: the same thing, which the full pass merges. */
  async #twins(
    transaction: Transaction,
    { source, target, match }: FollowedTable,
    rows: readonly WholePrintedRow[],
  ): Promise<ReadonlySet<WholePrintedRow>> {
    const asked = rows.filter(({ row }) => match.length > 0 && !cellsNamed(source, row, match).includes(null))
    if (asked.length === 0) return new Set()
    const found = await transaction.find(
      target,
      match,
      asked.map(({ row }) => cellsNamed(source, row, match)),
    )
    // The server may take 'Ann' and 'ann' for one: with any of them there, none of these is carried now.
    return found.length === 0 ? new Set() : new Set(asked)
  }

  /** Read back as they stand now: what was carried is what was read, or nothing is kept. */
  async #entries(
    transaction: Transaction,
    { name, target, printer, printing }: FollowedTable,
    rows: readonly WholePrintedRow[],
  ): Promise<readonly LedgerEntry[]> {
    const written = await printer.lock(
      transaction,
      target,
      printing.target,
      rows.map(({ key }) => key),
    )
    const byKey = new Map(written.map((each) => [keyText(each.key), each]))
    return rows.map((row) => {
      const key = keyText(row.key)
      const there = byKey.get(key)
      if (there?.print !== row.print) throw notAsWritten(target, key, this.#options.target.label)
      const { run, clock } = this.#options
      const [sourceState, targetState] = [stateText(row), stateText(there)]
      return {
        run,
        table: name,
        sourceKey: key,
        targetKey: key,
        action: 'inserted',
        sourceState,
        targetState,
        at: isoTime(clock.now()),
      }
    })
  }
}

const entryOf = (key: KeyCells | undefined): readonly (readonly [string, KeyCells])[] =>
  key === undefined ? [] : [[keyText(key), key]]

/** The parent's key; `undefined` where the row refers to none. Without a foreign key, shops write 0 or nothing for that. */
function referred(table: Table, row: Row, names: readonly string[], { enforced }: Link): KeyCells | undefined {
  const key = cellsNamed(table, row, names)
  if (key.includes(null)) return undefined
  return !enforced && key.every((cell) => cell === '0' || cell === '') ? undefined : key
}

const notAsWritten = (table: Table, key: string, label: string): MigrateError =>
  new MigrateError(
    'row-written-differs',
    `Row ${key} of ${fullName(table.name)}, read back from the ${label}, isn't what was written there. It was taken back.`,
    { hint: 'Something on that host changes rows as they are written. The full pass says more:  migrate reconcile PLAYBOOK' },
  )
