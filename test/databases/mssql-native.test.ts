import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { statementError } from '../../src/databases/mssql/errors.ts'
import { mssqlNative } from '../../src/databases/mssql/native.ts'
import { withBackupHint } from '../../src/databases/mssql/native-errors.ts'
import type { NativePower, NativeWishes } from '../../src/databases/native-port.ts'
import { FakeServer, HEADER, INFO, OPTIONS, PATH, URL, workIn } from './mssql-backup-server.ts'

describe('SQL Server’s own BACKUP and RESTORE', () => {
  let server: FakeServer
  let power: NativePower
  const progress: string[] = []
  beforeEach(() => {
    server = new FakeServer()
    power = mssqlNative(OPTIONS, server, async () => undefined, [])
  })
  afterEach(() => progress.splice(0))

  const work = (wishes: NativeWishes, skip: readonly string[] = []) =>
    workIn('/nowhere', wishes, skip, (done, total, unit, item) => progress.push(`${done}/${total} ${unit} ${item}`))
  const onDisk: NativeWishes = { server: { path: PATH } }

  it('is written as the documentation has it, and proven before it counts', async () => {
    const saved = await power.save(work(onDisk))
    expect(saved).toEqual({ consistent: true, rows: null, place: 'server' })
    expect(server.done).toEqual([
      `own: BACKUP DATABASE [sh]]op] TO DISK = N'${PATH}' WITH COPY_ONLY, COMPRESSION, CHECKSUM, NAME = N'migrate', STATS = 5`,
      `master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, STATS = 5`,
    ])
    expect(progress[0]).toBe('5/100 changes BACKUP (per cent)')
  })

  it('is made by an account that may not look into backups, with a warning, and verified by the new server alone', async () => {
    server.info = { ...INFO, mayCreate: 0 }
    expect((await power.tools('save', onDisk)).findings).toContainEqual(
      expect.objectContaining({ code: 'native-not-verified', hint: expect.stringContaining('TO [shop_login]') }),
    )
    await power.save(work(onDisk))
    expect(server.done).toEqual([expect.stringMatching(/^own: BACKUP DATABASE/)])
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
    server.credentials = [{ name: 'https://account.blob.core.windows.net/backups', seen: 0 }]
    expect((await power.tools('save', wishes)).findings.map(({ severity }) => severity)).toEqual(['info'])
  })

  it('can’t say whether there is a credential where the account may not see any, and names the right', async () => {
    server.credentials = [{ name: 'https://account.blob.core.windows.net/others', seen: 0 }]
    expect((await power.tools('save', { server: { url: URL } })).findings).toContainEqual(
      expect.objectContaining({
        severity: 'warning',
        code: 'backup-credential-missing',
        hint: expect.stringMatching(/GRANT ALTER ANY CREDENTIAL TO \[shop_login\].*CREATE CREDENTIAL/),
      }),
    )
  })

  // "SQL Server backup to URL …", support for backup and restore arguments: large blocks, and never FILE.
  it('goes to a URL in blocks large enough for 195 GiB, and comes from there without the number of a set', async () => {
    server.headers = [{ ...HEADER, Position: 1 }]
    await power.save(work({ server: { url: URL } }))
    await power.restore(work({ server: { url: URL }, format: 'mssql-bak', savedBy: 'BACKUP DATABASE 15.0' }))
    expect(server.done.slice(0, 2)).toEqual([
      `own: BACKUP DATABASE [sh]]op] TO URL = N'${URL}' WITH COPY_ONLY, COMPRESSION, CHECKSUM, MAXTRANSFERSIZE = 4194304, BLOCKSIZE = 65536, NAME = N'migrate', STATS = 5`,
      `master: RESTORE VERIFYONLY FROM URL = N'${URL}' WITH CHECKSUM, STATS = 5`,
    ])
    expect(server.asked).toContain(`RESTORE FILELISTONLY FROM URL = N'${URL}'`)
    expect(server.done.join('\n')).not.toContain('FILE =')
  })

  it('goes to S3 in large parts where it is compressed, as it must be for that, and from no Express', async () => {
    const s3: NativeWishes = { server: { url: 's3://store.example.com/bucket/shop.bak' } }
    server.headers = [{ ...HEADER, Position: 1 }]
    server.info = { ...INFO, version: '16.0.1000.6' }
    await power.save(work(s3))
    expect(server.done[0]).toContain('COMPRESSION, CHECKSUM, MAXTRANSFERSIZE = 20971520, NAME')
    server.info = { ...INFO, version: '16.0.1000.6', edition: 'Web Edition (64-bit)' }
    await power.save(work(s3))
    expect(server.done[2]).toContain('NO_COMPRESSION, CHECKSUM, NAME')
    server.info = { ...INFO, version: '16.0.1000.6', edition: 'Express Edition (64-bit)', engineEdition: 4 }
    expect((await power.tools('save', s3)).reason).toContain('makes no backup in S3')
  })

  it('of a database that is encrypted as a whole needs the certificate, which is said beforehand', async () => {
    server.info = { ...INFO, encrypted: 1 }
    expect((await power.tools('save', onDisk)).findings).toContainEqual(
      expect.objectContaining({
        severity: 'warning',
        code: 'native-encrypted',
        hint: expect.stringContaining('BACKUP CERTIFICATE'),
      }),
    )
    server.info = { ...INFO, encrypted: 1, engineEdition: 8 }
    expect((await power.tools('save', { server: { url: URL } })).findings).toContainEqual(
      expect.objectContaining({ code: 'native-encrypted', hint: expect.stringContaining('whose key Azure keeps') }),
    )
  })

  it('names the container’s credential whatever lies between it and the file, and that of S3', async () => {
    const hintFor = async (url: string) => (await power.tools('save', { server: { url } })).findings[0]?.hint
    server.info = { ...INFO, version: '16.0.1000.6' }
    expect(await hintFor('https://account.blob.core.windows.net/backups/2026/shop.bak')).toContain(
      "CREATE CREDENTIAL [https://account.blob.core.windows.net/backups] WITH IDENTITY = 'SHARED ACCESS SIGNATURE'",
    )
    expect(await hintFor('s3://store.example.com:9000/bucket/shop.bak')).toContain(
      "CREATE CREDENTIAL [s3://store.example.com:9000/bucket] WITH IDENTITY = 'S3 Access Key', SECRET = '<access key>:<secret key>'",
    )
  })

  it.each([
    ['11.0.7001.0', URL, 'since SQL Server 2016'],
    ['15.0.4430.1', 's3://store.example.com/bucket/shop.bak', 'since SQL Server 2022'],
  ])('goes to no URL that a server %s doesn’t know: %s', async (version, url, reason) => {
    server.info = { ...INFO, version }
    for (const purpose of ['save', 'restore'] as const)
      expect(await power.tools(purpose, { server: { url }, format: 'mssql-bak' })).toMatchObject({
        tool: null,
        reason: expect.stringContaining(reason),
      })
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
    expect((await power.tools('restore', { server: { url: URL }, format: 'mssql-bak' })).reason).toContain('only under a name')
    expect((await power.tools('save', { from: 'shop.zip' })).reason).toContain('neither a .bak nor a .bacpac')
  })

  it('is restored into the folders of the database that it replaces, which everyone else has left', async () => {
    await power.restore(work({ ...onDisk, format: 'mssql-bak', savedBy: 'BACKUP DATABASE 15.0' }, ['Sessions']))
    expect(server.done).toEqual([
      `master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, MOVE N'shop_data' TO N'E:\\data\\sh_op_run-1_1.mdf', MOVE N'it''s log' TO N'F:\\logs\\sh_op_run-1_2.ldf', MOVE N'more' TO N'E:\\data\\sh_op_run-1_3.ndf', STATS = 5`,
      `master: IF DATABASEPROPERTYEX(N'sh]op', 'Status') = N'ONLINE' ALTER DATABASE [sh]]op] SET SINGLE_USER WITH ROLLBACK IMMEDIATE;\nRESTORE DATABASE [sh]]op] FROM DISK = N'${PATH}' WITH FILE = 2, CHECKSUM, MOVE N'shop_data' TO N'E:\\data\\sh_op_run-1_1.mdf', MOVE N'it''s log' TO N'F:\\logs\\sh_op_run-1_2.ldf', MOVE N'more' TO N'E:\\data\\sh_op_run-1_3.ndf', REPLACE, RECOVERY, STATS = 5`,
      `master: IF DATABASEPROPERTYEX(N'sh]op', 'Status') = N'ONLINE' ALTER DATABASE [sh]]op] SET MULTI_USER`,
      `master: IF DATABASEPROPERTYEX(N'sh]op', 'Updateability') = N'READ_ONLY' ALTER DATABASE [sh]]op] SET READ_WRITE WITH ROLLBACK IMMEDIATE`,
      expect.stringMatching(
        /^own: IF EXISTS [\s\S]*DISABLE TRIGGER ALL[\s\S]*DELETE FROM \[dbo\]\.\[Sessions\][\s\S]*ELSE TRUNCATE TABLE \[dbo\]\.\[Sessions\]$/,
      ),
    ])
    expect(progress).toContain('100/100 changes RESTORE (per cent)')
  })

  it('empties tables that refer to each other without a row of others going along', async () => {
    server.holding = [
      { schema: 'dbo', table: 'Basket]s', name: 'FK_1', untrusted: 0 },
      { schema: 'shop', table: 'Lines', name: 'FK_2', untrusted: 1 },
    ]
    await power.restore(work({ ...onDisk, format: 'mssql-bak' }, ['Sessions', 'Baskets']))
    expect(server.asked.at(-1)).toContain(
      "k.referenced_object_id IN (OBJECT_ID(N'[dbo].[Sessions]'), OBJECT_ID(N'[dbo].[Baskets]'))",
    )
    expect(server.done.slice(4)).toEqual([
      'own: ALTER TABLE [dbo].[Basket]]s] NOCHECK CONSTRAINT [FK_1]',
      'own: ALTER TABLE [shop].[Lines] NOCHECK CONSTRAINT [FK_2]',
      expect.stringContaining('DELETE FROM [dbo].[Sessions]'),
      expect.stringContaining('DELETE FROM [dbo].[Baskets]'),
      'own: ALTER TABLE [dbo].[Basket]]s] WITH CHECK CHECK CONSTRAINT [FK_1]',
      'own: ALTER TABLE [shop].[Lines] WITH NOCHECK CHECK CONSTRAINT [FK_2]',
    ])
  })

  it('never replaces a database that holds something', async () => {
    server.tables = [{ name: 'dbo.Guestbook' }]
    await expect(power.restore(work({ ...onDisk, format: 'mssql-bak' }))).rejects.toMatchObject({
      code: 'target-not-empty',
      message: expect.stringContaining('dbo.Guestbook'),
    })
    expect(server.done).toEqual([])
  })

  it.each([
    [
      3201,
      "Cannot open backup device 'D:\\b.bak'. Operating system error 5(Access is denied.).",
      /account that the server itself runs under/,
    ],
    [3098, "The backup cannot be performed because 'COMPRESSION' was requested …", /one that isn’t there yet/],
    [3101, 'Exclusive access could not be obtained because the database is in use.', /Somebody else uses/],
    [33111, "Cannot find server certificate with thumbprint '0x01'.", /BACKUP CERTIFICATE/],
    [3241, "The media family on device 'D:\\b.bak' is incorrectly formed.", /isn’t a backup that this server reads/],
  ])('that fails with error %i says what to do about it', (number, words, hint) => {
    const said = (message: string, of: number): Error => Object.assign(new Error(message), { number: of, class: 16 })
    const cause = new AggregateError([said(words, number), said('BACKUP DATABASE is terminating abnormally.', 3013)])
    const where = { label: 'old database shop', user: 'shop', database: 'shop' }
    const failure = withBackupHint(statementError(cause, 'BACKUP DATABASE [shop]', where, false))
    expect(failure.message).toContain(words)
    expect(failure.hint).toMatch(hint)
  })

  it('lets the others in again when the restore was refused', async () => {
    server.fails = /RESTORE DATABASE/
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
    expect(server.done[0]).toContain(`master: RESTORE VERIFYONLY FROM DISK = N'${PATH}' WITH FILE = 2, MOVE N'shop_data'`)
    expect(server.done[1]).toContain("WITH FILE = 2, MOVE N'shop_data'")
  })

  // "RESTORE HEADERONLY", Result sets: of a set behind a password, as of one that was cut off, the rest is NULL.
  it('takes none that was cut off or is behind a password for a backup', async () => {
    const nothing = Object.fromEntries(Object.keys(HEADER).map((name) => [name, null]))
    server.headers = [
      { ...nothing, BackupName: '*** Password Protected ***', Position: 1 },
      { ...HEADER, BackupName: 'nightly', Position: 2 },
      { ...nothing, BackupName: '*** INCOMPLETE ***', BackupType: 1, Position: 3 },
    ]
    await power.restore(work({ ...onDisk, format: 'mssql-bak', savedBy: 'the backup given' }))
    expect(server.done[0]).toContain('WITH FILE = 2,')
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
})
