import { MigrateError, messageOf } from '../base/errors.ts'
import type { Database, LedgerEntry, Row, Transaction } from '../databases/port.ts'
import { type ForeignKey, fullName, readableColumns, type Table } from '../databases/schema.ts'
import { stateText } from './difference.ts'
import { keyCells, RowReader } from './fingerprint.ts'
import type { ParkedRow } from './parked.ts'
import type { CarryItem } from './plan.ts'
import { printingFor } from './printing.ts'

export interface ApplyOptions {
  readonly run: string
  readonly source: Database
  readonly target: Database
  /** The source's table and the target's, by full name. */
  readonly tables: ReadonlyMap<string, { readonly source: Table; readonly target: Table }>
  readonly foreignKeys: readonly ForeignKey[]
  readonly ignore: (table: Table) => readonly string[]
}

export interface CarryResult {
  readonly entries: readonly LedgerEntry[]
  readonly parked: readonly ParkedRow[]
}

/** A row with what stands on both sides at the moment of writing. */
interface Standing {
  readonly item: CarryItem
  readonly table: Table
  readonly source: Row | undefined
  readonly sourceHash: string | null
  readonly target: Row | undefined
  readonly targetHash: string | null
}

/**
 * Carries rows in one transaction with their ledger entries: all or none, exactly once. A row that somebody changed on the target
 * since it was compared is parked, never overwritten. When the target refuses a row (a unique key, a missing parent), the batch
 * is rolled back, halved and tried again, until the refused row stands alone and is parked with the server's own words.
 * Throws what may be tried again (`database-busy`, `database-connection-lost`) with nothing written by this transaction.
 */
export async function carry(items: readonly CarryItem[], cyclic: boolean, options: ApplyOptions): Promise<CarryResult> {
  try {
    return await carryTogether(items, cyclic, options)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const only = items[0]
    if (items.length === 1 && only !== undefined) return { entries: [], parked: [await refused(only, options, messageOf(error))] }
    const half = Math.ceil(items.length / 2)
    const first = await carry(items.slice(0, half), cyclic, options)
    const second = await carry(items.slice(half), cyclic, options)
    return { entries: [...first.entries, ...second.entries], parked: [...first.parked, ...second.parked] }
  }
}

/** The server understood and said no to the content; anything else (a lost connection, a full disk) isn't the rows' fault. */
const isRefusal = (error: unknown): boolean => error instanceof MigrateError && error.code === 'database-statement-failed'

async function carryTogether(items: readonly CarryItem[], cyclic: boolean, options: ApplyOptions): Promise<CarryResult> {
  const byTable = Map.groupBy(items, (item) => item.table)
  const sources = new Map<string, ReadonlyMap<string, Row>>()
  for (const [name, group] of byTable) {
    const { source } = pair(options, name)
    sources.set(name, byKey(source, await inChunks(group, (keys) => options.source.rowsByKey(source, keys))))
  }
  const targets = [...byTable.keys()].map((name) => pair(options, name).target)
  return options.target.transaction(targets, async (transaction) => {
    const standings: Standing[] = []
    for (const [name, group] of byTable) {
      const { target } = pair(options, name)
      const locked = byKey(target, await inChunks(group, (keys) => transaction.lock(target, keys)))
      for (const item of group)
        standings.push(standing(item, target, sources.get(name)?.get(item.key), locked.get(item.key), options))
    }
    const open = standings.filter((each) => each.sourceHash !== each.targetHash)
    const changed = open.filter((each) => each.targetHash !== each.item.expect)
    const ready = open.filter((each) => each.targetHash === each.item.expect)
    const kept = await referencedDeletions(transaction, ready, options)
    const writable = ready.filter((each) => !kept.includes(each))
    await write(transaction, writable, cyclic, options)
    const entries = writable.map((each) => ledgerEntry(each, options.run))
    await transaction.ledger(entries)
    const parked = [
      ...changed.map((each) => parkedRow(each, 'Changed on the target while it was being carried')),
      ...kept.map((each) => ({
        ...parkedRow(each, 'Deleted on one host, but rows on the other still refer to it'),
        refused: true,
      })),
    ]
    return { entries, parked }
  })
}

/** The port takes at most 1,000 keys at a time. */
async function inChunks(items: readonly CarryItem[], read: (keys: Row[]) => Promise<readonly Row[]>): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (let at = 0; at < items.length; at += 1000) {
    rows.push(...(await read(items.slice(at, at + 1000).map((item) => keyCells(item.key)))))
  }
  return rows
}

function standing(
  item: CarryItem,
  table: Table,
  source: Row | undefined,
  target: Row | undefined,
  options: ApplyOptions,
): Standing {
  const reader = new RowReader(table, printingFor(table, { ignore: options.ignore(table) }))
  return {
    item,
    table,
    source,
    sourceHash: source === undefined ? null : reader.print(source).print,
    target,
    targetHash: target === undefined ? null : reader.print(target).print,
  }
}

