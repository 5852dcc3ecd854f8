import type { Clock } from '../base/clock.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import type { Database, KeyCells, Printing, Row } from '../databases/port.ts'
import {
  byName,
  type ForeignKey,
  fullName,
  type Identity,
  type IdentityState,
  type Layout,
  placeOf,
  readableColumns,
  type Table,
} from '../databases/schema.ts'
import { openBaseline } from './baseline-file.ts'
import { cellsNamed } from './columns.ts'
import { Frontier } from './follow-frontier.ts'
import { parentsFirst } from './order.ts'
import { addedColumns, type Printer, Printers, printingOn, withoutColumns } from './printing.ts'

interface FollowRules {
  readonly mode: string
  readonly match: readonly string[]
  readonly ignore?: readonly string[]
}

export interface FollowOptions {
  readonly run: string
  /** The run's folder. */
  readonly directory: string
  readonly source: Database
  readonly target: Database
  /** What the playbook says of a table, by the old host's schema: whether it is reconciled, and its natural key. */
  readonly rules: (schema: Layout) => (table: Table) => FollowRules
  /** Foreign keys that the playbook names, in the tables that the target has. */
  readonly references: (tables: readonly Table[]) => readonly ForeignKey[]
  readonly clock: Clock
}

/** A reference of a followed table to a table's rows. */
export interface Link {
  readonly columns: readonly string[]
  /** Name of the table referred to, as the target has it. */
  readonly parent: string
  readonly parentTable: Table
  /** The parent's key in the order of `columns`; `undefined` where something else of the parent is referred to. */
  readonly key: readonly string[] | undefined
  readonly enforced: boolean
}

/** A table whose newborn rows stand at the end of its keys, so that one small question finds them. */
export interface FollowedTable {
  readonly name: string
  readonly source: Table
  readonly target: Table
  readonly printer: Printer
  /** What is fingerprinted, in the columns' names on either host. */
  readonly printing: { readonly source: Printing; readonly target: Printing }
  readonly frontier: Frontier
  /** Names of the numberings on the source whose moves tell that there may be new rows. */
  readonly signals: ReadonlySet<string>
  readonly links: readonly Link[]
  readonly match: readonly string[]
}

/** Where the baseline of a table ends: whoever is beyond was born since, on either host. */
export type Ends = ReadonlyMap<string, KeyCells | undefined>

export interface FollowPlan {
  /** Parents first. */
  readonly tables: readonly FollowedTable[]
  /** Of every table in the baseline. */
  readonly ends: Ends
  readonly source: Layout
  readonly target: Layout
}

export const identityKey = ({ table, column }: Pick<Identity, 'table' | 'column'>): string =>
  `${fullName(table)}.${column}`.toLowerCase()

/** Tables that can be followed, with what is needed to; none before the baseline is complete. */
export async function planFollow(options: FollowOptions, source: Layout, target: Layout): Promise<FollowPlan> {
  const baseline = await openBaseline(options.directory)
  if (baseline === undefined) return { tables: [], ends: new Map(), source, target }
  try {
    if (!baseline.isWhole) return { tables: [], ends: new Map(), source, target }
    const ends = new Map<string, KeyCells | undefined>()
    const rules = options.rules(source)
    const sourceNamed = byName(source.tables, (table) => fullName(table.name))
    const spellings = Map.groupBy(target.tables, (table) => fullName(table.name).toLowerCase())
    const pairs = new Map(
      target.tables.flatMap((table): readonly (readonly [Table, Table])[] => {
        const other = sourceNamed(fullName(table.name))
        return other === undefined || rules(other).mode !== 'track' ? [] : [[table, other]]
      }),
    )
    const targets = [...pairs.keys()]
    const held = baseline.tables()
    for (const { name } of targets) {
      const kept = held.get(fullName(name))
      if (kept !== undefined) ends.set(fullName(name), baseline.bounds(kept).at(-1)?.last)
    }
    const printers = new Printers(options, held)
    const foreignKeys = [...target.foreignKeys.filter((key) => key.enforced), ...options.references(targets)]
    const tables: FollowedTable[] = []
    for (const table of parentsFirst(targets, foreignKeys).flat()) {
      const name = fullName(table.name)
      const [other, kept] = [pairs.get(table), held.get(name)]
      if (other === undefined || kept === undefined || !isSame(other, table)) continue
      // Of two whose names differ in case alone, what is told of one would be taken for the other: left to the full pass.
      if ((spellings.get(name.toLowerCase()) ?? []).length > 1) continue
      const signals = signalsOf(other, source, foreignKeys)
      if (signals.size === 0) continue
      const { printing } = kept
      const late = addedColumns(table, kept, rules(other).ignore ?? [])
      tables.push({
        name,
        source: other,
        target: table,
        printer: await printers.of(withoutColumns(other, late), withoutColumns(table, late)),
        printing: { source: printingOn(other, table, printing), target: printing },
        frontier: new Frontier(ends.get(name)),
        signals,
        links: foreignKeys.filter((key) => fullName(key.table) === name).flatMap((key) => linkOf(key, targets)),
        match: rules(other).match,
      })
    }
    return { tables, ends, source, target }
  } finally {
    baseline.close()
  }
}

