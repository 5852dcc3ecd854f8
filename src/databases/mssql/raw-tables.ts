import { type Column, readableColumns, type Table } from '../schema.ts'
import type { RawTarget } from './bulk-types.ts'
import { keyColumns } from './keys.ts'
import { quoteName } from './names.ts'
import type { RawColumn } from './tds-columns.ts'
import { isCodePage, parseType } from './values.ts'

/** Types whose values a server sends as it takes them in a bulk load: they pass from one to the other without being looked into. */
const RAW_TYPES: ReadonlySet<string> = new Set([
  ...['bit', 'tinyint', 'smallint', 'int', 'bigint', 'decimal', 'numeric', 'money', 'smallmoney', 'float', 'real'],
  ...['uniqueidentifier', 'char', 'varchar', 'nchar', 'nvarchar', 'binary', 'varbinary'],
  ...['date', 'time', 'datetime', 'datetime2', 'smalldatetime', 'datetimeoffset'],
])

/**
 * True for a table whose rows travel as they are. Not where text of a code page is part of the key: the next page is asked for by the last
 * key of the one before, and what such bytes mean only their server knows for certain.
 */
export const travelsRaw = (table: Table): boolean =>
  readableColumns(table).every(({ codec }) => RAW_TYPES.has(parseType(codec).name)) &&
  (table.key.length === 0 || !keyColumns(table).some(isCodePage))

/**
 * The columns of a bulk load of such rows, described as SqlBulkCopy does: text with its collation, by which the server reads it; NULL
 * allowed exactly where the table's column allows it, else the server takes none of it (error 4816). What is declared in another type than
 * the column's is converted as INSERT converts it.
 */
export const rawTargets = (table: Table, columns: readonly RawColumn[]): readonly RawTarget[] =>
  readableColumns(table).flatMap((column, index) => {
    const raw = columns[index]
    if (raw === undefined) return []
    const name = quoteName(column.name).slice(1, -1)
    return [{ name, declaration: declarationOf(column), type: raw.type, nullable: column.nullable }]
  })

function declarationOf(column: Column): string {
  const { name, sizes } = parseType(column.codec)
  // Every decimal comes with 38 digits (tds-rows.ts).
  if (name === 'decimal' || name === 'numeric') return `${name}(38,${sizes[1] ?? 0})`
  return column.collation === null ? column.codec : `${column.codec} COLLATE ${column.collation}`
}
