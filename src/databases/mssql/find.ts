import type { Row } from '../port.ts'
import type { Column, Table } from '../schema.ts'
import { chunks, columnsNamed, keyColumns, keyCondition, keyParameters, rowsPerStatement } from './keys.ts'
import { quoteName } from './names.ts'
import { fromSql, LOCKED, rowShape } from './paging.ts'
import type { Session } from './session.ts'
import { compareExpression, decoderOf, selectExpression } from './values.ts'
import { arrivingRow } from './variants.ts'

/** Of a table that is read from end to end, HOLDLOCK would keep everybody's rows ("Table Hints (Transact-SQL)"). */
const LOCKED_ROWS = ' WITH (UPDLOCK, ROWLOCK)'

/**
 * See the port's `find`. Where no unique key leads to the rows, they are looked for without a lock, and then locked by their keys if
 * they still are what was looked for: a search that locks would hold every row that it reads, and customers would wait.
 */
export async function findRows(
  session: Session,
  table: Table,
  names: readonly string[],
  values: readonly Row[],
): Promise<readonly Row[]> {
  const columns = columnsNamed(table, names)
  // Half of a statement's parameters is left for keys. A NULL equals nothing.
  const wanted = chunks(
    values.filter((row) => columns.every((_column, index) => row[index] != null)),
    rowsPerStatement(2 * columns.length),
  )
  const found: (readonly Row[])[] = []
  for (const chunk of wanted) {
    if (isIndexed(table, names)) found.push(await select(session, table, LOCKED, { columns, values: chunk }))
    else if (table.key.length === 0) found.push(await select(session, table, LOCKED_ROWS, { columns, values: chunk }))
    else found.push(await lockFound(session, table, { columns, values: chunk }))
  }
  return merged(found)
}

/** Whether a unique key consists of nothing but these columns. */
const isIndexed = (table: Table, names: readonly string[]): boolean =>
  [table.primaryKey, ...table.uniqueKeys].some((key) => key?.columns.every((column) => names.includes(column)) === true)

interface Wanted {
  readonly columns: readonly Column[]
  readonly values: readonly Row[]
}

async function select(
  session: Session,
  table: Table,
  hints: string,
  { columns, values }: Wanted,
  keys: Wanted = { columns: [], values: [] },
): Promise<readonly Row[]> {
  const shape = rowShape(table)
  const before = keys.columns.length * keys.values.length
  const among = before === 0 ? '' : `(${keyCondition(keys.columns, keys.values)}) AND `
  const sql = `SELECT ${shape.list} ${fromSql(table, hints)} WHERE ${among}(${keyCondition(columns, values, before)})`
  const { rows } = await session.query(sql, [...keyParameters(keys.columns, keys.values), ...keyParameters(columns, values)])
  return shape.of(rows)
}

/** Keys of the rows that have one of these values; the values as a table, which the server can join with a whole other one. */
export function searchSql(table: Table, { columns, values }: Wanted): string {
  const list = keyColumns(table).map((column) => selectExpression(column, `t.${quoteName(column.name)}`))
  const rows = values.map((cells, row) => {
    const parameters = arrivingRow(columns, cells, row * columns.length)
    return `(${parameters.join(', ')})`
  })
  const names = columns.map((_, index) => `c${index}`)
  const same = columns.map((column, index) => `t.${quoteName(column.name)} = ${compareExpression(column, `v.c${index}`)}`)
  return `SELECT ${list.join(', ')} ${fromSql(table)}
WHERE EXISTS (SELECT 1 FROM (VALUES ${rows.join(', ')}) AS v(${names.join(', ')}) WHERE ${same.join(' AND ')})`
}

async function lockFound(session: Session, table: Table, wanted: Wanted): Promise<readonly Row[]> {
  const columns = keyColumns(table)
  const decoders = columns.map(decoderOf)
  const sql = searchSql(table, wanted)
  const { rows } = await session.query(sql, keyParameters(wanted.columns, wanted.values))
  const keys = rows.map((values) => values.map((value, index) => decoders[index]?.(value) ?? null))
  const locked: Row[] = []
  for (const chunk of chunks(keys, rowsPerStatement(2 * columns.length)))
    locked.push(...(await select(session, table, LOCKED, wanted, { columns, values: chunk })))
  return locked
}

/**
 * What several statements found, together: a row that equals values of two of them counts once, and copies of a row in a table without
 * a key, which each statement finds all of, as often as they are there.
 */
function merged(found: readonly (readonly Row[])[]): readonly Row[] {
  if (found.length < 2) return found.flat()
  const copies = new Map<string, readonly Row[]>()
  for (const rows of found) {
    for (const [text, same] of Map.groupBy(rows, (row) => JSON.stringify(row)))
      if (same.length > (copies.get(text)?.length ?? 0)) copies.set(text, same)
  }
  return [...copies.values()].flat()
}
