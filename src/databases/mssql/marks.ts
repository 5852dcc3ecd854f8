import { z } from 'zod'
import { LEDGER_PAGE, type LedgerPage, ledgerPage } from '../ledger.ts'
import type { LedgerEntry } from '../port.ts'
import { isDuplicate } from './errors.ts'
import { chunks, rowsPerStatement } from './keys.ts'
import { LEDGER_TABLE, MARKS_TABLE, quoteName, quoteText } from './names.ts'
import type { Values } from './row-buffer.ts'
import type { Session } from './session.ts'
import { cellOf } from './values.ts'

/**
 * migrate's own two tables, in the account's default schema. Names compare byte by byte, whatever the database's collation; a key
 * has at most 900 bytes (the limit before SQL Server 2016).
 */
const TABLES: Readonly<Record<string, string>> = {
  [MARKS_TABLE]: `(
  run nvarchar(64) COLLATE Latin1_General_BIN2 NOT NULL,
  name nvarchar(380) COLLATE Latin1_General_BIN2 NOT NULL,
  CONSTRAINT migrate_marks_key PRIMARY KEY (run, name)
)`,
  [LEDGER_TABLE]: `(
  id bigint IDENTITY(1,1) NOT NULL CONSTRAINT migrate_ledger_key PRIMARY KEY,
  run nvarchar(64) COLLATE Latin1_General_BIN2 NOT NULL,
  table_name nvarchar(300) COLLATE Latin1_General_BIN2 NOT NULL,
  source_key nvarchar(max) NOT NULL,
  target_key nvarchar(max) NOT NULL,
  action nvarchar(20) NOT NULL,
  source_state nvarchar(max) NOT NULL,
  target_state nvarchar(max) NOT NULL,
  at nvarchar(40) NOT NULL
)`,
}

export interface Mark {
  readonly run: string
  readonly name: string
}

const ownRow = z.object({ schema: z.string(), id: z.number().nullable() })

/** Migrate's tables as the account sees them: `[dbo].[migrate_marks]`. */
async function ownTable(session: Session, table: string): Promise<{ readonly name: string; readonly exists: boolean }> {
  const [found] = await session.ask(
    ownRow,
    `SELECT CONVERT(nvarchar(128), SCHEMA_NAME()) AS [schema], OBJECT_ID(QUOTENAME(SCHEMA_NAME()) + ${quoteText(`.${quoteName(table)}`)}, N'U') AS [id]`,
  )
  return { name: `${quoteName(found?.schema ?? 'dbo')}.${quoteName(table)}`, exists: found?.id != null }
}

/** Makes the table when it isn't there; two that make it at once both succeed. Not for use inside a transaction. */
export async function ensureOwnTable(session: Session, table: string): Promise<string> {
  const own = await ownTable(session, table)
  if (own.exists) return own.name
  try {
    await session.batch(`CREATE TABLE ${own.name} ${TABLES[table] ?? ''}`)
  } catch (error) {
    const other = await ownTable(session, table)
    if (!isDuplicate(error) && !other.exists) throw error
  }
  return own.name
}

export async function readMarks(session: Session, run: string): Promise<ReadonlySet<string>> {
  const own = await ownTable(session, MARKS_TABLE)
  if (!own.exists) return new Set()
  const rows = await session.ask(z.object({ name: z.string() }), `SELECT name FROM ${own.name} WHERE run = @p0`, [run])
  return new Set(rows.map((row) => row.name))
}

/** Rows of `(VALUES (@p1), …)` that are not marks of the run @p0 yet. */
const newMarksSql = (table: string, marks: number): string =>
  `INSERT INTO ${table} (run, name) OUTPUT inserted.name SELECT @p0, v.name FROM (VALUES ${Array.from({ length: marks }, (_, at) => `(@p${at + 1})`).join(', ')}) AS v(name)
WHERE NOT EXISTS (SELECT 1 FROM ${table} AS m WHERE m.run = @p0 AND m.name = v.name COLLATE Latin1_General_BIN2)`

