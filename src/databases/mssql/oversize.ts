import { z } from 'zod'
import { type Finding, MigrateError } from '../../base/errors.ts'
import { formatBytes } from '../../base/units.ts'
import { type Column, fullName, keyPositions, readableColumns, type Schema, type Table } from '../schema.ts'
import { quoteName, quoteTable, quoteText } from './names.ts'
import type { Session } from './session.ts'
import { isCodePage, selectExpression, wireOf } from './values.ts'
import { isVariant } from './variants.ts'

/** A row that is compared or carried must fit into one JavaScript string, which holds 2^29 - 24 characters (V8, "v8::String::kMaxLength"). */
const MOST_ROW_CHARACTERS = 2 ** 29 - 24
/** A row without a key can't be asked for again, piece by piece: it takes several times its size in memory. */
export const MOST_KEYLESS_BYTES = 64 * 2 ** 20
/** Text of a code page is read as Unicode, of which a value holds 2^31 - 1 bytes ("nchar and nvarchar (Transact-SQL)"). */
const MOST_CHARACTERS = 2 ** 30 - 1
/** xml is kept in a binary form, which is shorter than its text; no table with less than this can hold a row that is too large. */
const PLAUSIBLE_BYTES = MOST_KEYLESS_BYTES / 8
const MOST_NAMED = 5

/** See the port. Asks only tables that could have such a row; DATALENGTH of a value kept outside its row doesn't read it. */
export async function oversize(session: Session, { tables }: Pick<Schema, 'tables'>): Promise<readonly Finding[]> {
  const wanted = tables.filter((table) => unlimitedColumns(table).length > 0)
  if (wanted.length === 0) return []
  const large = await largeTables(session)
  const findings: Finding[] = []
  for (const table of wanted) {
    if (large !== undefined && !large.has(fullName(table.name))) continue
    for (const row of await session.ask(oversizeRow, oversizeSql(table))) findings.push(oversizeFinding(table, row))
  }
  return findings
}

/** Columns whose values have no limit but the server's own. */
export const unlimitedColumns = (table: Table): readonly Column[] =>
  readableColumns(table).filter((column) => wireOf(column).length === 'max' && !isVariant(column))

const oversizeRow = z.object({ key: z.string().nullable(), column: z.string(), size: z.string(), unreadable: z.number() })

/** Characters of a value's cell: two for a byte; nvarchar's bytes halved; a text of a code page has at most as many as bytes. */
function characters(column: Column): string {
  const name = `t.${quoteName(column.name)}`
  if (wireOf(column).kind === 'binary') return `2 * CONVERT(bigint, DATALENGTH(${name}))`
  if (column.codec === 'nvarchar(max)' || column.codec === 'ntext') return `CONVERT(bigint, DATALENGTH(${name})) / 2`
  if (column.codec !== 'xml') return `CONVERT(bigint, DATALENGTH(${name}))`
  return `CASE WHEN DATALENGTH(${name}) > ${PLAUSIBLE_BYTES} THEN CONVERT(bigint, DATALENGTH(CONVERT(nvarchar(max), ${name}))) / 2 ELSE 0 END`
}

/** Bytes of a column's value as it is sent: text of a code page and xml become Unicode. */
export const sentBytes = (column: Column, reference: string): string =>
  `${isCodePage(column) || column.codec === 'xml' ? '2 * ' : ''}CONVERT(bigint, DATALENGTH(${reference}))`

/** The first rows that are too large: key, largest column, characters of the whole, or the bytes of one without a key. */
export function oversizeSql(table: Table): string {
  const columns = unlimitedColumns(table)
  const hasKey = table.key.length > 0
  const sizes = columns.map(
    (column) => `ISNULL(${hasKey ? characters(column) : sentBytes(column, `t.${quoteName(column.name)}`)}, 0)`,
  )
  const most = hasKey ? MOST_ROW_CHARACTERS : MOST_KEYLESS_BYTES
  const long = columns.filter(isCodePage).map((column) => `DATALENGTH(t.${quoteName(column.name)}) > ${MOST_CHARACTERS}`)
  const unreadable = long.length === 0 ? '0' : `CASE WHEN ${long.join(' OR ')} THEN 1 ELSE 0 END`
  const keys = table.key.flatMap((name) => {
    const column = table.columns.find((each) => each.name === name)
    return column === undefined
      ? []
      : [`ISNULL(CONVERT(nvarchar(100), ${selectExpression(column, `t.${quoteName(name)}`)}), N'NULL')`]
  })
  const largest = sizes.map((size, index) => {
    const others = sizes.filter((_, other) => other !== index).map((other) => `${size} >= ${other}`)
    return `WHEN ${others.length === 0 ? '1 = 1' : others.join(' AND ')} THEN ${quoteText(columns[index]?.name ?? '')}`
  })
  return `SELECT TOP (${MOST_NAMED}) ${keys.length === 0 ? 'CONVERT(nvarchar(100), NULL)' : keys.join(" + N', ' + ")} AS [key],
  CASE ${largest.join(' ')} END AS [column], CONVERT(nvarchar(20), ${sizes.join(' + ')}) AS [size], ${unreadable} AS [unreadable]
FROM ${quoteTable(table.name)} AS t WHERE ${sizes.join(' + ')} > ${most}`
}

