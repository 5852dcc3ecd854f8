import type { Row, WholePrintedRow } from '../databases/port.ts'
import { fullName, readableColumns, type Table } from '../databases/schema.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { keyCells } from './fingerprint.ts'
import type { ParkedRow } from './parked.ts'

/** A row to be parked, and why. */
export interface ToPark {
  readonly table: string
  readonly key: string
  readonly targetKey: string | null
}

export interface ParkedAs {
  readonly refused: boolean
  readonly born: boolean
  readonly collision: ParkedRow['collision']
}

/** Cells by the names of their columns. */
export const named = (table: Table, row: Row | undefined): Record<string, string | null> | null =>
  row === undefined
    ? null
    : Object.fromEntries(readableColumns(table).map((column, position) => [column.name, row[position] ?? null]))

/** Both hosts' rows as they stand now, and as both last had them, for a person to decide. */
export async function describeParked(
  item: ToPark & { readonly base?: readonly [string, string]; readonly born?: boolean },
  reason: string,
  context: ApplyContext,
  as: Partial<ParkedAs> = {},
): Promise<ParkedRow> {
  const table = context.tables.get(item.table)
  const born = as.born ?? item.born ?? (item.base === undefined || item.base.every((state) => state === ''))
  const parked = {
    table: item.table,
    key: item.key,
    targetKey: item.targetKey,
    reason,
    refused: as.refused ?? true,
    born,
    collision: as.collision ?? null,
  }
  if (table === undefined)
    return { ...parked, sourceRow: null, targetRow: null, baseRow: null, baseNote: null, source: null, target: null }
  const { printer, sourcePrinting, targetPrinting } = table
  const [source] = await printer.rows(context.source, table.source, sourcePrinting, [keyCells(item.key)])
  const [target] =
    item.targetKey === null ? [] : await printer.rows(context.target, table.target, targetPrinting, [keyCells(item.targetKey)])
  return { ...parked, ...rowsOf(table, source, target), ...(await baseOf(table, item, born, context)) }
}

const rowsOf = (
  table: CarriedTable,
  source: WholePrintedRow | undefined,
  target: WholePrintedRow | undefined,
): Pick<ParkedRow, 'sourceRow' | 'targetRow' | 'source' | 'target'> => ({
  sourceRow: named(table.target, source?.row),
  targetRow: named(table.target, target?.row),
  source: source?.print ?? null,
  target: target?.print ?? null,
})

/** Looks for the rows as both last had them all at once: the snapshot's files are read from end to end. */
export async function withBaselines(
  items: readonly (ToPark & { readonly born: boolean })[],
  context: ApplyContext,
): Promise<ApplyContext> {
  const { baselineRows, tables } = context
  if (baselineRows === undefined) return context
  const found = new Map<string, ReadonlyMap<string, Row> | string>()
  for (const [name, group] of Map.groupBy(items, (item) => item.table)) {
    const table = tables.get(name)
    const keys = group
      .filter((item) => !item.born && context.index.of(name, item.key) === undefined)
      .map((item) => baseKey(item, context))
    if (table !== undefined && keys.length > 0) found.set(name, await baselineRows(table.target, keys))
  }
  return { ...context, baselineRows: async (table) => found.get(fullName(table.name)) ?? new Map() }
}

/** The row's key when both hosts had it. */
const baseKey = (item: ToPark, { sourceSide }: ApplyContext): string =>
  sourceSide === 'old' ? item.key : (item.targetKey ?? item.key)

/** The row in the snapshot: it was restored from there, so it is what both last had unless a later pass carried it. */
async function baseOf(
  table: CarriedTable,
  item: ToPark,
  born: boolean,
  context: ApplyContext,
): Promise<Pick<ParkedRow, 'baseRow' | 'baseNote'>> {
  const { baselineRows, index } = context
  if (born) return { baseRow: null, baseNote: 'It was born after the snapshot.' }
  if (index.of(item.table, item.key) !== undefined)
    return {
      baseRow: null,
      baseNote: 'It was carried over before: the ledger keeps fingerprints of how both then stood, not the row.',
    }
  const key = baseKey(item, context)
  const rows = baselineRows === undefined ? 'The snapshot was not looked at.' : await baselineRows(table.target, [key])
  if (typeof rows === 'string') return { baseRow: null, baseNote: rows }
  const row = rows.get(key)
  if (row === undefined) return { baseRow: null, baseNote: "The snapshot's files don't hold it (any more)." }
  return { baseRow: named(table.target, row), baseNote: null }
}
