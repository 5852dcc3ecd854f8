import type { ServerInfo, TableSize } from '../port.ts'
import { ask, isOwnTable } from './catalog.ts'
import { chunks } from './keys.ts'
import type { Session } from './session.ts'
import { productOf } from './settings.ts'
import { quoteName } from './values.ts'

/** What the database is, by its server's own word. */
export async function serverInfo(session: Session): Promise<ServerInfo> {
  const { kind } = session
  const uuid = kind.family === 'mysql' ? '@@server_uuid' : "CONCAT_WS(':', @@hostname, @@port, @@datadir)"
  const [row] = await ask(
    session,
    ['comment', 'database', 'user', 'collation', 'server', 'tableNames', 'bytes'] as const,
    `SELECT @@version_comment, DATABASE(), CURRENT_USER(), @@collation_database, ${uuid}, @@GLOBAL.lower_case_table_names,
       (SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE())`,
  )
  const product = /percona/i.test(row?.comment ?? '') ? `Percona Server for MySQL ${kind.version.join('.')}` : productOf(kind)
  return {
    engine: kind.family,
    product,
    version: kind.version,
    database: row?.database ?? '',
    user: row?.user ?? '',
    collation: row?.collation ?? '',
    fingerprint: `${kind.family}:${row?.server}:${row?.database}`,
    facts: { tableNames: row?.tableNames ?? '' },
    sizeBytes: row?.bytes === null || row?.bytes === undefined ? 0 : Number(row.bytes),
  }
}

/** Up to this size, counting costs less than a wrong guess. */
const COUNTED_BYTES = 4 * 2 ** 20
const COUNTED_AT_ONCE = 50

/** Rows by the server's estimate, which for InnoDB may be far off; small tables are counted. */
export async function tableSizes(session: Session): Promise<readonly TableSize[]> {
  const rows = await ask(
    session,
    ['name', 'rows', 'bytes'] as const,
    `SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND ENGINE IN ('InnoDB', 'MyISAM', 'Aria', 'MEMORY')
     ORDER BY TABLE_NAME`,
  )
  const shop = rows.filter(({ name }) => !isOwnTable(name ?? ''))
  const counted = new Map<string, number>()
  const small = shop.filter(({ bytes }) => Number(bytes ?? 0) <= COUNTED_BYTES).map(({ name }) => name ?? '')
  for (const names of chunks(small, COUNTED_AT_ONCE)) {
    const counts = names.map((name) => `(SELECT COUNT(*) FROM ${quoteName(name)})`)
    const [answers = []] = (await session.question(`SELECT ${counts.join(', ')}`)).rows
    for (const [at, name] of names.entries()) counted.set(name, Number(answers[at] ?? 0))
  }
  return shop.map(({ name, rows: estimate, bytes }) => ({
    table: { schema: '', name: name ?? '' },
    rows: counted.get(name ?? '') ?? Number(estimate ?? 0),
    bytes: Number(bytes ?? 0),
  }))
}