/** Tables whose values outside their rows take enough room; `undefined` where the server doesn't tell ("sys.allocation_units"). */
async function largeTables(session: Session): Promise<ReadonlySet<string> | undefined> {
  const { rows } = await session.query("SELECT OBJECT_ID(N'sys.allocation_units') AS [id]")
  if (rows[0]?.[0] == null) return undefined
  const found = await session.ask(
    z.object({ schema: z.string(), name: z.string() }),
    `SELECT s.name AS [schema], t.name AS [name] FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id < 2
JOIN sys.allocation_units a ON a.container_id = p.partition_id AND a.type = 2
GROUP BY s.name, t.name HAVING SUM(a.total_pages) > ${Math.trunc(PLAUSIBLE_BYTES / 8192)}`,
  )
  return new Set(found.map(fullName))
}

/** What is told of a row that `oversizeSql` found. */
export function oversizeFinding(table: Table, row: z.infer<typeof oversizeRow>): Finding {
  const size = Number(row.size)
  if (table.key.length > 0 && row.unreadable === 0) return carriedOnce(table, row.key ?? '', row.column, size)
  const { message, code, hint } =
    table.key.length === 0
      ? refuseKeyless(table, size, row.column)
      : tooLarge(table, row.key ?? '', row.column, size, MOST_CHARACTERS)
  return { severity: 'error', code, message, hint }
}

const HINT =
  'Move this value into a file or several rows on the old host, or set the table to skip in the playbook and move it by hand.'

const carriedOnce = (table: Table, key: string, column: string, size: number): Finding => ({
  severity: 'warning',
  code: 'row-too-large-to-carry',
  message: `The row ${key} of ${fullName(table.name)} is copied in pieces, but couldn't be carried if it changed after the snapshot: its values, of which ${column} is the largest, take ${formatBytes(size)} as text; ${formatBytes(MOST_ROW_CHARACTERS)} is the most.`,
  hint: 'Let nobody change this row until the migration is over, or set the table to copy-only in the playbook.',
})

const tooLarge = (table: Table, key: string, column: string, size: number, most = MOST_ROW_CHARACTERS): MigrateError =>
  new MigrateError(
    'row-too-large',
    `The row ${key} of ${fullName(table.name)} is too large to be read: its values, of which ${column} is the largest, take ${formatBytes(size)} as text; ${formatBytes(most)} is the most.`,
    { hint: HINT },
  )

/** A row of a table without a key, of whose values so many bytes would be sent. */
export function refuseKeyless(table: Table, size: number, column?: string): MigrateError {
  const largest = column === undefined ? '' : `, of which ${column} is the largest,`
  return new MigrateError(
    'row-too-large',
    `A row of ${fullName(table.name)}, which has no key, is too large to be read at once: its values${largest} take ${formatBytes(size)}; ${formatBytes(MOST_KEYLESS_BYTES)} is the most, since nothing tells it apart to be read in pieces.`,
    { hint: `Give the table a primary key on the old host: then it is read in pieces. Or: ${HINT}` },
  )
}

const charactersOf = (value: unknown): number =>
  typeof value === 'string' ? value.length : Buffer.isBuffer(value) ? 2 * value.length : 0

/** Throws `row-too-large` for values of the table's readable columns, as the driver gives them, that are too large together. */
export function refuseOversize(table: Table, values: readonly unknown[]): void {
  let total = 0
  for (const value of values) total += charactersOf(value)
  if (total <= MOST_ROW_CHARACTERS) return
  const columns = readableColumns(table)
  const sizes = values.map(charactersOf)
  const largest = sizes.reduce((best, size, at) => (size > (sizes[best] ?? 0) ? at : best), 0)
  const key = keyPositions(table).map((at) => ((sizes[at] ?? 0) > 4000 ? '…' : String(values[at])))
  throw tooLarge(table, key.length === 0 ? 'without a key' : key.join(', '), columns[largest]?.name ?? '', total)
}
