import { Secret } from '../../src/base/secret.ts'
import type { BackupServer, ServerMessage } from '../../src/databases/mssql/native-server.ts'
import type { NativeRestore, NativeWishes } from '../../src/databases/native-port.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'

export const PATH = 'D:\\site\\backup\\shop.bak'
export const URL = 'https://account.blob.core.windows.net/backups/shop.bak'
export const PASSWORD = 'a Secret! #1; of \\theirs'
export const OPTIONS = {
  host: 'old.example.com',
  port: 1433,
  user: 'shop',
  password: new Secret(PASSWORD),
  database: 'sh]op',
  connections: 2,
  label: 'old database sh]op',
}

const table = (name: string): Table => ({
  name: { schema: 'dbo', name },
  columns: [],
  primaryKey: null,
  uniqueKeys: [],
  key: [],
  triggers: [],
})
export const SCHEMA: Schema = {
  tables: [table('Orders'), table('Sessions')],
  foreignKeys: [],
  identities: [],
  objects: [],
  principals: [],
  findings: [],
}

export const INFO = {
  engineEdition: 2,
  edition: 'Standard Edition (64-bit)',
  version: '15.0.4430.1',
  login: 'shop_login',
  user: 'shop_user',
  mayBackUp: 1,
  mayCreate: 1,
  mayRestore: 1,
  encrypted: 0,
}
/** Columns as the documentation lists them; those that nobody reads are a sample of the rest. */
export const HEADER = {
  BackupName: 'migrate',
  BackupDescription: null,
  BackupType: 1,
  Compressed: 1,
  Position: 2,
  DatabaseName: 'sh]op',
  DatabaseVersion: 904,
  SoftwareVersionMajor: 15,
  HasBackupChecksums: true,
  IsDamaged: false,
  IsCopyOnly: true,
  FamilyGUID: '0F8FAD5B-D9CB-469F-A165-70867728950E',
}
const FILES = [
  {
    LogicalName: 'shop_data',
    PhysicalName: 'C:\\x\\shop.mdf',
    Type: 'D',
    FileGroupName: 'PRIMARY',
    Size: 8388608,
    FileId: 1,
    IsPresent: true,
  },
  {
    LogicalName: "it's log",
    PhysicalName: 'C:\\x\\shop.ldf',
    Type: 'L',
    FileGroupName: null,
    Size: '8388608',
    FileId: 2,
    IsPresent: true,
  },
  {
    LogicalName: 'more',
    PhysicalName: 'C:\\x\\more.ndf',
    Type: 'D',
    FileGroupName: 'MORE',
    Size: 8388608,
    FileId: 3,
    IsPresent: true,
  },
]

/** A server at the seam of single statements: it answers as it is told, and keeps what it was asked to do. */
export class FakeServer implements BackupServer {
  info: Record<string, unknown> = INFO
  headers: readonly Record<string, unknown>[] = [HEADER]
  tables: readonly { name: string }[] = []
  holding: readonly Record<string, unknown>[] = []
  credentials: readonly { name: string | null; seen: number }[] = [{ name: null, seen: 1 }]
  state = 'ONLINE'
  fails: RegExp | undefined
  readonly done: string[] = []
  readonly asked: string[] = []

  async ask(database: 'own' | 'master', sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    this.asked.push(sql)
    if (sql.includes('SERVERPROPERTY')) return [this.info]
    if (sql.includes('sys.credentials')) return this.credentials
    if (sql.includes('sys.foreign_keys')) return this.holding
    if (sql.includes('sys.tables')) return this.tables
    if (sql.includes('sys.databases')) return [{ state: this.state }]
    if (sql.includes('sys.database_files'))
      return [
        { path: 'E:\\data\\mine.mdf', type: 0 },
        { path: 'F:\\logs\\mine_log.ldf', type: 1 },
      ]
    if (sql.startsWith('RESTORE HEADERONLY')) return this.headers
    if (sql.startsWith('RESTORE FILELISTONLY')) return FILES
    throw new Error(`${database}: ${sql}`)
  }

  async run(database: 'own' | 'master', sql: string, _signal: AbortSignal, heard: (said: ServerMessage) => void): Promise<void> {
    this.done.push(`${database}: ${sql}`)
    if (this.fails?.test(sql)) throw new Error('refused')
    // In the login's language, not always English.
    heard({ number: 3211, message: '5 Prozent verarbeitet.' })
    heard({ number: 4035, message: 'Processed 376 pages for database.' })
    heard({ number: 3211, message: '100 percent processed.' })
  }
}

/** What a step would hand to the power. */
export const workIn = (
  directory: string,
  wishes: NativeWishes,
  skip: readonly string[] = [],
  progress: NativeRestore['progress'] = () => undefined,
): NativeRestore => ({
  run: 'run-1',
  wishes,
  directory,
  schema: SCHEMA,
  skip: skip.map((name) => ({ schema: 'dbo', name })),
  connections: 2,
  signal: new AbortController().signal,
  progress,
})
