import type { Cell } from '../row-port.ts'
import { type Column, type ForeignKey, fullName, readableColumns, type Schema, type Table } from '../schema.ts'
import { Names, stemOf } from './suspect-names.ts'

/** A column and a table whose key it may hold, by name and type; whether it does, its values tell. */
export interface Suspect {
  readonly child: Table
  readonly column: string
  readonly parent: Table
  readonly parentColumn: string
  /** How well the name fits: 5, the very name, to 1; 0 where only the values can tell. */
  readonly fit: number
}

/** A pair of columns, as the playbook or the schema declares or dismisses it. */
export type Pair = Pick<ForeignKey, 'table' | 'columns' | 'parent' | 'parentColumns'>

export interface SuspectInput {
  readonly schema: Pick<Schema, 'foreignKeys' | 'identities'>
  /** Tables that are reconciled: only in these does a reference matter. */
  readonly tables: readonly Table[]
  /** What the playbook declares besides the schema's enforced foreign keys. */
  readonly declared: readonly Pair[]
  readonly dismissed: readonly Pair[]
}

/** So many tables are tried for one column, the best names first. */
const PARENTS_A_COLUMN = 3

/**
 * Columns that look like references to the key of a table although nothing declares them, each with the tables that come into
 * question, best first. Pure.
 */
export function suspectColumns(input: SuspectInput): readonly (readonly Suspect[])[] {
  const { tables, dismissed } = input
  const names = new Names(tables)
  const settled = new Set([...input.schema.foreignKeys.filter((key) => key.enforced), ...input.declared].flatMap(columnsOf))
  const no = new Set(dismissed.map(({ table, columns, parent }) => `${fullName(table)}.${columns[0]} ${fullName(parent)}`))
  const identities = new Set(input.schema.identities.map(({ table, column }) => `${fullName(table)}.${column}`))
  const parents = tables.flatMap((table) => parentOf(table, identities))
  const switchedOff = new Set(
    input.schema.foreignKeys
      .filter((key) => !key.enforced)
      .flatMap((key) => columnsOf(key).map((column) => `${column} ${fullName(key.parent)}`)),
  )
  return tables.flatMap((child) =>
    readableColumns(child).flatMap((column) => {
      const place = `${fullName(child.name)}.${column.name}`
      if (settled.has(place) || identities.has(place) || column.identity !== null || isOfAnyKind(child, column)) return []
      const suspects = parents.flatMap(({ table, key, numbered }): readonly Suspect[] => {
        const isOwn = fullName(table.name) === fullName(child.name)
        if ((isOwn && key.name === column.name) || familyOf(key) !== familyOf(column)) return []
        if (no.has(`${place} ${fullName(table.name)}`)) return []
        const named = switchedOff.has(`${place} ${fullName(table.name)}`) ? 5 : names.fit(child, column.name, table)
        // A key that the database doesn't number is more likely a reference itself: order_stats.order_id.
        const fit = numbered ? named : Math.max(0, named - 2)
        // A GUID is found in another table by no chance, whatever its column is called; an own key is nobody else's.
        if (fit === 0 && (isOwn || familyOf(key) !== 'guid' || isOwnKey(child, column.name))) return []
        return [{ child, column: column.name, parent: table, parentColumn: key.name, fit }]
      })
      const sorted = suspects.toSorted((a, b) => b.fit - a.fit || nearness(b) - nearness(a))
      const best = sorted.some(({ fit }) => fit > 0) ? sorted.filter(({ fit }) => fit > 0) : sorted
      return best.length === 0 ? [] : [best.slice(0, PARENTS_A_COLUMN)]
    }),
  )
}

const isOwnKey = (table: Table, column: string): boolean => table.key.length === 1 && table.key[0] === column

const columnsOf = ({ table, columns }: Pick<Pair, 'table' | 'columns'>): readonly string[] =>
  columns.map((column) => `${fullName(table)}.${column}`)

/** Letters that the two tables' names share at their beginning: `wp_woocommerce_…` belong together. */
function nearness({ child, parent }: Suspect): number {
  let shared = 0
  while (shared < child.name.name.length && child.name.name[shared] === parent.name.name[shared]) shared += 1
  return shared
}

interface Parent {
  readonly table: Table
  readonly key: Column
  /** The database hands its values out, or they are the same nowhere else. */
  readonly numbered: boolean
}

function parentOf(table: Table, identities: ReadonlySet<string>): readonly Parent[] {
  const [name, ...others] = table.key
  const key = readableColumns(table).find((column) => column.name === name)
  if (key === undefined || others.length > 0) return []
  const family = familyOf(key)
  if (family === undefined) return []
  const numbered = family !== 'integer' || key.identity !== null || identities.has(`${fullName(table.name)}.${key.name}`)
  return [{ table, key, numbered }]
}

