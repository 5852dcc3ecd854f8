import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import type { KeyCells, Reader, ReadOptions, Row, TableSize } from '../port.ts'
import { fullName, type Table } from '../schema.ts'
import { catalogColumns, THIS_DATABASE } from './catalog.ts'
import { chunks, keyColumns, keyCondition, keyParameters, rowsPerStatement } from './keys.ts'
import { isOwnTable } from './names.ts'
import { boundary, fromSql, readShaped, rowShape } from './paging.ts'
import { printShape, rangeSum, rangeSums } from './prints.ts'
import { type Pages, readBlocks } from './read-blocks.ts'
import type { Session } from './session.ts'

/** A reader on one session. What it reads, and how long it holds locks: paging.ts. */
export const readerOn = (session: Session, consistent: boolean): Reader => {
  const pages: Pages = new Map()
  return {
    consistent,
    rows: (table, options = {}) => readShaped(session, table, rowShape(table), patient(options, consistent)),
    blocks: (table, options = {}) => readBlocks(session, table, patient(options, consistent), pages),
    boundary: (table, rows, after, signal) => boundary(session, table, rows, after, signal),
    count: (table, signal) => countRows(session, table, signal),
    sum: (table, printing, range = {}) => rangeSum(session, table, printing, range),
    sums: (table, printing, ranges, signal) => rangeSums(session, table, printing, ranges, signal),
    prints: (table, printing, options = {}) => readShaped(session, table, printShape(table, printing), options),
  }
}

/** The snapshot of a consistent reader ends with a query that is cancelled: such a one has the time of every question. */
const patient = ({ quietMs, ...options }: ReadOptions, consistent: boolean): ReadOptions =>
  consistent || quietMs === undefined ? options : { ...options, quietMs }

/**
 * By COUNT_BIG, since a table may hold more rows than an int, which COUNT gives ("COUNT_BIG (Transact-SQL)"). In a snapshot it counts
 * that one instant. Else it is one statement at READ COMMITTED, which holds no lock of a row that it has gone past, and may count a row twice,
 * or not at all, whose place in the index somebody changes meanwhile ("Transaction Locking and Row Versioning Guide", concurrency effects).
 */
async function countRows(session: Session, table: Table, signal?: AbortSignal): Promise<number> {
  const sql = `SELECT CONVERT(nvarchar(20), COUNT_BIG(*)) ${fromSql(table)}`
  let rows: number | undefined
  for await (const [row] of session.stream(sql, [], { signal, drain: true, long: true })) rows = Number(row?.[0] ?? rows)
  if (rows === undefined) throw new MigrateError('fault', `The server didn't tell how many rows ${fullName(table.name)} has.`)
  return rows
}

/** Rows with these keys; `hints` as they stand after the table's name, for instance ` WITH (UPDLOCK)`. */
export async function rowsByKey(session: Session, table: Table, keys: readonly KeyCells[], hints = ''): Promise<readonly Row[]> {
  const columns = keyColumns(table)
  const shape = rowShape(table)
  const rows: Row[] = []
  for (const chunk of chunks(keys, rowsPerStatement(columns.length))) {
    const sql = `SELECT ${shape.list} ${fromSql(table, hints)} WHERE ${keyCondition(columns, chunk)}`
    const result = await session.query(sql, keyParameters(columns, chunk))
    rows.push(...shape.of(result.rows))
  }
  return rows
}

/** Whether the database lets a transaction see one instant (SNAPSHOT), and all of its tables can be read by such a one. */
export async function allowsSnapshot(session: Session): Promise<boolean> {
  const [database] = await session.ask(
    z.object({ state: z.number().nullable() }),
    `SELECT CONVERT(int, d.snapshot_isolation_state) AS [state] FROM sys.databases d WHERE ${THIS_DATABASE}`,
  )
  return database?.state === 1 && !(await hasMemoryTables(session))
}

/**
 * A session at SNAPSHOT can't read memory-optimized tables: error 41332 ("Transactions with Memory-Optimized Tables", isolation levels of
 * cross-container transactions). SQL Server 2012 has none, nor the column that tells.
 */
async function hasMemoryTables(session: Session): Promise<boolean> {
  if (!(await catalogColumns(session)).has('tables.is_memory_optimized')) return false
  const [found] = await session.ask(
    z.object({ tables: z.number() }),
    'SELECT COUNT(*) AS [tables] FROM sys.tables t WHERE t.is_memory_optimized = 1',
  )
  return found !== undefined && found.tables > 0
}

/** Begins such a transaction. The instant is that of the first row read ("SET TRANSACTION ISOLATION LEVEL"). */
export async function beginSnapshot(session: Session): Promise<void> {
  await session.batch('SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION')
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
