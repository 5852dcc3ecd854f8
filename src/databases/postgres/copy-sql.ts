import type { ReadOptions } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import { keyRange } from './keys.ts'
import { ownRows } from './relation.ts'
import { quoteNames } from './values.ts'

/** COPY of a table's readable columns; `ordered`: by its key when it has one. */
export function copySql(
  table: Table,
  {
    after,
    upTo,
    limit,
    ordered,
    binary,
  }: Pick<ReadOptions, 'after' | 'upTo' | 'limit'> & { readonly ordered: boolean; readonly binary?: boolean },
): string {
  const columns = quoteNames(readableColumns(table).map((column) => column.name))
  const parts = [`SELECT ${columns} FROM ${ownRows(table)} AS t`]
  const range = keyRange(table, { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) })
  if (range !== undefined) parts.push(`WHERE ${range}`)
  // The first so many rows are those with the lowest keys.
  if (table.key.length > 0 && (ordered || limit !== undefined)) parts.push(`ORDER BY ${quoteNames(table.key)}`)
  if (limit !== undefined) parts.push(`LIMIT ${Math.trunc(limit)}`)
  return `${copyOf(parts.join(' '))}${binary === true ? ' (FORMAT binary)' : ''}`
}

export const copyOf = (query: string): string => `COPY (${query}) TO STDOUT`
