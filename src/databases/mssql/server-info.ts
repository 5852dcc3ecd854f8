import { createHash } from 'node:crypto'
import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import type { ServerInfo } from '../port.ts'
import { catalogColumns, THIS_DATABASE } from './catalog.ts'
import { languageOf } from './language.ts'
import type { Session } from './session.ts'
import { AZURE } from './settings.ts'

/** SQL Server 2012: sequences, and the pages by which rows are read (OFFSET), came with it. */
const OLDEST = 11

/** Later than any release, which Azure's is not to be taken for older than. */
const NEWEST = 99

const infoRow = z.object({
  product: z.string(),
  version: z.string(),
  server: z.string().nullable(),
  database: z.string(),
  user: z.string(),
  collation: z.string().nullable(),
  created: z.string().nullable(),
  broker: z.string().nullable(),
  edition: z.string().nullable(),
  engineEdition: z.string().nullable(),
  compatibility: z.string().nullable(),
  versioned: z.string().nullable(),
  snapshots: z.string().nullable(),
  recursive: z.string().nullable(),
  messaging: z.string().nullable(),
  temporary: z.string().nullable(),
})

/**
 * What the server says of itself ("SERVERPROPERTY", "sys.databases"); editions and settings as facts, for `consequences`. Text of a temporary
 * table has tempdb's collation, in a contained database its own ("Contained database collations").
 */
export async function serverInfo(session: Session): Promise<ServerInfo> {
  const known = await catalogColumns(session)
  const setting = (column: string): string =>
    known.has(`databases.${column}`) ? `CONVERT(nvarchar(20), d.${column})` : 'CONVERT(nvarchar(20), NULL)'
  const [row] = await session.ask(
    infoRow,
    `SELECT CONVERT(nvarchar(400), @@VERSION) AS [product], CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS [version],
  CONVERT(nvarchar(128), SERVERPROPERTY('ServerName')) AS [server], CONVERT(nvarchar(128), DB_NAME()) AS [database],
  CONVERT(nvarchar(128), USER_NAME()) AS [user], CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')) AS [collation],
  CONVERT(nvarchar(23), d.create_date, 121) AS [created], CONVERT(nvarchar(36), d.service_broker_guid) AS [broker],
  CONVERT(nvarchar(128), SERVERPROPERTY('Edition')) AS [edition], CONVERT(nvarchar(20), SERVERPROPERTY('EngineEdition')) AS [engineEdition],
  ${setting('compatibility_level')} AS [compatibility], ${setting('is_read_committed_snapshot_on')} AS [versioned],
  ${setting('snapshot_isolation_state')} AS [snapshots], ${setting('is_recursive_triggers_on')} AS [recursive],
  ${setting('is_broker_enabled')} AS [messaging],
  CONVERT(nvarchar(128), DATABASEPROPERTYEX(CASE ${setting('containment')} WHEN N'1' THEN DB_NAME() ELSE N'tempdb' END, 'Collation')) AS [temporary]
FROM sys.databases d WHERE ${THIS_DATABASE}`,
  )
  if (row === undefined) throw new RangeError('The server does not know the database that it opened.')
  const version = row.version.split('.').map(Number)
  if ((version[0] ?? 0) < OLDEST) {
    throw new MigrateError(
      'database-too-old',
      `${session.where.label} runs ${row.product.split('\n', 1)[0]?.trim()}; migrate needs SQL Server 2012 or newer. Nothing was touched.`,
      {
        hint: 'Ask the host for an upgrade, or have the database backed up there and restored on a newer server.',
      },
    )
  }
  const size = await session.ask(
    z.object({ bytes: z.string().nullable() }),
    'SELECT CONVERT(nvarchar(20), SUM(CONVERT(bigint, size)) * 8192) AS [bytes] FROM sys.database_files',
  )
  const bytes = size[0]?.bytes ?? null
  return {
    engine: 'mssql',
    product: row.product.split('\n', 1)[0]?.trim() ?? row.product,
    version: AZURE.includes(row.engineEdition ?? '') ? [NEWEST, ...version] : version,
    database: row.database,
    user: row.user,
    collation: row.collation ?? '',
    // Each is public to whoever may open the database, and none changes with a restart.
    fingerprint: createHash('sha256')
      .update(JSON.stringify([row.server, row.database, row.created, row.broker]))
      .digest('hex')
      .slice(0, 32),
    sizeBytes: bytes === null ? null : Number(bytes),
    facts: {
      edition: row.edition ?? '',
      engineEdition: row.engineEdition ?? '',
      compatibility: row.compatibility ?? '',
      readCommittedSnapshot: row.versioned ?? '',
      snapshotIsolation: row.snapshots ?? '',
      recursiveTriggers: row.recursive ?? '',
      serviceBroker: row.messaging ?? '',
      temporaryCollation: row.temporary ?? '',
      ...(await languageOf(session)),
    },
  }
}
