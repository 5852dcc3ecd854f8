import type { Table } from '../schema.ts'
import { isLargeObjects, LARGE_OBJECT_STAMP } from './large-objects.ts'
import { ownRows } from './relation.ts'

/**
 * Columns as `sumSql`'s, over the numbers of the transactions that wrote the rows as they stand, and how many each wrote: no other
 * transaction has the same, and it stays when a row is frozen (documentation, "System Columns", and "Preventing Transaction ID Wraparound
 * Failures"). Few transactions wrote many rows: it is they that are hashed.
 * Large objects are hashed themselves: who wrote their pages only a superuser may see.
 */
const stampSql = (table: Table): string =>
  isLargeObjects(table)
    ? LARGE_OBJECT_STAMP
    : `SELECT coalesce(sum(w.n), 0), coalesce(sum(hashint8extended(w.by::text::bigint, w.n)), 0)
   FROM (SELECT t.xmin AS by, count(*) AS n FROM ${ownRows(table)} AS t GROUP BY t.xmin) AS w`

/** The same of several tables, each with its place among them before it: `SUMS_COLUMNS` columns. */
export const stampsSql = (tables: readonly Table[]): string =>
  tables.map((table, at) => `SELECT ${at}, s.* FROM (${stampSql(table)}) AS s`).join(' UNION ALL ')
