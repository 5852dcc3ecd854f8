import { MigrateError } from '../../base/errors.ts'
import type { Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table, type TableName } from '../schema.ts'
import { chunks, MOST_PARAMETERS, parameterOf, rowsPerStatement } from './keys.ts'
import { quoteNames, quoteTable } from './names.ts'
import type { Parameter } from './parameters.ts'
import type { Session } from './session.ts'
import { writeExpression } from './values.ts'
import { arrivingRow, byForms } from './variants.ts'

/**
 * `INSERT … SELECT CONVERT(…) FROM source`, identity values kept, followed by the count of rows inserted. `expressionOf`: SQL for a
 * column's value from the source's column; from text or bytes when absent.
 */
export function insertSql(table: Table, source: string, expressionOf = writeExpression): string {
  const columns = readableColumns(table)
  const values = columns.map((column, index) => expressionOf(column, `v.c${index}`))
  const name = quoteTable(table.name)
  const insert = `INSERT INTO ${name} (${quoteNames(columns.map((column) => column.name))}) SELECT ${values.join(', ')} FROM ${source} AS v`
  const kept = columns.some((column) => column.identity !== null)
  const [on, off] = kept ? [`SET IDENTITY_INSERT ${name} ON;\n`, `;\nSET IDENTITY_INSERT ${name} OFF`] : ['', '']
  return `${on}${insert};\nSELECT @@ROWCOUNT AS affected${off}`
}

/** `(VALUES (@p0, @p1), …)` with columns c0, c1, …; parameters from `first` on. */
function valuesSource(rows: readonly Row[], columns: readonly Column[], first: number): string {
  const lines = rows.map((row, at) => {
    const values = arrivingRow(columns, row, first + at * columns.length)
    return `(${values.join(', ')})`
  })
  return `(VALUES ${lines.join(', ')})`
}

export const columnAliases = (columns: number): string => Array.from({ length: columns }, (_, index) => `c${index}`).join(', ')

export const insertValuesSql = (table: Table, rows: readonly Row[], first = 0): string => {
  const columns = readableColumns(table)
  return insertSql(table, valuesSource(rows, columns, first)).replace(' AS v;', ` AS v(${columnAliases(columns.length)});`)
}

/** Rows for one table. */
export interface Insert {
  readonly table: Table
  readonly rows: readonly Row[]
}

/** Inserts rows into tables, in their order, by as few questions as the parameters allow. */
export async function insertTogether(session: Session, inserts: readonly Insert[]): Promise<void> {
  let open: Insert[] = []
  let used = 0
  const send = async (): Promise<void> => {
    if (open.length > 0) await insertAtOnce(session, open)
    open = []
    used = 0
  }
  for (const { table, rows } of inserts) {
    const columns = readableColumns(table)
    const parts = [...byForms(columns, rows)].flatMap((part) => chunks(part.rows, rowsPerStatement(columns.length)))
    for (const part of parts) {
      const parameters = part.length * columns.length
      if (used + parameters > MOST_PARAMETERS) await send()
      open.push({ table, rows: part })
      used += parameters
    }
  }
  await send()
}

async function insertAtOnce(session: Session, inserts: readonly Insert[]): Promise<void> {
  const parameters: Parameter[] = []
  const statements = inserts.map(({ table, rows }) => {
    const columns = readableColumns(table)
    const sql = insertValuesSql(table, rows, parameters.length)
    parameters.push(...rows.flatMap((row) => columns.map((column, index) => parameterOf(column, row[index]))))
    return sql
  })
  const counts = (await session.query(statements.join(';\n'), parameters)).rows
  for (const [at, { table, rows }] of inserts.entries()) {
    const count = Number(counts[at]?.[0] ?? -1)
    // A key WITH (IGNORE_DUP_KEY = ON) drops duplicates without an error.
    if (count !== rows.length) throw miscount(session, table.name, 'inserted', rows.length, count)
  }
}

/** The server wrote another number of rows than it was given. */
export const miscount = (session: Session, table: TableName, verb: string, wanted: number, got: number): MigrateError =>
  new MigrateError(
    'database-statement-failed',
    `${session.where.label}: ${wanted} row${wanted === 1 ? '' : 's'} of ${fullName(table)} should have been ${verb}, the server says ${got}. Everything was rolled back.`,
    { hint: 'The rows changed meanwhile; run again.' },
  )