const INTEGER = /^(?:tiny|small|medium|big)?int(?:eger)?\b|^(?:numeric|decimal|number)\s*\(\s*\d+\s*(?:,\s*0\s*)?\)/i
const GUID = /^(?:uniqueidentifier|uuid|binary\(16\))$/i
const TEXT = /^(?:n?(?:var)?char|character(?: varying)?)\s*\(\s*(\d+)\s*\)/i
const SHORTEST_GUID_TEXT = 32
const LONGEST_GUID_TEXT = 450

/** Columns of one family can hold the same values; text counts where it may be that of a GUID. */
function familyOf({ type }: Column): 'integer' | 'guid' | 'text' | undefined {
  if (/^tinyint\(1\)/i.test(type)) return undefined
  if (INTEGER.test(type)) return 'integer'
  if (GUID.test(type)) return 'guid'
  const length = Number(TEXT.exec(type)?.[1] ?? 0)
  return length >= SHORTEST_GUID_TEXT && length <= LONGEST_GUID_TEXT ? 'text' : undefined
}

/** Names for whatever there is. */
const ANYTHING: ReadonlySet<string> = new Set(
  'object entity item record row element resource owner subject target source model thing related linked reference'.split(' '),
)
const KINDS: ReadonlySet<string> = new Set(['type', 'kind', 'class', 'table', 'name', 'group', 'model'])

/** `object_id` beside `object_type`, `EntityId` beside `EntityName`: what it refers to differs from row to row. */
function isOfAnyKind(table: Table, column: Column): boolean {
  const { words } = stemOf(column.name)
  const last = words.at(-1) ?? ''
  const anything = ANYTHING.has(last) || last.endsWith('able')
  return anything && table.columns.some((each) => each.name !== column.name && namesKindOf(stemOf(each.name).words, words))
}

const namesKindOf = (name: readonly string[], of: readonly string[]): boolean =>
  name.length === of.length + 1 && KINDS.has(name.at(-1) ?? '') && of.every((word, at) => word === name[at])

const ZERO_GUID = /^[{(]?0{8}-?(?:0{4}-?){3}0{12}[)}]?$/

/** Cells that a shop writes where there is nothing to refer to. */
export const isNothing = (cell: Cell | undefined): boolean =>
  cell === undefined || cell === null || cell === '' || cell === '0' || cell === '-1' || ZERO_GUID.test(cell)

/** What a sample of a column's values says: so many different ones, so many of them among the parent's keys. */
export interface Profile {
  readonly values: readonly string[]
  readonly found: number
}

const GUID_TEXT = /^[{(]?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}[)}]?$/i
/** Up to here every table has all numbers, so that finding them says nothing. */
const EVERY_TABLE_HAS = 100

/** True where the values bear out what the name promises: the less the name says, the more they have to. Pure. */
export function isLikely(suspect: Suspect, { values, found }: Profile): boolean {
  if (values.length === 0) return false
  const key = suspect.parent.columns.find((column) => column.name === suspect.parentColumn)
  const family = key === undefined ? undefined : familyOf(key)
  if (family === 'text' && !values.every((value) => GUID_TEXT.test(value))) return false
  const share = found / values.length
  if (suspect.fit >= 4) return share >= 0.9
  // Nobody finds a GUID in another table by chance.
  if (family !== 'integer') return share >= 0.9 && values.length >= 3
  if (suspect.fit >= 2) return share >= 0.95 && values.length >= 3
  return share >= 0.98 && values.length >= 10 && values.some((value) => value.length > 2 && Number(value) > EVERY_TABLE_HAS)
}

/** Bits of the engines' whole numbers; `tinyint` has no sign on SQL Server, which makes it no narrower than this. */
const BITS: Readonly<Record<string, bigint>> = { tiny: 8n, small: 16n, medium: 24n, '': 32n, big: 64n }

/** False for a whole number that the key's type can't hold: it is none of its values, and asking for it would be an error. Pure. */
export function canHold({ type }: Pick<Column, 'type'>, value: string): boolean {
  const size = /^(tiny|small|medium|big|)int(?:eger)?\b/i.exec(type)?.[1]
  const digits = /^(?:numeric|decimal|number)\s*\(\s*(\d+)/i.exec(type)?.[1]
  if (size === undefined && digits === undefined) return true
  if (!/^-?\d{1,38}$/.test(value)) return false
  const limit = digits === undefined ? 1n << (BITS[size?.toLowerCase() ?? ''] ?? 32n) : 10n ** BigInt(digits)
  const isHalved = digits === undefined && !/unsigned/i.test(type) && size?.toLowerCase() !== 'tiny'
  const number = BigInt(value)
  const most = isHalved ? limit / 2n : limit
  return number < most && number >= -most
}
