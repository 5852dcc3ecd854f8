import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import type { ServerInfo, TableSize } from '../port.ts'
import { anyColumn, ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { CARRIED_TABLE } from './introspect-tables.ts'
import { LARGE_OBJECT_SIZE, LARGE_OBJECTS, readLargeObjects } from './large-objects.ts'
import { STANDING_RIGHTS } from './objects-rights.ts'
import { plainRows } from './relation.ts'

const INFO = `SELECT current_setting('server_version') AS release, current_setting('server_version_num')::int AS number,
  current_database() AS database, current_user AS "user", d.oid::text AS oid,
  CASE WHEN ${anyColumn('d', 'datlocprovider')} IN ('i', 'b') THEN coalesce(${anyColumn('d', 'datlocale')}, ${anyColumn('d', 'daticulocale')}) || ' of ' ||
    CASE ${anyColumn('d', 'datlocprovider')} WHEN 'i' THEN 'ICU' ELSE 'PostgreSQL' END ELSE d.datcollate END AS collation,
  pg_encoding_to_char(d.encoding) AS encoding, coalesce(${anyColumn('d', 'datcollversion')}, '') AS "collationVersion",
  coalesce(inet_server_addr()::text, '') || ':' || coalesce(inet_server_port()::text, '') AS address,
  has_function_privilege('pg_control_system()', 'EXECUTE') AS control,
  has_database_privilege(d.oid, 'CONNECT') AS sized
FROM pg_database d WHERE d.datname = current_database()`

const infoRow = z.object({
  release: z.string(),
  number: z.number(),
  database: z.string(),
  user: z.string(),
  oid: z.string(),
  collation: z.string(),
  encoding: z.string(),
  collationVersion: z.string(),
  address: z.string(),
  control: z.boolean(),
  sized: z.boolean(),
})

/** Oldest release whose catalogs are read here: generated columns came with it. */
const OLDEST = 12

/** Throws `database-too-old` below PostgreSQL 12. */
export async function serverInfo(session: Session): Promise<ServerInfo> {
  const [row] = await ask(session, infoRow, INFO)
  if (row === undefined) throw new MigrateError('fault', `The ${session.label} doesn't say what it is.`)
  const major = Math.trunc(row.number / 10_000)
  if (major < OLDEST) {
    throw new MigrateError(
      'database-too-old',
      `The ${session.label} runs PostgreSQL ${row.release}; migrate needs ${OLDEST} or newer. Nothing was touched.`,
      {
        hint: 'Ask the host for an upgrade, or move the database with pg_dump and pg_restore.',
      },
    )
  }
  return {
    engine: 'postgres',
    product: `PostgreSQL ${row.release}`,
    version: [major, row.number % 10_000],
    database: row.database,
    user: row.user,
    collation: row.collation,
    // The cluster's number is made at random by initdb and stays for its life; some hosts don't let accounts see it.
    fingerprint: `postgres:${row.control ? await systemIdentifier(session) : row.address}:${row.oid}:${row.database}`,
    sizeBytes: row.sized ? await databaseBytes(session) : null,
    facts: { encoding: row.encoding, collationVersion: row.collationVersion },
  }
}

const rightsRow = z.object({ closed: z.array(z.string()).nullable(), open: z.array(z.string()).nullable() })

/** See the port, `furtherFacts`. What everybody may not do here with what stood before the shop (`closed`), and may (`open`), one right a line. */
export async function publicRights(session: Session): Promise<{ readonly closed: string; readonly open: string }> {
  const [row] = await ask(session, rightsRow, STANDING_RIGHTS)
  return { closed: (row?.closed ?? []).join('\n'), open: (row?.open ?? []).join('\n') }
}

async function systemIdentifier(session: Session): Promise<string> {
  const { rows } = await session.query('SELECT system_identifier::text FROM pg_control_system()')
  return rows[0]?.[0] ?? ''
}

async function databaseBytes(session: Session): Promise<number> {
  const { rows } = await session.query('SELECT pg_database_size(current_database())::text')
  return Number(rows[0]?.[0] ?? 0)
}

const sizeRow = z.object({
  schema: z.string(),
  name: z.string(),
  partitioned: z.boolean(),
  rows: z.number(),
  bytes: z.number(),
  heap: z.number(),
  known: z.boolean(),
  readable: z.boolean(),
})

/** A partitioned table's rows lie in its leaves; once analysed, it has a sum of them of its own, which isn't added again. `known`: every part with rows has been counted before. `readable`: the account may count its rows; what it lacks is named elsewhere. */
const SIZES = `SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned, s.rows, s.bytes, s.heap, s.known,
  has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (
  SELECT coalesce(sum(greatest(r.reltuples, 0)), 0) AS rows, coalesce(sum(pg_table_size(r.oid)), 0) AS bytes, coalesce(sum(pg_relation_size(r.oid)), 0) AS heap,
    coalesce(bool_and(r.reltuples > 0 OR pg_relation_size(r.oid) = 0), true) AS known
  FROM pg_class r WHERE (r.oid = c.oid AND r.relkind = 'r') OR (r.relkind = 'r' AND r.relispartition AND pg_partition_root(r.oid) = c.oid)) s
WHERE ${CARRIED_TABLE} ORDER BY n.nspname, c.relname`

const largeObjectsRow = z.object({ rows: z.number(), bytes: z.number() })

const planRow = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })])

/** Up to this size, counting costs less than a wrong guess. */
const COUNTED_BYTES = 4 * 2 ** 20

/** Tables counted by one question. */
const COUNTED_TOGETHER = 100

/** Rows by the server's statistics; where it has none yet, counted when the table is small, else the planner's guess from its size. */
export async function tableSizes(session: Session): Promise<readonly TableSize[]> {
  const found = await ask(session, sizeRow, SIZES)
  const unknown = found.filter(({ known, readable }) => !known && readable)
  const counted = await countedRows(session, unknown.filter(({ heap }) => heap <= COUNTED_BYTES).map(fromOf))
  const sizes: TableSize[] = []
  for (const row of found) {
    const rows = row.known || !row.readable ? row.rows : (counted.get(fromOf(row)) ?? (await plannedRows(session, fromOf(row))))
    sizes.push({ table: { schema: row.schema, name: row.name }, bytes: row.bytes, rows })
  }
  if ((await readLargeObjects(session)).length === 0) return sizes
  const kept = await ask(session, largeObjectsRow, LARGE_OBJECT_SIZE)
  return [...kept.map(({ rows, bytes }) => ({ table: LARGE_OBJECTS, rows, bytes })), ...sizes]
}

const fromOf = ({ schema, name, partitioned }: z.infer<typeof sizeRow>): string =>
  plainRows({ name: { schema, name }, ...(partitioned ? { partitions: [] } : {}) })

async function countedRows(session: Session, tables: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (let at = 0; at < tables.length; at += COUNTED_TOGETHER) {
    const some = tables.slice(at, at + COUNTED_TOGETHER)
    const { rows } = await session.query(`SELECT ${some.map((table) => `(SELECT count(*) FROM ${table})`).join(', ')}`)
    for (const [place, table] of some.entries()) counts.set(table, Number(rows[0]?.[place] ?? 0))
  }
  return counts
}

async function plannedRows(session: Session, table: string): Promise<number> {
  const { rows } = await session.query(`EXPLAIN (FORMAT JSON) SELECT 1 FROM ${table}`)
  return planRow.parse(JSON.parse(rows[0]?.[0] ?? 'null'))[0].Plan['Plan Rows']
}
