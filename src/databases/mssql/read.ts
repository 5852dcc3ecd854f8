import { z } from 'zod'
import type { KeyCells, Reader, ReadOptions, Row, TableSize } from '../port.ts'
import { type Column, keyPositions, readableColumns, type Table } from '../schema.ts'
import {
  afterCondition,
  chunks,
  keyColumns,
  keyCondition,
  keyParameters,
  rowsPerStatement,
  selectList,
  upToCondition,
} from './keys.ts'
import { isOwnTable, quoteName, quoteNames, quoteTable } from './names.ts'
import { refuseOversize } from './oversize.ts'
import type { Values } from './row-buffer.ts'
import type { Session } from './session.ts'
import { decoderOf, selectExpression } from './values.ts'

/** Rows of a page: the first is small, since nobody knows yet how large rows are; later ones aim at PAGE_BYTES. */
const FIRST_PAGE = 200
const LARGEST_PAGE = 5000
const PAGE_BYTES = 8 * 1024 * 1024

/** Makes rows of the table's readable columns from what the driver gives. */
function rowReader(table: Table): (batch: readonly Values[]) => readonly Row[] {
  const decoders = readableColumns(table).map(decoderOf)
  return (batch) =>
    batch.map((values) => {
      refuseOversize(table, values)
      return values.map((value, index) => decoders[index]?.(value) ?? null)
    })
}

/** Which ends of a range of keys a statement has as parameters: first those of `after`, then those of `upTo`. */
interface Ends {
  readonly after: boolean
  readonly upTo: boolean
}

