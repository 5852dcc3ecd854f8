import { codeOf, MigrateError, messageOf } from '../../base/errors.ts'
import { fullName, type Table } from '../schema.ts'
import type { Result } from './connection.ts'
import { isLargeObjects } from './large-objects.ts'
import { plainRows } from './relation.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

/** invalid_text_representation: the word below, taken for a number, is how a plain statement ends those after it. */
const NO_NUMBER = '22P02'
const REWRITTEN = 'rewritten since the snapshot'

/** Of relations by `quoteTable`: the numbers of the files in which they lay at a snapshot's instant. */
export type Files = ReadonlyMap<string, string>

/** Asked for in a snapshot's transaction: a query sees the catalog as the snapshot does. See `filesOf`. */
export const FILES_SQL = `SELECT n.nspname, c.relname, c.relfilenode::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I', 't', 'p') AND NOT c.relispartition`

/** No relation of a shop lies in it. */
const NONE = '1'

export const filesOf = ({ rows }: Result): Files =>
  new Map(rows.map(([schema, name, file]) => [quoteTable({ schema: schema ?? '', name: name ?? '' }), file ?? NONE]))

/**
 * Statements before a reading in a snapshot's transaction, which fail when the table isn't the one that the snapshot shows. To a reader of
 * an earlier instant a table looks empty that was emptied by TRUNCATE, rewritten by ALTER TABLE or made anew, whatever stood in it then
 * (PostgreSQL documentation, "Concurrency Control", "Caveats"), and the rows of a partition are gone that was detached.
 * The first takes the lock that reading takes anyway, on its partitions too, so that nothing of this happens between them and the reading.
 */
export const holdSql = (table: Table, files: Files): string => {
  // No large object is rewritten or emptied but as a row is.
  if (isLargeObjects(table)) return 'SELECT'
  return table.partitions === undefined
    ? `LOCK TABLE ${plainRows(table)} IN ACCESS SHARE MODE; ${sameSql(table, files)}`
    : `SELECT FROM ${plainRows(table)} LIMIT 0; ${sameTreeSql(table)}`
}

/** Ends the statements unless `value` is `wanted`. It holds the value, so that the server can't reckon it out beforehand. */
const orEnd = (value: string, wanted: string): string =>
  `CASE ${value} WHEN ${wanted} THEN 0 ELSE (${quoteText(REWRITTEN)} || left(${value}::text, 0))::integer END`

/** A function that asks for an object by its name is told of it as it is now. A rewritten table lies in another file, as does another table. */
const sameSql = ({ name }: Table, files: Files): string =>
  `SELECT ${orEnd(`coalesce(pg_relation_filenode(${regclass(name)}), 0)`, `${files.get(quoteTable(name)) ?? NONE}::oid`)}`

/** A partition that has come to be meanwhile has no rows of that instant; a table of that instant that became one has. */
const sameTreeSql = ({ name }: Table): string =>
  `WITH RECURSIVE tree AS (
    SELECT c.oid FROM pg_class c WHERE c.relname = ${quoteText(name.name)} AND c.relnamespace = ${quoteText(quoteName(name.schema))}::regnamespace
    UNION ALL SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
  ), before AS (SELECT c.oid, c.relfilenode FROM tree JOIN pg_class c ON c.oid = tree.oid),
  now AS (SELECT relid::oid AS oid, coalesce(pg_relation_filenode(relid), 0) AS relfilenode FROM pg_partition_tree(${regclass(name)}))
  SELECT ${orEnd('count(*)', '0')} FROM before b FULL JOIN now n ON n.oid = b.oid AND n.relfilenode = b.relfilenode
  WHERE n.oid IS NULL OR (b.oid IS NULL AND EXISTS (SELECT FROM pg_class c WHERE c.oid = n.oid))`

const regclass = (name: Table['name']): string => `${quoteText(quoteTable(name))}::regclass`

/** The error that `holdSql` ended with; any other as it is. */
export function rewrittenOr(error: unknown, table: Table, label: string): unknown {
  if (codeOf(error) !== NO_NUMBER || !messageOf(error).includes(REWRITTEN)) return error
  return new MigrateError(
    'table-rewritten',
    `${fullName(table.name)} of the ${label} was emptied, rewritten or made anew after this reading began, which sees all as it stood then: its rows of that moment are gone. Nothing was changed.`,
    {
      hint: 'It is read as it stands now when this is tried again. If it happens every time, have whatever does it (TRUNCATE, ALTER TABLE, VACUUM FULL, partitions) wait; a table whose rows the shop can do without can be left empty (tables: { NAME: skip }).',
      cause: error,
      retrySafe: true,
    },
  )
}
