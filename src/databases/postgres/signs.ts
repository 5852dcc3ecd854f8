import type { TableName } from '../schema.ts'
import type { Session } from './connection.ts'
import { quoteTable } from './values.ts'

/**
 * The operators of a type's own order (its default class for btree, or that of what a domain is over), by what they mean, where they lie
 * outside pg_catalog: with an empty search_path the bare signs would be missing, or would compare as another type that it casts to (citext
 * as text), and so in another order than the index and ORDER BY.
 */
export const signsOf = (type: string): string => `(WITH RECURSIVE base AS (SELECT ${type}.oid, ${type}.typbasetype
    UNION ALL SELECT b.oid, b.typbasetype FROM base JOIN pg_type b ON b.oid = base.typbasetype)
  SELECT jsonb_object_agg((ARRAY['<', '<=', '=', '>=', '>'])[m.amopstrategy], format('OPERATOR(%I.%s)', os.nspname, p.oprname))
  FROM base JOIN pg_opclass k ON k.opcintype = base.oid AND k.opcdefault JOIN pg_am w ON w.oid = k.opcmethod AND w.amname = 'btree'
  JOIN pg_amop m ON m.amopfamily = k.opcfamily AND m.amoplefttype = base.oid AND m.amoprighttype = base.oid
  JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_namespace os ON os.oid = p.oprnamespace AND os.nspname <> 'pg_catalog')`

/** How values are compared with a column's. */
interface Comparison {
  /** The column's type, without its length, to cast them to. */
  readonly type: string
  /** The operator by which its type calls two equal. */
  readonly equals: string
}

/** Of some columns of a table, in their order. */
export async function comparisonsOf(
  session: Session,
  table: TableName,
  columns: readonly string[],
): Promise<readonly Comparison[]> {
  const { rows } = await session.query(
    `SELECT format_type(y.oid, -1), CASE WHEN y.oid >= 16384 THEN ${signsOf('y')} ->> '=' END
     FROM unnest($2::text[]) WITH ORDINALITY AS n(name, place)
     JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attname = n.name JOIN pg_type y ON y.oid = a.atttypid ORDER BY n.place`,
    [quoteTable(table), columns],
  )
  return rows.map(([type, sign]) => ({ type: type ?? 'text', equals: sign ?? '=' }))
}
