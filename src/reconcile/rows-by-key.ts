import type { Database, Row } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import { keyCells, RowReader } from './fingerprint.ts'

/** The port takes at most so many keys, or values, at a time. */
const MOST_AT_ONCE = 1000

/** As many at a time as the port takes. */
export function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += MOST_AT_ONCE) yield items.slice(at, at + MOST_AT_ONCE)
}

/** Rows with these keys (`keyText`), any number of them, each with its key; absent ones are absent. */
export async function* rowsByKey(
  database: Database,
  table: Table,
  keys: readonly string[],
): AsyncGenerator<readonly [key: string, row: Row]> {
  const reader = new RowReader(table)
  for (const some of portions(keys)) {
    for (const row of await database.rowsByKey(table, some.map(keyCells))) yield [reader.key(row), row]
  }
}

/** Those of the keys under which the table has a row. */
export async function existing(database: Database, table: Table, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for await (const [key] of rowsByKey(database, table, [...new Set(keys)])) found.add(key)
  return found
}
