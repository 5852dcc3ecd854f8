import { z } from 'zod'
import type { KeyCells, Row } from '../port.ts'
import { type Column, keyPositions, ORDINARY, readableColumns, type Table } from '../schema.ts'
import { ask, SHOP_RELATION } from './catalog.ts'
import type { Result, Session } from './connection.ts'
import { inTransaction } from './transaction.ts'

/**
 * Large objects (PostgreSQL documentation, "Large Objects") as the rows of a table: an oid and its bytes. So they are saved, loaded,
 * fingerprinted, merged and proven as rows are. The name is that of the server's own catalog, of whose pages only a superuser may read.
 */
export const LARGE_OBJECTS = { schema: 'pg_catalog', name: 'pg_largeobject' } as const
const OID = 'loid'
const DATA = 'data'

const plainColumn = (name: string, type: string): Column => ({
  name,
  type,
  codec: type,
  ...ORDINARY,
  nullable: false,
})

/** Stands before the rows are loaded. */
const NONE_HERE = `DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) THEN
  RAISE 'There are large objects here already, which this run didn''t make.'; END IF; END $$`

const TABLE: Table = {
  name: LARGE_OBJECTS,
  columns: [plainColumn(OID, 'oid'), plainColumn(DATA, 'bytea')],
  primaryKey: null,
  uniqueKeys: [],
  key: [OID],
  triggers: [],
  sql: NONE_HERE,
}

export const isLargeObjects = ({ name }: Pick<Table, 'name'>): boolean =>
  name.schema === LARGE_OBJECTS.schema && name.name === LARGE_OBJECTS.name

/** There are some, or there is a column for their numbers, so that some may come. */
const WANTED = `SELECT EXISTS (SELECT FROM pg_largeobject_metadata) OR EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
  WHERE 'oid'::regtype IN (t.oid, t.typbasetype) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND ${SHOP_RELATION}) AS wanted`

/** Before all other tables: one that stands says that the large objects of this run do. */
export async function readLargeObjects(session: Session): Promise<readonly Table[]> {
  const [row] = await ask(session, z.object({ wanted: z.boolean() }), WANTED)
  return row?.wanted === true ? [TABLE] : []
}

/** In FROM. A content that isn't asked for isn't read. The server reads each as the statement's snapshot does ("lo_get"). */
export function largeObjectRows({ columns }: Pick<Table, 'columns'>): string {
  const data = columns.some(({ name }) => name === DATA) ? `, pg_catalog.lo_get(m.oid) AS ${DATA}` : ''
  return `(SELECT m.oid AS ${OID}${data} FROM pg_catalog.pg_largeobject_metadata AS m)`
}

export const LARGE_OBJECT_STAMP = `SELECT count(*), coalesce(sum(hashint8extended(m.oid::bigint, hashtextextended(encode(sha256(lo_get(m.oid)), 'hex') COLLATE "C", 0))), 0)
  FROM pg_catalog.pg_largeobject_metadata AS m`

/** How many there are, and their bytes with all that the server keeps beside them. */
export const LARGE_OBJECT_SIZE = `SELECT count(*) AS rows, pg_total_relation_size('pg_catalog.pg_largeobject') AS bytes FROM pg_catalog.pg_largeobject_metadata`

/** True of one (`m`) that the account may not read (PostgreSQL source, src/backend/catalog/aclchk.c). */
export const UNREADABLE_LARGE_OBJECT = `NOT (pg_has_role(m.lomowner, 'USAGE') OR current_setting('lo_compat_privileges')::boolean
  OR EXISTS (SELECT FROM aclexplode(m.lomacl) x WHERE x.privilege_type = 'SELECT' AND (x.grantee = 0 OR pg_has_role(x.grantee, 'USAGE'))))`

