import type { Database, Row } from '../databases/port.ts'
import { readableColumns, type Table } from '../databases/schema.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { spellingOf } from './columns.ts'
import { type DifferentRow, stateOf } from './difference.ts'
import { DecimalTotal, sumOf } from './merge-decimal.ts'
import type { ColumnSum } from './proof.ts'
import type { Outcome } from './proof-tally.ts'
import { isNowhere } from './remap-index.ts'
import { portions, rowsByKey } from './rows-by-key.ts'

type Cause = keyof ColumnSum['because']

/** A row of which the two hosts may have other numbers, and why. */
interface Apart {
  readonly source: string | null
  readonly target: string | null
  readonly cause: Cause
}

/** What the sums of some columns of a table are on both hosts, and what explains that they differ. */
export class SumsOf {
  readonly #table: CarriedTable
  readonly #apart: Apart[] = []
  readonly #seen = new Set<string>()

  constructor(table: CarriedTable) {
    this.#table = table
  }

  count(row: DifferentRow, outcome: Outcome): void {
    const source = row.source.now === null ? null : row.source.key
    const target = row.target.now === null ? null : row.target.key
    if (row.source.key !== null) this.#seen.add(row.source.key)
    if (outcome === 'waiting' || outcome === 'same' || outcome === 'alike') return
    const born = source === null && row.source.base === null && row.target.base === null
    this.#apart.push({ source, target, cause: outcome === 'kept' ? (born ? 'born' : 'changed') : 'setAside' })
  }

  /** Reads both hosts' columns once, and those rows that explain a difference. Read-only. */
  async result(context: ApplyContext): Promise<readonly ColumnSum[]> {
    const { source, target, policy } = this.#table
    const columns = spelt(target, policy.sums)
    if (columns.length === 0) return []
    const [there, here] = await Promise.all([
      totals(context.source, source, spelt(source, columns), context.signal),
      totals(context.target, target, columns, context.signal),
    ])
    const because = await this.#causes(columns, [...this.#apart, ...this.#carriedApart(context)], context)
    return columns.map((column, at) => {
      const [from, to] = [there[at]?.text, here[at]?.text]
      const parts = because[at] ?? { born: '0', changed: '0', carried: '0', setAside: '0' }
      if (from === undefined || to === undefined) return { column, source: '?', target: '?', because: parts, unexplained: '0' }
      const { born, changed, carried, setAside } = parts
      const left = sumOf([[to, 1], [from, -1], ...[born, changed, carried, setAside].map((part) => [part, -1] as const)])
      return { column, source: from, target: to, because: parts, unexplained: left ?? '?' }
    })
  }

  /** Rows that the ledger brought over otherwise than as they were: made of both hosts', one with another, left as they are. */
  #carriedApart({ index }: ApplyContext): readonly Apart[] {
    const apart: Apart[] = []
    const once = new Set<string>()
    for (const row of index.all(this.#table.name)) {
      if (this.#seen.has(row.sourceKey) || row.action === 'deleted') continue
      const mixed = row.targetState.startsWith('[') && stateOf(row.targetState)?.mixed !== undefined
      if (!mixed && row.action !== 'merged' && row.action !== 'skipped') continue
      // The target's row counts once, however many became one with it; and not at all where it has a row of its own on the source.
      const known = index.of(this.#table.name, row.targetKey)
      const target = isNowhere(row.targetKey) || once.has(row.targetKey) ? null : row.targetKey
      once.add(row.targetKey)
      apart.push({ source: row.sourceKey, target, cause: row.action === 'skipped' && !mixed ? 'setAside' : 'carried' })
      if (target !== null && target !== row.sourceKey && known === undefined)
        apart.push({ source: target, target: null, cause: 'carried' })
    }
    return apart
  }

  async #causes(
    columns: readonly string[],
    apart: readonly Apart[],
    context: ApplyContext,
  ): Promise<readonly ColumnSum['because'][]> {
    const { source, target } = this.#table
    const sums = columns.map(() => ({
      born: new DecimalTotal(),
      changed: new DecimalTotal(),
      carried: new DecimalTotal(),
      setAside: new DecimalTotal(),
    }))
    for (const some of portions(apart)) {
      const [there, here] = await Promise.all([
        valuesOf(
          context.source,
          source,
          spelt(source, columns),
          some.flatMap((each) => each.source ?? []),
        ),
        valuesOf(
          context.target,
          target,
          columns,
          some.flatMap((each) => each.target ?? []),
        ),
      ])
      for (const each of some) {
        for (const [index, sum] of sums.entries()) {
          sum[each.cause].add(here.get(each.target ?? '')?.[index] ?? null)
          sum[each.cause].add(there.get(each.source ?? '')?.[index] ?? null, -1n)
        }
      }
    }
    return sums.map(({ born, changed, carried, setAside }) => ({
      born: born.text ?? '?',
      changed: changed.text ?? '?',
      carried: carried.text ?? '?',
      setAside: setAside.text ?? '?',
    }))
  }
}

/** The columns as the table spells them; those that it hasn't are `check`'s to report. */
function spelt(table: Table, names: readonly string[]): readonly string[] {
  const spelling = spellingOf(table)
  return names.flatMap((name) => spelling(name) ?? [])
}

/** The table as if it had no columns but its key's and these: only they are read. */
const narrowed = (table: Table, columns: readonly string[]): Table => ({
  ...table,
  columns: table.columns.filter((column) => table.key.includes(column.name) || columns.includes(column.name)),
})

const positions = (table: Table, columns: readonly string[]): readonly number[] => {
  const names = readableColumns(table).map((column) => column.name)
  return columns.map((name) => names.indexOf(name))
}

async function totals(
  database: Database,
  table: Table,
  columns: readonly string[],
  signal: AbortSignal,
): Promise<readonly DecimalTotal[]> {
  const own = narrowed(table, columns)
  const at = positions(own, columns)
  const sums = columns.map(() => new DecimalTotal())
  await database.read(1, async ([reader]) => {
    for await (const batch of reader.rows(own, { signal }))
      for (const row of batch) for (const [index, sum] of sums.entries()) sum.add(row[at[index] ?? -1] ?? null)
  })
  return sums
}

async function valuesOf(
  database: Database,
  table: Table,
  columns: readonly string[],
  keys: readonly string[],
): Promise<ReadonlyMap<string, Row>> {
  const own = narrowed(table, columns)
  const at = positions(own, columns)
  const values = new Map<string, Row>()
  for await (const [key, row] of rowsByKey(database, own, [...new Set(keys)]))
    values.set(
      key,
      at.map((position) => row[position] ?? null),
    )
  return values
}
