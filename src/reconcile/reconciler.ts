import { type Finding, MigrateError } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import { type ForeignKey, fullName, readableColumns, type Schema, type Table } from '../databases/schema.ts'
import { type ApplyOptions, carry, describeParked } from './apply.ts'
import { baselineTables } from './baseline-file.ts'
import { compareTables } from './compare.ts'
import { keyLabel } from './fingerprint.ts'
import { type ParkedRow, parkedId, readParked, writeParked } from './parked.ts'
import { type Decision, type ParkItem, Planner, type ReconcileChange, type TableTally } from './plan.ts'
import { printingFor } from './printing.ts'

export interface ReconcilerOptions {
  readonly run: string
  /** The run's folder. */
  readonly directory: string
  /** Rows are carried from the source to the target; a rollback swaps them. */
  readonly source: Database
  readonly target: Database
  /** A host's schema, read by whoever may know it already; each host's own `schema()` when absent. */
  readonly schemaOf?: (database: Database) => Promise<Schema>
  /** Which tables are reconciled, and how. */
  readonly tracked: (table: Table) => boolean
  readonly decide: (table: Table) => Decision
  readonly ignore: (table: Table) => readonly string[]
  /** Foreign keys that the playbook names, in the tables that the target has. */
  readonly references: (tables: readonly Table[]) => readonly ForeignKey[]
}

/** Rows of one table that a pass wrote, by what was done with them. */
export interface PassCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly merged: number
  readonly remapped: number
  readonly parked: number
}

export interface Proof {
  /** Rows of tracked tables on the source: all of them, those that are accounted for, and the rest. */
  readonly totals: { readonly rows: number; readonly accounted: number; readonly unaccounted: number }
  readonly tables: ReadonlyMap<string, TableTally>
}

/** Signal and progress of whoever asks. */
export interface Asking {
  readonly signal?: AbortSignal
  readonly onRows?: (rows: number, table: string) => void
}