/** Deletions of parents that somebody's row still points at: they could fail, or take that row with them. */
async function referencedDeletions(
  transaction: Transaction,
  ready: readonly Standing[],
  options: ApplyOptions,
): Promise<readonly Standing[]> {
  const kept = new Set<Standing>()
  const deletions = ready.filter((each) => each.source === undefined && each.target !== undefined)
  for (const foreignKey of options.foreignKeys) {
    const parents = deletions.filter((each) => fullName(each.table.name) === fullName(foreignKey.parent))
    if (parents.length === 0) continue
    const cellsOf = (each: Standing): Row => columnCells(each.table, each.target ?? [], foreignKey.parentColumns)
    const referenced = new Set((await transaction.referenced(foreignKey, parents.map(cellsOf))).map((row) => JSON.stringify(row)))
    for (const each of parents) if (referenced.has(JSON.stringify(cellsOf(each)))) kept.add(each)
  }
  return [...kept]
}

/** Rows first without what points into a circle, deletions, and then every update, when all rows that it may point at are there. */
async function write(
  transaction: Transaction,
  ready: readonly Standing[],
  cyclic: boolean,
  options: ApplyOptions,
): Promise<void> {
  const updates: (readonly [Table, Row])[] = []
  for (const [table, group] of Map.groupBy(ready, (each) => each.table)) {
    const loose = cyclic ? cyclicColumns(table, options) : []
    const born: Row[] = []
    const dead: Row[] = []
    for (const { item, source, target } of group) {
      if (source === undefined) dead.push(keyCells(item.key))
      else if (target !== undefined) updates.push([table, withoutIgnored(table, source, target, options)])
      else {
        born.push(blanked(source, loose))
        if (loose.some((position) => source[position] !== null)) updates.push([table, source])
      }
    }
    if (born.length > 0) await transaction.insert(table, born)
    if (dead.length > 0) await transaction.delete(table, dead)
  }
  for (const [table, row] of updates) await transaction.update(table, row)
}

/** Nullable columns that point into the same circle of tables: they are filled in once all rows of the circle are there. */
function cyclicColumns(table: Table, options: ApplyOptions): readonly number[] {
  const columns = readableColumns(table)
  const keys = options.foreignKeys.filter((key) => fullName(key.table) === fullName(table.name))
  const names = new Set(keys.flatMap((key) => key.columns))
  const own = new Set(table.key)
  return columns.flatMap((column, position) =>
    names.has(column.name) && column.nullable && !own.has(column.name) ? [position] : [],
  )
}

const blanked = (row: Row, positions: readonly number[]): Row =>
  positions.length === 0 ? row : row.map((cell, position) => (positions.includes(position) ? null : cell))

/** Columns that the playbook leaves out of comparison keep the target's value. */
function withoutIgnored(table: Table, source: Row, target: Row, options: ApplyOptions): Row {
  const ignored = new Set(options.ignore(table).map((name) => name.toLowerCase()))
  if (ignored.size === 0) return source
  return readableColumns(table).map(
    (column, position) => (ignored.has(column.name.toLowerCase()) ? target : source)[position] ?? null,
  )
}

function ledgerEntry(each: Standing, run: string): LedgerEntry {
  const action = each.source === undefined ? 'deleted' : each.target === undefined ? 'inserted' : 'updated'
  const { table, key } = each.item
  const state = stateText(each.sourceHash === null ? null : { print: each.sourceHash, rest: each.sourceHash, apart: [] })
  return { run, table, sourceKey: key, targetKey: key, action, sourceState: state, targetState: state, at: '' }
}

const named = (table: Table, row: Row | undefined): Record<string, string | null> | null =>
  row === undefined
    ? null
    : Object.fromEntries(readableColumns(table).map((column, position) => [column.name, row[position] ?? null]))

const parkedRow = (each: Standing, reason: string): ParkedRow => ({
  table: each.item.table,
  key: each.item.key,
  reason,
  refused: false,
  sourceRow: named(each.table, each.source),
  targetRow: named(each.table, each.target),
  source: each.sourceHash,
  target: each.targetHash,
})

async function refused(item: CarryItem, options: ApplyOptions, words: string): Promise<ParkedRow> {
  return { ...(await describeParked(item, options)), refused: true, reason: `Refused by the host that receives it: ${words}` }
}

/** Both sides' rows with this key as they stand now. */
export async function describeParked(
  item: { readonly table: string; readonly key: string },
  options: ApplyOptions,
): Promise<ParkedRow> {
  const { source, target } = pair(options, item.table)
  const key = [keyCells(item.key)]
  const [sourceRow] = await options.source.rowsByKey(source, key)
  const [targetRow] = await options.target.rowsByKey(target, key)
  const carryItem: CarryItem = { table: item.table, key: item.key, action: 'update', expect: null }
  return parkedRow(standing(carryItem, target, sourceRow, targetRow, options), '')
}

function pair(options: ApplyOptions, name: string): { readonly source: Table; readonly target: Table } {
  const tables = options.tables.get(name)
  if (tables === undefined)
    throw new MigrateError('table-missing', `${name} is no longer on both hosts. Nothing of it was changed.`)
  return tables
}

const byKey = (table: Table, rows: readonly Row[]): ReadonlyMap<string, Row> => {
  const reader = new RowReader(table)
  return new Map(rows.map((row) => [reader.key(row), row]))
}

function columnCells(table: Table, row: Row, names: readonly string[]): Row {
  const columns = readableColumns(table)
  return names.map((name) => row[columns.findIndex((column) => column.name === name)] ?? null)
}
