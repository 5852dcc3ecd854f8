import type { TableName } from '../schema.ts'
import { mayHere, THIS_DATABASE } from './catalog.ts'
import { quoteName, quoteTable, quoteText } from './names.ts'
import type { DatabaseFile } from './native-rows.ts'
import type { ServerMessage } from './native-server.ts'

/** Where a backup lies, as the server itself names it. */
export type BackupPlace = { readonly path: string } | { readonly url: string }

/** A backup device ("BACKUP (Transact-SQL)", backup_device): a file on the server's own disk, or a URL that it reaches. */
export const device = (place: BackupPlace): string =>
  'url' in place ? `URL = ${quoteText(place.url)}` : `DISK = ${quoteText(place.path)}`

/** How often STATS speaks, per cent. */
const STATS = 5

export const isS3 = (place: BackupPlace): boolean => 'url' in place && /^s3:/i.test(place.url)

/**
 * A blob has 50,000 blocks at most, what lies in S3 10,000 parts, each as large as one transfer: with these sizes 195 GiB go into either,
 * with the server's own 48 and 98 ("SQL Server backup to URL for Microsoft Azure Blob Storage", support for backup arguments; "… for
 * S3-compatible object storage", file size limitations, where it takes compression).
 */
function transfer(place: BackupPlace, compressed: boolean): readonly string[] {
  if (!('url' in place)) return []
  if (!isS3(place)) return ['MAXTRANSFERSIZE = 4194304', 'BLOCKSIZE = 65536']
  return compressed ? ['MAXTRANSFERSIZE = 20971520'] : []
}

/**
 * "BACKUP (Transact-SQL)", syntax and WITH options. COPY_ONLY: the host's own chain of backups is left as it is. Neither INIT nor FORMAT:
 * what is in the file already is never overwritten (a backup set is appended to a file; a blob that exists is an error).
 */
export const backupSql = (database: string, place: BackupPlace, name: string, compressed: boolean): string =>
  `BACKUP DATABASE ${quoteName(database)} TO ${device(place)} WITH ${[
    'COPY_ONLY',
    `${compressed ? '' : 'NO_'}COMPRESSION`,
    'CHECKSUM',
    ...transfer(place, compressed),
    `NAME = ${quoteText(name)}`,
    `STATS = ${STATS}`,
  ].join(', ')}`

/** A file may hold many backup sets. Behind a URL there is one, and FILE isn't taken there ("SQL Server backup to URL", restore arguments). */
const ofSet = (place: BackupPlace, position: number): readonly string[] => ('url' in place ? [] : [`FILE = ${position}`])

const withOptions = (options: readonly string[]): string => (options.length === 0 ? '' : ` WITH ${options.join(', ')}`)

/** "RESTORE Statements - HEADERONLY (Transact-SQL)": one row for each backup set of the device. */
export const headerSql = (place: BackupPlace): string => `RESTORE HEADERONLY FROM ${device(place)}`

/** "RESTORE Statements - FILELISTONLY (Transact-SQL)": one row for each file of the backup set. */
export const fileListSql = (place: BackupPlace, position: number): string =>
  `RESTORE FILELISTONLY FROM ${device(place)}${withOptions(ofSet(place, position))}`

/** A file of a backup and where it goes ("RESTORE Arguments", MOVE). */
export interface Move {
  readonly logical: string
  readonly to: string
}

const moveSql = ({ logical, to }: Move): string => `MOVE ${quoteText(logical)} TO ${quoteText(to)}`

/**
 * "RESTORE Statements - VERIFYONLY (Transact-SQL)". `checksums`: whether the backup set has any; to ask for those that aren't there is
 * an error ("RESTORE Arguments", CHECKSUM). `moves`: where its files would go, since it looks for room there.
 */
export const verifySql = (place: BackupPlace, position: number, checksums: boolean, moves: readonly Move[]): string =>
  `RESTORE VERIFYONLY FROM ${device(place)}${withOptions([
    ...ofSet(place, position),
    ...(checksums ? ['CHECKSUM'] : []),
    ...moves.map(moveSql),
    `STATS = ${STATS}`,
  ])}`

export interface RestoreSql {
  readonly database: string
  readonly place: BackupPlace
  readonly position: number
  readonly checksums: boolean
  readonly moves: readonly Move[]
  /** Only for a database that was proven empty and is this run's. */
  readonly replace: boolean
}

/** "RESTORE Statements (Transact-SQL)", "RESTORE Arguments": MOVE, REPLACE, CHECKSUM, RECOVERY, STATS. */
export const restoreSql = ({ database, place, position, checksums, moves, replace }: RestoreSql): string =>
  `RESTORE DATABASE ${quoteName(database)} FROM ${device(place)}${withOptions([
    ...ofSet(place, position),
    ...(checksums ? ['CHECKSUM'] : []),
    ...moves.map(moveSql),
    ...(replace ? ['REPLACE'] : []),
    'RECOVERY',
    `STATS = ${STATS}`,
  ])}`

