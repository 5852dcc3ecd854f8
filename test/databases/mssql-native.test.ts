import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { mssqlNative } from '../../src/databases/mssql/native.ts'
import type { BackupServer } from '../../src/databases/mssql/native-server.ts'
import type { NativePower, NativeRestore, NativeWishes } from '../../src/databases/port.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'

const PATH = 'D:\\site\\backup\\shop.bak'
const URL = 'https://account.blob.core.windows.net/backups/shop.bak'
const PASSWORD = 'a Secret! #1; of \\theirs'
const OPTIONS = {
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
const SCHEMA: Schema = {
  tables: [table('Orders'), table('Sessions')],
  foreignKeys: [],
  identities: [],
  objects: [],
  principals: [],
  findings: [],
}

const INFO = {
  engineEdition: 2,
  edition: 'Standard Edition (64-bit)',
  version: '15.0.4430.1',
  login: 'shop_login',
  user: 'shop_user',
  mayBackUp: 1,
  mayCreate: 1,
  mayRestore: 1,
}
/** Columns as the documentation lists them; those that nobody reads are a sample of the rest. */
const HEADER = {
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
class FakeServer implements BackupServer {
  info: Record<string, unknown> = INFO
  headers: readonly Record<string, unknown>[] = [HEADER]
  tables: readonly { name: string }[] = []
  credentials: readonly { name: string }[] = []
  state = 'ONLINE'
  fails: RegExp | undefined
  readonly done: string[] = []

  async ask(database: 'own' | 'master', sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    if (sql.includes('SERVERPROPERTY')) return [this.info]
    if (sql.includes('sys.credentials')) return this.credentials
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

  async run(database: 'own' | 'master', sql: string, _signal: AbortSignal, heard: (message: string) => void): Promise<void> {
    this.done.push(`${database}: ${sql}`)
    if (this.fails?.test(sql)) throw new Error('refused')
    for (const message of ['5 percent processed.', 'Processed 376 pages for database.', '100 percent processed.']) heard(message)
  }
}

describe('SQL Server’s own BACKUP and RESTORE', () => {
  let server: FakeServer
  let power: NativePower
  let folder = ''
  let dropped = 0
  const drop = async (): Promise<void> => {
    dropped += 1
  }
  const progress: string[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-mssql-native-'))
    server = new FakeServer()
    dropped = 0
    progress.length = 0
    power = mssqlNative(OPTIONS, server, drop, [join(folder, 'bin')])
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const work = (wishes: NativeWishes, skip: readonly string[] = []): NativeRestore => ({
    run: 'run-1',
    wishes,
    directory: join(folder, 'dump'),
    schema: SCHEMA,
    skip: skip.map((name) => ({ schema: 'dbo', name })),
    connections: 2,
    signal: new AbortController().signal,
    progress: (done, total, unit, item) => progress.push(`${done}/${total} ${unit} ${item}`),
  })
  const onDisk: NativeWishes = { server: { path: PATH } }

  it('is written as the documentation has it, and proven before it counts', async () => {
    const saved = await power.save(work(onDisk))
    expect(saved).toEqual({ consistent: true, rows: null, place: 'server' })
    expect(server.done).toEqual([
      `own: BACKUP DATABASE [sh]]op] TO DISK = N'${PATH}' WITH COPY_ONLY, COMPRESSION, CHECKSUM, NAME = N'migrate', STATS = 5`,
      `master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, STATS = 5`,
    ])
    expect(progress[0]).toBe('5/100 rows BACKUP (per cent)')
  })

  it.each([
    [4, 'Express Edition'],
    [2, 'Web Edition (64-bit)'],
  ])('is not compressed by edition %i, %s', async (engineEdition, edition) => {
    server.info = { ...INFO, engineEdition, edition }
    expect((await power.tools('save', onDisk)).reason).toContain('not compressed')
    await power.save(work(onDisk))
    expect(server.done[0]).toContain('WITH COPY_ONLY, NO_COMPRESSION, CHECKSUM')
  })

  it('goes to a URL where there is a credential for it, and says how to make one', async () => {
    const wishes: NativeWishes = { server: { url: URL } }
    expect((await power.tools('save', wishes)).findings).toContainEqual(
      expect.objectContaining({
        severity: 'error',
        code: 'backup-credential-missing',
        hint: expect.stringContaining('CREATE CREDENTIAL [https://account.blob.core.windows.net/backups] WITH IDENTITY'),
      }),
    )
    server.credentials = [{ name: 'https://account.blob.core.windows.net/backups' }]
    expect((await power.tools('save', wishes)).findings.map(({ severity }) => severity)).toEqual(['info'])
    await power.save(work(wishes))
    expect(server.done[0]).toContain(`TO URL = N'${URL}'`)
  })

  it('names the rights that are missing, with their GRANT', async () => {
    server.info = { ...INFO, mayBackUp: 0, mayCreate: 0, mayRestore: 0 }
    expect((await power.tools('save', onDisk)).reason).toContain('GRANT BACKUP DATABASE TO [shop_user]')
    const { tool, reason } = await power.tools('restore', { ...onDisk, format: 'mssql-bak' })
    expect(tool).toBeNull()
    expect(reason).toMatch(/ALTER SERVER ROLE dbcreator ADD MEMBER \[shop_login\].*GRANT CREATE ANY DATABASE TO \[shop_login\]/)
  })

  it('says what can’t be known beforehand', async () => {
    for (const purpose of ['save', 'restore'] as const)
      expect((await power.tools(purpose, { ...onDisk, format: 'mssql-bak' })).findings.map(({ code }) => code)).toContain(
        'native-not-tried',
      )
  })

  it('says where it can’t be done at all', async () => {
    expect((await power.tools('save', {})).reason).toMatch(/doesn’t say where.*sqlpackage isn't installed here/)
    server.info = { ...INFO, engineEdition: 5, edition: 'SQL Azure' }
    expect((await power.tools('save', onDisk)).reason).toContain('Azure SQL Database has no BACKUP')
    expect((await power.tools('restore', { ...onDisk, format: 'mssql-bak' })).reason).toContain('no RESTORE')
    server.info = { ...INFO, engineEdition: 8, edition: 'SQL Azure' }
    expect((await power.tools('save', onDisk)).reason).toContain('give backup: { url')
    expect((await power.tools('save', { from: 'shop.zip' })).reason).toContain('neither a .bak nor a .bacpac')
  })

  it('is restored into the folders of the database that it replaces, which everyone else has left', async () => {
    await power.restore(work({ ...onDisk, format: 'mssql-bak', savedBy: 'BACKUP DATABASE 15.0' }, ['Sessions']))
    expect(server.done).toEqual([
      `master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, STATS = 5`,
      `master: IF DATABASEPROPERTYEX(N'sh]op', 'Status') = N'ONLINE' ALTER DATABASE [sh]]op] SET SINGLE_USER WITH ROLLBACK IMMEDIATE`,
      `master: RESTORE DATABASE [sh]]op] FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, MOVE N'shop_data' TO N'E:\\data\\sh_op_run-1_1.mdf', MOVE N'it''s log' TO N'F:\\logs\\sh_op_run-1_2.ldf', MOVE N'more' TO N'E:\\data\\sh_op_run-1_3.ndf', REPLACE, RECOVERY, STATS = 5`,
      `master: IF DATABASEPROPERTYEX(N'sh]op', 'Status') = N'ONLINE' ALTER DATABASE [sh]]op] SET MULTI_USER`,
      expect.stringMatching(
        /^own: IF EXISTS [\s\S]*DISABLE TRIGGER ALL[\s\S]*DELETE FROM \[dbo\]\.\[Sessions\][\s\S]*ELSE TRUNCATE TABLE \[dbo\]\.\[Sessions\]$/,
      ),
    ])
    expect(progress).toContain('100/100 rows RESTORE (per cent)')
  })

  it('never replaces a database that holds something', async () => {
    server.tables = [{ name: 'dbo.Guestbook' }]
    await expect(power.restore(work({ ...onDisk, format: 'mssql-bak' }))).rejects.toMatchObject({
      code: 'target-not-empty',
      message: expect.stringContaining('dbo.Guestbook'),
    })
    expect(server.done).toEqual([])
  })

  it('lets the others in again when the restore was refused', async () => {
    server.fails = /^RESTORE DATABASE/
    await expect(power.restore(work({ ...onDisk, format: 'mssql-bak' }))).rejects.toThrow('refused')
    expect(server.done.at(-1)).toContain('SET MULTI_USER')
  })

  it('takes the newest whole backup of a file that someone else made, with checksums or not', async () => {
    server.headers = [
      { ...HEADER, BackupName: null, Position: 1, HasBackupChecksums: 0 },
      { ...HEADER, BackupName: 'nightly', Position: 2, HasBackupChecksums: 0 },
      { ...HEADER, BackupName: null, BackupType: 2, Position: 3 },
    ]
    await power.restore(work({ ...onDisk, format: 'mssql-bak', savedBy: 'the backup given' }))
    expect(server.done[0]).toBe(`master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, STATS = 5`)
    expect(server.done[2]).toContain("WITH FILE = 2, MOVE N'shop_data'")
  })

  it.each([
    ['made by a newer server', { SoftwareVersionMajor: 16 }, /SQL Server 16\.x; the new server is 15\.x/],
    ['damaged', { IsDamaged: true }, /damaged/],
    ['a log alone', { BackupType: 2 }, /no backup of a whole database/],
  ])('refuses a backup that is %s', async (_what, change, message) => {
    server.headers = [{ ...HEADER, ...change }]
    await expect(power.restore(work({ ...onDisk, format: 'mssql-bak' }))).rejects.toMatchObject({
      code: 'backup-unusable',
      message: expect.stringMatching(message),
    })
    expect(server.done).toEqual([])
  })

  it('says what to do with a database that a cut-off RESTORE left half done', async () => {
    await power.discard('run-1')
    server.state = 'RESTORING'
    await expect(power.discard('run-1')).rejects.toMatchObject({
      code: 'database-restoring',
      hint: expect.stringContaining('DROP DATABASE'),
    })
  })

  describe('sqlpackage', () => {
    /** Stands in for the program: keeps its arguments and the response file, and writes what an export would. */
    beforeEach(async () => {
      const bin = await mkdtemp(join(folder, 'x'))
      power = mssqlNative(OPTIONS, server, drop, [bin])
      const script = `#!/bin/sh
[ "$1" = /Version ] && { echo 162.1.167.1; exit 0; }
printf '%s\\n' "$@" > '${folder}/arguments'
cp "\${1#@}" '${folder}/response'
grep -q Action:Export "\${1#@}" && echo rows > '${folder}/dump/database.bacpac'
exit 0
`
      await writeFile(join(bin, 'sqlpackage'), script)
      await chmod(join(bin, 'sqlpackage'), 0o755)
    })

    it('exports and imports, its password in a file that goes with it', async () => {
      const means = await power.tools('save', {})
      expect(means).toMatchObject({ tool: 'sqlpackage 162.1.167.1', format: 'mssql-bacpac' })
      expect(means.findings.map(({ code }) => code)).toEqual(['native-not-consistent'])
      expect(await power.save(work({}, ['Sessions']))).toEqual({ consistent: false, rows: null, place: 'directory' })
      expect(await readdir(join(folder, 'dump'))).toEqual(['database.bacpac'])
      expect(await readFile(join(folder, 'arguments'), 'utf8')).toMatch(/^@\S+\/arguments\.rsp\n$/)
      const exported = (await readFile(join(folder, 'response'), 'utf8')).split('\n')
      expect(exported).toEqual(
        expect.arrayContaining([
          '/Action:Export',
          `/TargetFile:${join(folder, 'dump', 'database.bacpac')}`,
          '/SourceServerName:tcp:old.example.com,1433',
          `/SourcePassword:"${PASSWORD}"`,
          '/p:TableData=[dbo].[Orders]',
        ]),
      )
      expect(exported.join()).not.toContain('Sessions')
      await power.restore(work({ format: 'mssql-bacpac', savedBy: means.tool ?? '' }))
      expect(dropped).toBe(1)
      expect(await readFile(join(folder, 'response'), 'utf8')).toContain('/Action:Import\n/SourceFile:')
      expect((await readdir(tmpdir())).filter((name) => name.startsWith('migrate-sqlpackage-'))).toEqual([])
    })

    it('is refused a password that its response file can’t hold', async () => {
      power = mssqlNative({ ...OPTIONS, password: new Secret('a"b') }, server, async () => undefined, [
        join(folder, (await readdir(folder))[0] ?? ''),
      ])
      expect(await power.tools('save', {})).toMatchObject({ tool: null, reason: expect.stringContaining('quotation mark') })
    })
  })
})