/** Those of more than so many bytes, by their oids; one byte of each is asked for. */
export const largerThan = (bytes: number): string =>
  `SELECT m.oid::text AS name FROM pg_catalog.pg_largeobject_metadata AS m 
  WHERE CASE WHEN ${UNREADABLE_LARGE_OBJECT} THEN false ELSE octet_length(lo_get(m.oid, ${Math.trunc(bytes)}, 1)) > 0 END ORDER BY m.oid`

/** A table of this transaction alone, in which they arrive. */
export const ARRIVING = 'pg_temp.migrate_large_objects'
export const arrivingSql = `CREATE TEMPORARY TABLE IF NOT EXISTS migrate_large_objects (${OID} pg_catalog.oid, ${DATA} pg_catalog.bytea) ON COMMIT DROP`

/** Makes what arrived, each with its own oid: the server refuses one that is there already, and nothing is kept. */
export async function makeArrived(session: Session): Promise<number> {
  const made = await session.query(`SELECT pg_catalog.lo_from_bytea(a.${OID}, a.${DATA}) FROM ${ARRIVING} AS a`)
  await session.query(`TRUNCATE ${ARRIVING}`)
  return made.count
}

const WRITING = 0x20000

/** Gives one another content; its owner, rights and comment stay. */
export async function rewriteLargeObject(session: Session, row: Row): Promise<Result> {
  const [at = -1] = keyPositions(TABLE)
  const data = readableColumns(TABLE).findIndex(({ name }) => name === DATA)
  const oid = row[at] ?? null
  const there = await session.query('SELECT oid FROM pg_catalog.pg_largeobject_metadata WHERE oid = $1::oid', [oid])
  if (there.count !== 1) return there
  await session.query(`SELECT pg_catalog.lo_truncate(pg_catalog.lo_open($1::oid, ${WRITING}), 0)`, [oid])
  await session.query('SELECT pg_catalog.lo_put($1::oid, 0, $2::bytea)', [oid, row[data] ?? null])
  return there
}

export async function removeLargeObjects(session: Session, keys: readonly KeyCells[]): Promise<void> {
  await session.query(
    `SELECT pg_catalog.lo_unlink(m.oid) FROM pg_catalog.pg_largeobject_metadata AS m WHERE m.oid = ANY ($1::oid[])`,
    [keys.map(([oid]) => oid ?? null)],
  )
}

/** The whole of what stands, as a statement that takes a restore back. See `unlinkAll`. */
export const UNLINK_ALL = `SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata`

/** Each takes a place in the server's table of locks until its transaction ends. */
const UNLINKED_TOGETHER = 1000

/** Removes all, some in each transaction, so that UNLINK_ALL has none left. */
export async function unlinkAll(session: Session): Promise<void> {
  for (let removed = -1; removed !== 0; )
    removed = await inTransaction(
      session,
      'write',
      async () =>
        (
          await session.query(
            `${UNLINK_ALL} WHERE oid IN (SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT ${UNLINKED_TOGETHER})`,
          )
        ).count,
      true,
    )
}

/** Comments, and what everybody may do. One that went before the rows were read, or that the playbook leaves out, has none. */
export const LARGE_OBJECT_WORDS = `SELECT 'large object ' || m.oid AS id, 'words on large object' AS kind, m.oid::text AS name,
  format('DO %L', format('BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata WHERE oid = %s) THEN %s; END IF; END', m.oid,
    concat_ws('; ', w.comment, w.rights))) AS sql, NULL AS undo
FROM pg_largeobject_metadata m, LATERAL (SELECT
  (SELECT format('COMMENT ON LARGE OBJECT %s IS %L', m.oid, d.description) FROM pg_description d
    WHERE d.classoid = 'pg_largeobject'::regclass AND d.objoid = m.oid) AS comment,
  (SELECT format('GRANT %s ON LARGE OBJECT %s TO PUBLIC', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type), m.oid)
    FROM aclexplode(m.lomacl) x WHERE x.grantee = 0 HAVING count(*) > 0) AS rights) w
WHERE coalesce(w.comment, w.rights) IS NOT NULL ORDER BY m.oid`