/** RESTORE needs the database for itself: everyone else is sent away ("ALTER DATABASE SET Options", SINGLE_USER, termination). */
export const aloneSql = (database: string): string =>
  `IF DATABASEPROPERTYEX(${quoteText(database)}, 'Status') = N'ONLINE' ALTER DATABASE ${quoteName(database)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE`

export const togetherSql = (database: string): string =>
  `IF DATABASEPROPERTYEX(${quoteText(database)}, 'Status') = N'ONLINE' ALTER DATABASE ${quoteName(database)} SET MULTI_USER`

/** A database comes back as writable as it was when it was saved ("RESTORE Statements", database settings and restoring). */
export const writableSql = (database: string): string =>
  `IF DATABASEPROPERTYEX(${quoteText(database)}, 'Updateability') = N'READ_ONLY' ALTER DATABASE ${quoteName(database)} SET READ_WRITE WITH ROLLBACK IMMEDIATE`

const EXTENSION: Readonly<Record<DatabaseFile['type'], string>> = { D: '.ndf', L: '.ldf', F: '', S: '' }

/**
 * New places of a backup's files: in the folders that this server uses, under names that nothing else has ("RESTORE Arguments", MOVE).
 * The first data file is the primary one. Folders keep the server's own separator. Pure.
 */
export function movesOf(
  files: readonly DatabaseFile[],
  folders: { readonly data: string; readonly log: string },
  prefix: string,
): readonly Move[] {
  const safe = prefix.replace(/[^\p{L}\p{N}_-]/gu, '_')
  return files.map(({ logicalName, type, fileId }) => {
    const folder = type === 'L' ? folders.log : folders.data
    const separator = folder.includes('\\') || !folder.includes('/') ? '\\' : '/'
    const extension = type === 'D' && fileId === 1 ? '.mdf' : EXTENSION[type]
    return { logical: logicalName, to: `${folder.replace(/[\\/]+$/, '')}${separator}${safe}_${fileId}${extension}` }
  })
}

/** What the server is, what it may do, and where it keeps files: "SERVERPROPERTY (Transact-SQL)", "HAS_PERMS_BY_NAME". */
export const SERVER_SQL = `SELECT CONVERT(int, SERVERPROPERTY('EngineEdition')) AS [engineEdition], CONVERT(nvarchar(128), SERVERPROPERTY('Edition')) AS [edition],
  CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS [version], CONVERT(nvarchar(128), SUSER_SNAME()) AS [login], CONVERT(nvarchar(128), USER_NAME()) AS [user],
  ${mayHere("N'BACKUP DATABASE'")} AS [mayBackUp], HAS_PERMS_BY_NAME(NULL, NULL, N'CREATE ANY DATABASE') AS [mayCreate],
  (SELECT CONVERT(int, d.is_encrypted) FROM sys.databases d WHERE ${THIS_DATABASE}) AS [encrypted],
  CASE WHEN IS_SRVROLEMEMBER(N'sysadmin') = 1 OR IS_SRVROLEMEMBER(N'dbcreator') = 1 OR (SELECT d.owner_sid FROM sys.databases d WHERE ${THIS_DATABASE}) = SUSER_SID() THEN 1 ELSE 0 END AS [mayRestore]`

/**
 * Names of credentials for backups to a URL: the container's ("SQL Server backup to URL", Credential). `seen`: whether the account may see
 * them; without the right they are hidden, not refused ("sys.credentials (Transact-SQL)", permissions; "Metadata visibility configuration").
 */
export const CREDENTIALS_SQL = `SELECT CONVERT(nvarchar(4000), c.name) AS [name], v.seen AS [seen]
FROM (SELECT CASE WHEN 1 IN (${['VIEW ANY DEFINITION', 'VIEW ANY SECURITY DEFINITION', 'ALTER ANY CREDENTIAL'].map((each) => `HAS_PERMS_BY_NAME(NULL, NULL, ${quoteText(each)})`).join(', ')}) THEN 1 ELSE 0 END AS seen) AS v
LEFT JOIN sys.credentials c ON 1 = 1`

/** The part of a URL that the credential for it is named by: the container's or bucket's ("SQL Server backup to URL", Credential). */
export const credentialOf = (url: string): string => /^[a-z0-9]+:\/\/[^/]+\/[^/]+(?=\/)/i.exec(url)?.[0] ?? url