/** A three-way merge between two live databases and what they last had in common: compared, planned, carried, proven. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #refused = new Set<string>()
  readonly #counts = new Map<string, PassCounts>()
  #apply: ApplyOptions | undefined

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** True when the run has a baseline to compare with. */
  async ready(): Promise<boolean> {
    return (await baselineTables(this.#options.directory)).size > 0
  }

  /** What is left to carry or to park, and how every row of the source stands while nothing of it is done; read-only. */
  async plan(asking: Asking): Promise<{ readonly changes: readonly ReconcileChange[]; readonly proof: Proof }> {
    const { planner, options } = await this.#compare(asking)
    const targets = [...options.tables.values()].map((pair) => pair.target)
    const carries = planner.carries(targets, options.foreignKeys)
    const parked = (await readParked(this.#options.directory)).filter((row) => !row.refused)
    const conflicts = planner.conflicts
    const known = new Set(parked.map(standingOf))
    const same = conflicts.length === parked.length && conflicts.every((item) => known.has(standingOf(item)))
    const changes: readonly ReconcileChange[] = same ? carries : [...carries, { kind: 'park', items: conflicts }]
    return { changes, proof: proofOf(planner) }
  }

  /** Carries or parks one batch. Idempotent. */
  async apply(change: ReconcileChange): Promise<void> {
    const options = await this.#applyOptions()
    if (change.kind === 'park') return this.#park(change.items, options)
    const result = await carry(change.items, change.cyclic, options)
    for (const entry of result.entries) this.#count(entry.table, entry.action === 'skipped' ? 'merged' : entry.action)
    for (const row of result.parked) {
      if (row.refused) this.#refused.add(standingOf(row))
      this.#count(row.table, 'parked')
    }
    const gone = new Set(change.items.map(parkedId))
    const before = await readParked(this.#options.directory)
    const others = before.filter((row) => !gone.has(parkedId(row)))
    if (others.length < before.length || result.parked.length > 0)
      await writeParked(this.#options.directory, [...others, ...result.parked])
  }

  async #park(items: readonly ParkItem[], options: ApplyOptions): Promise<void> {
    const refused = (await readParked(this.#options.directory)).filter((row) => row.refused)
    const rows: ParkedRow[] = []
    for (const item of items) {
      rows.push({ ...(await describeParked(item, options)), reason: item.reason, source: item.source, target: item.target })
      this.#count(item.table, 'parked')
    }
    await writeParked(this.#options.directory, [...refused, ...rows])
  }

  /** Every row of the source accounted for, by comparing all of it once more; read-only. */
  async prove(asking: Asking): Promise<Proof> {
    const { planner } = await this.#compare(asking)
    return proofOf(planner)
  }

  /** What this pass wrote, per table. */
  get counts(): ReadonlyMap<string, PassCounts> {
    return this.#counts
  }

  /** Rows set aside for a person. */
  parked(): Promise<readonly ParkedRow[]> {
    return readParked(this.#options.directory)
  }

  #count(table: string, what: keyof PassCounts): void {
    const none = { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
    const counts = this.#counts.get(table) ?? none
    this.#counts.set(table, { ...counts, [what]: counts[what] + 1 })
  }

  async #compare(asking: Asking): Promise<{ planner: Planner; options: ApplyOptions }> {
    const { directory, run, source, target, ignore, decide } = this.#options
    const options = await this.#applyOptions()
    const planner = new Planner()
    let rows = 0
    await compareTables(
      {
        directory,
        run,
        source,
        target,
        printingOf: (table) => printingFor(table, { ignore: ignore(table) }),
        ...(asking.signal ? { signal: asking.signal } : {}),
        onRows: (table, count) => {
          rows += count
          asking.onRows?.(rows, fullName(table.name))
        },
      },
      [...options.tables.values()].map((pair) => [pair.source, pair.target]),
      (comparison) => planner.add(comparison, decide, (item) => this.#refused.has(standingOf(item))),
    )
    return { planner, options }
  }

  /** The tables of both hosts as they are now, matched by name. */
  async #applyOptions(): Promise<ApplyOptions> {
    if (this.#apply !== undefined) return this.#apply
    const { run, source, target, ignore, tracked, references, schemaOf = (database) => database.schema() } = this.#options
    const [from, to] = await Promise.all([schemaOf(source), schemaOf(target)])
    const targets = new Map(to.tables.map((table) => [nameKey(table), table]))
    const tables = new Map<string, { readonly source: Table; readonly target: Table }>()
    for (const table of from.tables.filter(tracked)) {
      const other = targets.get(nameKey(table))
      if (other === undefined) throw missingTable(table, target)
      const drift = columnDrift(table, other)
      if (drift !== undefined) throw drift
      tables.set(fullName(other.name), { source: table, target: withPartitionsOf(table, other) })
    }
    const foreignKeys = [
      ...to.foreignKeys.filter((key) => key.enforced),
      ...references([...tables.values()].map((pair) => pair.target)),
    ]
    this.#apply = { run, source, target, tables, foreignKeys, ignore }
    return this.#apply
  }
}

/** The target with the partitions that the source alone has: made since the snapshot, they are wanted for the rows in them. */
function withPartitionsOf(source: Table, target: Table): Table {
  const { partitions } = target
  if (partitions === undefined) return target
  const there = new Set(partitions.map((part) => fullName(part.name)))
  const more = (source.partitions ?? []).filter((part) => !there.has(fullName(part.name)))
  return { ...target, partitions: [...partitions, ...more] }
}

function proofOf(planner: Planner): Proof {
  const tallies = [...planner.tally.values()]
  const rows = tallies.reduce((sum, tally) => sum + tally.rows, 0)
  const unaccounted = tallies.reduce((sum, tally) => sum + tally.carry, 0)
  return { totals: { rows, accounted: rows - unaccounted, unaccounted }, tables: planner.tally }
}

const nameKey = (table: Table): string => fullName(table.name).toLowerCase()

/** A parked row together with the state it was parked in: anything changed since makes it another. */
const standingOf = (row: { table: string; key: string; source: string | null; target: string | null }): string =>
  `${parkedId(row)} ${row.source ?? '-'} ${row.target ?? '-'}`

const missingTable = (table: Table, target: Database): MigrateError =>
  new MigrateError('table-missing', `Table ${fullName(table.name)} isn't on the ${target.label}. Nothing was changed.`, {
    hint: 'It was born after the snapshot. Create it there by hand, or declare it in the playbook: skip or copy-only.',
  })

function columnDrift(source: Table, target: Table): MigrateError | undefined {
  const names = (table: Table): string =>
    readableColumns(table)
      .map((column) => column.name)
      .join(', ')
  if (names(source).toLowerCase() === names(target).toLowerCase()) return undefined
  return new MigrateError(
    'schema-drift',
    `Table ${fullName(source.name)} has different columns on the two hosts: ${names(source)} and ${names(target)}. Nothing was changed.`,
    { hint: 'The schema was changed after the snapshot. Make both alike, then run again.' },
  )
}

/** The finding that keeps a run from ending as done while a person still has to decide. */
export const parkedFinding = (rows: readonly ParkedRow[], file: string): Finding => ({
  severity: 'warning',
  code: 'rows-parked',
  message: `${rows.length} ${rows.length === 1 ? 'row is' : 'rows are'} parked for you to decide: ${examples(rows)}.`,
  hint: `Both versions of each are in ${file}. Mend one side by hand, or give the table a policy (conflict: old or new), then run "migrate reconcile" again.`,
})

const examples = (rows: readonly ParkedRow[]): string => {
  const shown = rows.slice(0, 3).map((row) => `${row.table} ${keyLabel(row.key)} (${row.reason})`)
  return rows.length > 3 ? `${shown.join('; ')}; and ${rows.length - 3} more` : shown.join('; ')
}