function rangeSql(columns: readonly Column[], ends: Ends): string {
  const conditions = [
    ...(ends.after ? [afterCondition(columns)] : []),
    ...(ends.upTo ? [upToCondition(columns, ends.after ? columns.length : 0)] : []),
  ]
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

const orderSql = (columns: readonly Column[]): string => ` ORDER BY ${quoteNames(columns.map((column) => column.name))}`

/** One page of a table with a key. */
export function pageSql(table: Table, rows: number, ends: Ends): string {
  const columns = keyColumns(table)
  return `SELECT TOP (${rows}) ${selectList(table)} FROM ${quoteTable(table.name)}${rangeSql(columns, ends)}${orderSql(columns)}`
}

/** The key of the `rows`th row, after a key's parameters where there is one ("SELECT - ORDER BY clause", OFFSET: since 2012). */
export function boundarySql(table: Table, rows: number, after: boolean): string {
  const columns = keyColumns(table)
  const keys = columns.map((column) => selectExpression(column, quoteName(column.name)))
  return `SELECT ${keys.join(', ')} FROM ${quoteTable(table.name)}${rangeSql(columns, { after, upTo: false })}${orderSql(columns)} OFFSET ${rows - 1} ROWS FETCH NEXT 1 ROWS ONLY`
}

async function boundary(
  session: Session,
  table: Table,
  rows: number,
  after?: KeyCells,
  signal?: AbortSignal,
): Promise<KeyCells | undefined> {
  const decoders = keyColumns(table).map(decoderOf)
  const parameters = after === undefined ? [] : keyParameters(keyColumns(table), [after])
  for await (const [row] of session.stream(boundarySql(table, rows, after !== undefined), parameters, { signal, drain: true }))
    if (row !== undefined) return row.map((value, index) => decoders[index]?.(value) ?? null)
  return undefined
}

/**
 * A reader on one session. A table with a key is read page by page, each asked for by the last key and read to its end, so that no
 * lock outlives a page while the reader waits for whoever takes the rows; one without a key is one statement.
 */
export const readerOn = (session: Session, consistent: boolean): Reader => ({
  consistent,
  rows: (table, options = {}) => (table.key.length > 0 ? pages(session, table, options) : wholeTable(session, table, options)),
  boundary: (table, rows, after, signal) => boundary(session, table, rows, after, signal),
})

async function* pages(session: Session, table: Table, options: ReadOptions): AsyncGenerator<readonly Row[]> {
  const columns = keyColumns(table)
  const positions = keyPositions(table)
  const rowsOf = rowReader(table)
  const { upTo } = options
  let after = options.after
  let left = options.limit ?? Number.POSITIVE_INFINITY
  let page = FIRST_PAGE
  while (left > 0) {
    const asked = Math.min(page, left)
    const ends = [after, upTo].filter((key) => key !== undefined)
    const sql = pageSql(table, asked, { after: after !== undefined, upTo: upTo !== undefined })
    let got = 0
    let bytes = 0
    for await (const batch of session.stream(sql, keyParameters(columns, ends), {
      signal: options.signal,
      drain: true,
    })) {
      const rows = rowsOf(batch)
      got += rows.length
      bytes += sizeOf(rows)
      after = keyOf(rows.at(-1), positions) ?? after
      yield rows
    }
    if (got < asked) return
    left -= got
    page = Math.max(1, Math.min(LARGEST_PAGE, Math.ceil((got * PAGE_BYTES) / Math.max(bytes, 1)), page * 4))
  }
}

const keyOf = (row: Row | undefined, positions: readonly number[]): KeyCells | undefined =>
  row === undefined ? undefined : positions.map((position) => row[position] ?? null)

const sizeOf = (rows: readonly Row[]): number =>
  rows.reduce((sum, row) => sum + row.reduce((bytes, cell) => bytes + 2 * (cell?.length ?? 0), 16), 0)

async function* wholeTable(session: Session, table: Table, options: ReadOptions): AsyncGenerator<readonly Row[]> {
  const top = options.limit === undefined ? '' : `TOP (${options.limit}) `
  const sql = `SELECT ${top}${selectList(table)} FROM ${quoteTable(table.name)}`
  const rowsOf = rowReader(table)
  for await (const batch of session.stream(sql, [], { signal: options.signal, drain: false })) yield rowsOf(batch)
}

/** Rows with these keys; `hints` as they stand after the table's name, for instance ` WITH (UPDLOCK)`. */
export async function rowsByKey(session: Session, table: Table, keys: readonly KeyCells[], hints = ''): Promise<readonly Row[]> {
  const columns = keyColumns(table)
  const rowsOf = rowReader(table)
  const rows: Row[] = []
  for (const chunk of chunks(keys, rowsPerStatement(columns.length))) {
    const sql = `SELECT ${selectList(table)} FROM ${quoteTable(table.name)}${hints} WHERE ${keyCondition(columns, chunk.length)}`
    const result = await session.query(sql, keyParameters(columns, chunk))
    rows.push(...rowsOf(result.rows))
  }
  return rows
}

/**
 * Begins a transaction that sees one instant (SNAPSHOT), where the database allows it; false otherwise. The instant is that of the
 * first row read ("SET TRANSACTION ISOLATION LEVEL").
 */
export async function beginSnapshot(session: Session): Promise<boolean> {
  const [database] = await session.ask(
    z.object({ state: z.number().nullable() }),
    'SELECT CONVERT(int, snapshot_isolation_state) AS [state] FROM sys.databases WHERE database_id = DB_ID()',
  )
  if (database?.state !== 1) return false
  await session.batch('SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION')
  return true
}

export async function endSnapshot(session: Session): Promise<void> {
  await session.batch('COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED')
}

const rowCountRow = z.object({ schema: z.string(), name: z.string(), rows: z.string().nullable() })

/** Rows by the catalog's count; bytes by the pages in use, or estimated from the columns' widths where the server doesn't tell. */
export async function tableSizes(session: Session): Promise<readonly TableSize[]> {
  const rows = await session.ask(
    rowCountRow,
    `SELECT s.name AS [schema], t.name AS [name], CONVERT(nvarchar(20), SUM(p.rows)) AS [rows]
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
LEFT JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id < 2
WHERE t.is_ms_shipped = 0
GROUP BY s.name, t.name ORDER BY s.name, t.name`,
  )
  const bytes = (await hasAllocationUnits(session)) ? await usedBytes(session) : await estimatedBytes(session)
  return rows
    .filter((row) => !isOwnTable(row.name))
    .map((row) => {
      const count = Number(row.rows ?? 0)
      const known = bytes.get(`${row.schema}.${row.name}`) ?? 0
      return { table: { schema: row.schema, name: row.name }, rows: count, bytes: bytes.exact ? known : known * count }
    })
}

class Bytes extends Map<string, number> {
  readonly exact: boolean
  constructor(exact: boolean, entries: readonly (readonly [string, number])[]) {
    super(entries)
    this.exact = exact
  }
}

async function hasAllocationUnits(session: Session): Promise<boolean> {
  const { rows } = await session.query("SELECT OBJECT_ID(N'sys.allocation_units') AS [id]")
  return rows[0]?.[0] != null
}

const bytesRow = z.object({ schema: z.string(), name: z.string(), bytes: z.string().nullable() })
const entry = (row: z.infer<typeof bytesRow>): readonly [string, number] => [`${row.schema}.${row.name}`, Number(row.bytes ?? 0)]

/** Pages of the rows themselves, without other indexes ("sys.allocation_units"); a page has 8 KiB. */
async function usedBytes(session: Session): Promise<Bytes> {
  const rows = await session.ask(
    bytesRow,
    `SELECT s.name AS [schema], t.name AS [name], CONVERT(nvarchar(20), SUM(a.used_pages) * 8192) AS [bytes]
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id < 2
JOIN sys.allocation_units a ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
GROUP BY s.name, t.name`,
  )
  return new Bytes(true, rows.map(entry))
}

/** Bytes of one row: half of what each column may hold, 200 for an unlimited one. */
async function estimatedBytes(session: Session): Promise<Bytes> {
  const rows = await session.ask(
    bytesRow,
    `SELECT s.name AS [schema], t.name AS [name], CONVERT(nvarchar(20), SUM(CASE WHEN c.max_length < 0 THEN 200 WHEN c.max_length > 16 THEN c.max_length / 2 ELSE c.max_length END)) AS [bytes]
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id JOIN sys.columns c ON c.object_id = t.object_id
GROUP BY s.name, t.name`,
  )
  return new Bytes(false, rows.map(entry))
}