/** A table that was changed since the snapshot, or got partitions, is left to the full pass. */
const isSame = (source: Table, target: Table): boolean => {
  const names = (table: Table): string =>
    readableColumns(table)
      .map((column) => column.name.toLowerCase())
      .join(', ')
  const parts = (table: Table): string =>
    (table.partitions ?? [])
      .map((part) => fullName(part.name).toLowerCase())
      .sort()
      .join()
  return names(source) === names(target) && parts(source) === parts(target)
}

/**
 * Numberings that rise as rows are added at the end of a table's keys: its own, or, where its key begins with a reference to a numbered
 * table (order_items: order_id, line), that one's. Empty where new rows may stand anywhere.
 */
function signalsOf(table: Table, schema: Layout, foreignKeys: readonly ForeignKey[]): ReadonlySet<string> {
  const [first, ...others] = table.key
  if (first === undefined) return new Set()
  const rises = ({ increment }: Identity): boolean => BigInt(increment) > 0n
  const own = schema.identities.find((each) => sameColumn(each, table, first))
  if (own !== undefined) return rises(own) ? new Set([identityKey(own)]) : new Set()
  if (others.length === 0) return new Set()
  const parents = foreignKeys.filter(
    (key) => sameName(key.table, table.name) && key.columns.length === 1 && key.columns[0]?.toLowerCase() === first.toLowerCase(),
  )
  return new Set(
    parents.flatMap(({ parent, parentColumns }) =>
      schema.identities
        .filter((each) => sameName(each.table, parent) && each.column.toLowerCase() === parentColumns[0]?.toLowerCase())
        .filter(rises)
        .map(identityKey),
    ),
  )
}

const sameName = (a: Table['name'], b: Table['name']): boolean => fullName(a).toLowerCase() === fullName(b).toLowerCase()
const sameColumn = (identity: Identity, table: Table, column: string): boolean =>
  sameName(identity.table, table.name) && identity.column.toLowerCase() === column.toLowerCase()

function linkOf(key: ForeignKey, tables: readonly Table[]): readonly Link[] {
  const parent = tables.find((table) => fullName(table.name) === fullName(key.parent))
  // A parent that isn't reconciled has no other numbers on the target than those it was copied with.
  if (parent === undefined) return []
  const places = parent.key.map((name) => placeOf(key.parentColumns, name))
  const isKey = parent.key.length > 0 && parent.key.length === key.parentColumns.length && !places.includes(-1)
  const columns = places.map((place) => key.columns[place] ?? '')
  return [
    {
      columns: key.columns,
      parent: fullName(parent.name),
      parentTable: parent,
      key: isKey ? columns : undefined,
      enforced: key.enforced,
    },
  ]
}

/**
 * True for a key that was born since the baseline, on whichever host: the two hosts may have given it to different rows. What is no
 * number is the same thing wherever it is the same.
 */
export function isNewborn(ends: Ends, table: string, key: KeyCells): boolean {
  const end = ends.get(table)
  if (end === undefined) return true
  const [cell, last] = [key[0] ?? '', end[0] ?? '']
  if (!WHOLE.test(cell) || !WHOLE.test(last)) return false
  // Of keys with the same beginning, which was last can't be told by numbers.
  return key.length === 1 ? BigInt(cell) > BigInt(last) : BigInt(cell) >= BigInt(last)
}

const WHOLE = /^-?\d+$/

/**
 * True for a row with a number that the target hasn't passed yet: carried now, it would meet the number that the target gives next, or
 * push its numbering on.
 */
export function isAhead(table: Table, row: Row, states: readonly IdentityState[]): boolean {
  return states.some(({ identity, next }) => {
    if (!sameName(identity.table, table.name) || identity.column === '') return false
    const [cell] = cellsNamed(table, row, [identity.column])
    if (cell === undefined || cell === null || !WHOLE.test(cell)) return true
    return !isBeyond(next, BigInt(cell), identity.increment)
  })
}
