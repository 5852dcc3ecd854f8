import type { Table } from '../schema.ts'
import { ownRows } from './relation.ts'

/**
 * Columns as `sumSql`'s, over the numbers of the transactions that wrote the rows as they stand, and how many each wrote: no other
 * transaction has the same, and it stays when a row is frozen (documentation, "System Columns", and "Preventing Transaction ID Wraparound
 * Failures"). Few transactions wrote many rows: it is they that are hashed.
 */
export const stampSql = (table: Table): string =>
  `SELECT coalesce(sum(w.n), 0), coalesce(sum(hashint8extended(w.by::text::bigint, w.n)), 0)
   FROM (SELECT t.xmin AS by, count(*) AS n FROM ${ownRows(table)} AS t GROUP BY t.xmin) AS w`