/**
 * Inside a transaction: sets marks of one run and gives the names of those that weren't there. One that another transaction is
 * setting is waited for. A new row is locked by itself alone: whoever sets another mark beside it isn't held up.
 */
export async function setMarks(session: Session, table: string, marks: readonly Mark[]): Promise<ReadonlySet<string>> {
  const set = new Set<string>()
  for (const chunk of chunks(marks, rowsPerStatement(1))) {
    const parameters = [chunk[0]?.run ?? '', ...chunk.map(({ name }) => name)]
    const { rows } = await session.query(newMarksSql(table, chunk.length), parameters)
    for (const [name] of rows) set.add(String(name))
  }
  return set
}

/** Inside a transaction: whether the mark was there. */
export async function removeMark(session: Session, table: string, mark: Mark): Promise<boolean> {
  const { rows } = await session.query(`DELETE FROM ${table} OUTPUT deleted.name WHERE run = @p0 AND name = @p1`, [
    mark.run,
    mark.name,
  ])
  return rows.length > 0
}

export async function dropOwnTables(session: Session): Promise<void> {
  for (const table of [LEDGER_TABLE, MARKS_TABLE]) {
    const own = await ownTable(session, table)
    if (own.exists) await session.batch(`DROP TABLE ${own.name}`)
  }
}

const LEDGER_COLUMNS = ['run', 'table_name', 'source_key', 'target_key', 'action', 'source_state', 'target_state', 'at']

/** Rows get their identity in the order of ORDER BY ("INSERT (Transact-SQL)", best practices): the newest stays the last. */
export function ledgerSql(table: string, entries: number): string {
  const width = LEDGER_COLUMNS.length
  const rows = Array.from(
    { length: entries },
    (_, row) => `(${[row, ...LEDGER_COLUMNS.map((_column, index) => `@p${row * width + index}`)].join(', ')})`,
  )
  const columns = LEDGER_COLUMNS.join(', ')
  return `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM (VALUES ${rows.join(', ')}) AS v(place, ${columns}) ORDER BY place`
}

/** Inside a transaction. */
export async function writeLedger(session: Session, table: string, entries: readonly LedgerEntry[]): Promise<void> {
  for (const chunk of chunks(entries, rowsPerStatement(LEDGER_COLUMNS.length))) {
    const parameters = chunk.flatMap((each) => [
      each.run,
      each.table,
      each.sourceKey,
      each.targetKey,
      each.action,
      each.sourceState,
      each.targetState,
      each.at,
    ])
    await session.query(ledgerSql(table, chunk.length), parameters)
  }
}

/** The columns have the database's collation, which as a rule takes either case of a letter for the same. */
const exactly = (column: string): string => `${column} COLLATE Latin1_General_BIN2`

/** Entries of a run for a table after a place; with `keys`, only those of rows with one of them. */
export async function ledgerPageOf(
  session: Session,
  run: string,
  table: string,
  after: string,
  keys?: readonly string[],
): Promise<LedgerPage> {
  const own = await ownTable(session, LEDGER_TABLE)
  const of = (top: string, where: string): string =>
    `SELECT ${top}CONVERT(nvarchar(20), id), source_key, target_key, action, source_state, target_state, at FROM ${own.name}
WHERE run = @p0 AND table_name = @p1 AND ${where} ORDER BY id`
  const found = async (): Promise<readonly Values[]> => {
    if (!own.exists) return []
    if (keys === undefined)
      return (await session.query(of(`TOP (${LEDGER_PAGE}) `, 'id > CONVERT(bigint, @p2)'), [run, table, after])).rows
    const rows: Values[] = []
    for (const chunk of chunks(keys, rowsPerStatement(1))) {
      const among = chunk.map((_, at) => `@p${2 + at}`).join(', ')
      rows.push(
        ...(
          await session.query(of('', `(${exactly('source_key')} IN (${among}) OR ${exactly('target_key')} IN (${among}))`), [
            run,
            table,
            ...chunk,
          ])
        ).rows,
      )
    }
    return rows
  }
  const rows = (await found()).map((values) => values.map(cellOf))
  return ledgerPage(rows, run, table, session.where.label)
}
