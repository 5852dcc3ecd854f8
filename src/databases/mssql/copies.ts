import type { Cell, Fingerprint, Printing, Row } from '../port.ts'
import { type Column, readableColumns, type Table } from '../schema.ts'
import { parameterOf } from './keys.ts'
import { quoteName, quoteTable } from './names.ts'
import { fromSql } from './paging.ts'
import type { Parameter } from './parameters.ts'
import { printSql } from './prints.ts'
import type { Session } from './session.ts'
import { cellOf, parseType, selectExpression, wireOf, writeExpression } from './values.ts'

interface Comparison {
  readonly sql: string
  readonly parameters: readonly Parameter[]
}

const IEEE: Readonly<Record<string, (number: number) => Buffer>> = {
  float: (number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(number)
    return bytes
  },
  real: (number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatBE(number)
    return bytes
  },
}

/**
 * True of exactly the value whose cell it is. Of what `=` takes for the same although cells differ: text by its collation and its
 * trailing spaces, bytes but for zeros at their end, an instant in two time zones, 0 and -0, and what can't be compared at all (text,
 * xml).
 */
function sameCell(column: Column, cell: Cell, place: number): Comparison {
  const name = quoteName(column.name)
  if (cell === null) return { sql: `${name} IS NULL`, parameters: [] }
  const value = `@p${place}`
  const type = parseType(column.codec).name
  const ieee = IEEE[type]
  if (ieee !== undefined) {
    const bytes = ieee(Number(cell))
    return { sql: `CONVERT(binary(${bytes.length}), ${name}) = ${value}`, parameters: [bytes] }
  }
  const parameters: readonly Parameter[] = [parameterOf(column, cell)]
  const read = selectExpression(column, name)
  if (wireOf(column).kind === 'binary')
    return { sql: `${read} = ${value} AND DATALENGTH(${read}) = DATALENGTH(${value})`, parameters }
  if (/char|text|xml|variant|^datetimeoffset$/.test(type)) {
    const sql = `${read} COLLATE Latin1_General_BIN2 = ${value} AND DATALENGTH(${read}) = DATALENGTH(${value})`
    return { sql, parameters }
  }
  return { sql: `${name} = ${writeExpression(column, value)}`, parameters }
}

/** Deletes at most `count` of the rows that have these cells, and tells how many. */
export function removeSql(
  table: Table,
  row: Row,
  count: number,
): { readonly sql: string; readonly parameters: readonly Parameter[] } {
  const { sql: same, parameters } = sameRow(table, row)
  return { sql: `DELETE TOP (${count}) FROM ${quoteTable(table.name)} WHERE ${same};\nSELECT @@ROWCOUNT AS affected`, parameters }
}

/** True of the rows that hold exactly these cells. */
function sameRow(table: Table, row: Row): Comparison {
  const parameters: Parameter[] = []
  const conditions = readableColumns(table).map((column, index) => {
    const same = sameCell(column, row[index] ?? null, parameters.length)
    parameters.push(...same.parameters)
    return same.sql
  })
  return { sql: conditions.join(' AND '), parameters }
}

/** See the port. */
export async function printOf(session: Session, table: Table, printing: Printing, row: Row): Promise<Fingerprint | undefined> {
  const { sql: same, parameters } = sameRow(table, row)
  const sql = `SELECT TOP (1) ${printSql(table, printing)} ${fromSql(table)} WHERE ${same}`
  const { rows } = await session.query(sql, parameters)
  return cellOf(rows[0]?.[0]) ?? undefined
}

/** See the port's `removeCopies`. */
export async function removeCopies(session: Session, table: Table, row: Row, count: number): Promise<number> {
  const { sql, parameters } = removeSql(table, row, count)
  const { rows } = await session.query(sql, parameters)
  return Number(rows.at(-1)?.[0] ?? 0)
}