/** "CREATE CREDENTIAL (Transact-SQL)", examples for a shared access signature and S3: to be completed and run by the server's owner. */
export function createCredentialSql(url: string): string {
  const [identity, secret] = url.startsWith('s3:')
    ? ['S3 Access Key', '<access key>:<secret key>']
    : ['SHARED ACCESS SIGNATURE', '<the signature, without its question mark>']
  return `CREATE CREDENTIAL ${quoteName(credentialOf(url))} WITH IDENTITY = '${identity}', SECRET = '${secret}';`
}

/** Folders of the database's own data and log files ("sys.database_files (Transact-SQL)"). */
export const FOLDERS_SQL = `SELECT CONVERT(nvarchar(260), f.physical_name) AS [path], CONVERT(int, f.type) AS [type] FROM sys.database_files f WHERE f.type IN (0, 1) ORDER BY f.type, f.file_id`

/** Tables of the shop in the database: none may be there when it is replaced. */
export const OCCUPIED_SQL = `SELECT TOP (10) CONVERT(nvarchar(128), SCHEMA_NAME(t.schema_id)) + N'.' + CONVERT(nvarchar(128), t.name) AS [name] FROM sys.tables t
WHERE t.is_ms_shipped = 0 AND t.name NOT IN (N'migrate_marks', N'migrate_ledger') ORDER BY t.schema_id, t.name`

/** "sys.databases (Transact-SQL)", state_desc; seen from master, also while the database can't be opened. */
export const stateSql = (database: string): string =>
  `SELECT CONVERT(nvarchar(60), d.state_desc) AS [state] FROM sys.databases d WHERE d.name = ${quoteText(database)}`

/** A foreign key of a database, as its own catalog names it: an import may have named it anew. */
export interface HoldingKey {
  readonly schema: string
  readonly table: string
  readonly name: string
  readonly trusted: boolean
}

/** Foreign keys in force that refer to these tables ("sys.foreign_keys (Transact-SQL)"). */
export const holdingSql = (tables: readonly TableName[]): string =>
  `SELECT CONVERT(nvarchar(128), OBJECT_SCHEMA_NAME(k.parent_object_id)) AS [schema], CONVERT(nvarchar(128), OBJECT_NAME(k.parent_object_id)) AS [table],
  CONVERT(nvarchar(128), k.name) AS [name], CONVERT(int, k.is_not_trusted) AS [untrusted]
FROM sys.foreign_keys k WHERE k.is_disabled = 0 AND k.referenced_object_id IN (${tables.map((table) => `OBJECT_ID(${quoteText(quoteTable(table))})`).join(', ')})
ORDER BY k.parent_object_id, k.name`

const alterSql = ({ schema, table }: HoldingKey): string => `ALTER TABLE ${quoteTable({ schema, name: table })}`

/**
 * Statements that empty tables whose rows stay behind, in whatever order and circle they refer to each other. Foreign keys to them
 * ("ALTER TABLE (Transact-SQL)", NOCHECK CONSTRAINT) are off meanwhile, so that nothing goes along with them (ON DELETE CASCADE) that isn't
 * named; a trusted one then looks at all rows again, and fails where one has no parent.
 */
export const emptySql = (tables: readonly TableName[], holding: readonly HoldingKey[]): readonly string[] => [
  ...holding.map((key) => `${alterSql(key)} NOCHECK CONSTRAINT ${quoteName(key.name)}`),
  ...tables.map(emptyOneSql),
  ...holding.map((key) => `${alterSql(key)} WITH ${key.trusted ? 'CHECK' : 'NOCHECK'} CHECK CONSTRAINT ${quoteName(key.name)}`),
]

/**
 * "TRUNCATE TABLE", restrictions: not where a foreign key refers to it, even one that is off, nor an indexed view; then the rows are deleted
 * with the triggers off.
 */
function emptyOneSql(table: TableName): string {
  const name = quoteTable(table)
  const object = `OBJECT_ID(${quoteText(name)})`
  return `IF EXISTS (SELECT 1 FROM sys.foreign_keys k WHERE k.referenced_object_id = ${object}) OR EXISTS (SELECT 1 FROM sys.sql_expression_dependencies d JOIN sys.indexes i ON i.object_id = d.referencing_id WHERE d.referenced_id = ${object} AND OBJECTPROPERTY(d.referencing_id, 'IsView') = 1)
BEGIN
  ALTER TABLE ${name} DISABLE TRIGGER ALL;
  DELETE FROM ${name};
  ALTER TABLE ${name} ENABLE TRIGGER ALL;
END
ELSE TRUNCATE TABLE ${name}`
}

/** "Database Engine events and errors", 3211: what STATS says, in the login's language ("10 percent processed."). */
const PROCESSED = 3211

/** How far it is, per cent; `undefined` for anything else that the server says. */
export function percentOf({ number, message }: ServerMessage): number | undefined {
  const found = number === PROCESSED ? /\d{1,3}/.exec(message)?.[0] : undefined
  return found === undefined ? undefined : Number(found)
}
