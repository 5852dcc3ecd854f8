import type { Database } from '../databases/port.ts'
import type { Column, Table } from '../databases/schema.ts'

/** Types whose values every server of an engine sorts alike, whatever its language, by the first word of the type. */
const FAMILIES: readonly (readonly [name: string, types: readonly string[]])[] = [
  ['number', ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint', 'decimal', 'numeric', 'money', 'smallmoney']],
  ['time', ['date', 'datetime', 'datetime2', 'smalldatetime', 'timestamp', 'datetimeoffset']],
  ['bytes', ['binary', 'varbinary', 'bytea', 'blob', 'tinyblob']],
  ['uuid', ['uuid', 'uniqueidentifier']],
]

/** Collations by the bytes themselves ("Collation Support" in PostgreSQL's documentation, section "Standard Collations"). */
const BYTEWISE = ['C', 'POSIX', 'ucs_basic']

/**
 * Names the order in which a host sorts the keys of a table: ranges of keys of two hosts hold the same rows only where it is the
 * same. `undefined` where it can't be told, since it depends on a library that says no version, and for a table without a key.
 */
export async function keyOrder(database: Database, table: Table): Promise<string | undefined> {
  if (table.key.length === 0) return undefined
  const columns = table.key.map((name) => table.columns.find((column) => column.name === name))
  const orders: string[] = []
  for (const column of columns) {
    const order = column === undefined ? undefined : (familyOf(column) ?? (await textOrder(database, column)))
    if (order === undefined) return undefined
    orders.push(order)
  }
  return orders.join(', ')
}

function familyOf({ type }: Column): string | undefined {
  const word = /^[a-z0-9]+/.exec(type.toLowerCase())?.[0] ?? ''
  return FAMILIES.find(([, types]) => types.includes(word))?.[0]
}

async function textOrder(database: Database, { type, collation }: Column): Promise<string | undefined> {
  if (collation !== null && BYTEWISE.includes(collation)) return `${type} by bytes`
  const info = await database.info()
  const version = info.facts?.collationVersion
  // Where collations have no version of their own, their names say all.
  if (version === undefined) return `${type} by ${collation ?? info.collation}`
  if (collation !== null) return undefined
  if (BYTEWISE.includes(info.collation)) return `${type} by bytes`
  return version === '' ? undefined : `${type} by ${info.collation} ${version}`
}
