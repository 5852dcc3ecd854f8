import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import type { Step } from '../../src/run/step.ts'
import { closeOldKind } from '../../src/steps/close-old.ts'
import type { Host } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'
import { startWeb } from '../servers/web.ts'

const stepFor = (options: Json, old: Partial<Host>): Step =>
  closeOldKind.create(closeOldKind.options.parse(options), testContext(testWorld({ old }), 'close-old'))

function testRun(): TestRun {
  const directory = mkdtempSync(join(tmpdir(), 'migrate-close-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return new TestRun(directory, new FakeClock())
}

/** A site whose web server minds `app_offline.htm` as IIS does: what stands in it is all that it answers, with 503. */
async function oldSite(minds = 'app_offline.htm') {
  const folder = siteFolder()
  folder.put('index.htm', Buffer.from('<title>The old shop</title>'))
  const web = await startWeb((_request, response) => {
    const page = join(folder.path, minds)
    if (existsSync(page)) response.writeHead(503, { 'content-type': 'text/html' }).end(readFileSync(page))
    else response.writeHead(200, { 'content-type': 'text/html' }).end(folder.read('index.htm'))
  })
  onTestFinished(async () => {
    await web.close()
    folder.remove()
  })
  return { folder, site: web.url, asked: async () => (await fetch(web.url)).status }
}

async function overSftp(path: string): Promise<FileHost> {
  const sshd = await startSshd({ address: '127.0.12.35' })
  const files = openSftp({
    host: sshd.address,
    port: sshd.port,
    user: sshd.user,
    root: path,
    key: sshd.key,
    fingerprint: sshd.fingerprint,
    connections: 2,
    label: 'sftp://old',
  })
  onTestFinished(async () => {
    await files.close()
    await sshd.stop()
  })
  return files
}

describe('closing the old site by a maintenance file', () => {
  it.each([
    ['a local folder', async (path: string) => openLocal(path)],
    ...(sshdMissing === null ? [['SFTP', overSftp] as const] : []),
  ] as const)('over %s ends its answering, and undo opens it as it was', async (_name, open) => {
    const { folder, site, asked } = await oldSite()
    const before = folder.image()
    const files = await open(folder.path)
    const [step, run] = [stepFor({ with: 'maintenance', file: 'app_offline.htm' }, { files, site }), testRun()]

    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)

    expect(changes.map((change) => step.describe(change))).toEqual(['put the maintenance file app_offline.htm on the old host'])
    expect(await step.verify(run)).toEqual([])
    expect(await asked()).toBe(503)
    expect(folder.read('app_offline.htm')?.toString()).toContain('moved to a new server')
    expect(await step.plan(run)).toEqual([])

    await takeBack(step, changes, run)
    expect(await asked()).toBe(200)
    expect(folder.image()).toEqual(before)
    expect(await step.plan(run)).toEqual(changes)
  })

  it('puts back what stood there, byte for byte, also after it was cut off before it wrote', async () => {
    const { folder, site } = await oldSite()
    folder.put('app_offline.htm', Buffer.from('closed for\0 lunch\r\n'), 0o600)
    const before = folder.image()
    const [step, run] = [
      stepFor({ with: 'maintenance', file: 'app_offline.htm', content: 'Gone.' }, { files: openLocal(folder.path), site }),
      testRun(),
    ]
    const planned = await step.plan(run)
    await takeBack(step, planned, run)
    expect(folder.image()).toEqual(before)

    await perform(step, run)
    expect(folder.read('app_offline.htm')?.toString()).toBe('Gone.')
    await takeBack(step, planned, run)
    await takeBack(step, planned, run)
    expect(folder.image()).toEqual(before)
  })

  it('never overwrites or removes what somebody else wrote there meanwhile', async () => {
    const { folder, site } = await oldSite()
    const [step, run] = [
      stepFor({ with: 'maintenance', file: 'app_offline.htm' }, { files: openLocal(folder.path), site }),
      testRun(),
    ]
    const planned = await step.plan(run)
    folder.put('app_offline.htm', Buffer.from('by hand'))
    for (const change of planned) await expect(step.apply(change, run)).rejects.toMatchObject({ code: 'maintenance-changed' })
    await expect(takeBack(step, planned, run)).rejects.toMatchObject({ code: 'maintenance-changed' })
    expect(folder.read('app_offline.htm')?.toString()).toBe('by hand')
  })

  it('fails where the web server does not mind the file, and says who minds which', async () => {
    const { folder, site, asked } = await oldSite('maintenance.flag')
    const [step, run] = [
      stepFor({ with: 'maintenance', file: 'app_offline.htm' }, { files: openLocal(folder.path), site }),
      testRun(),
    ]
    await perform(step, run)
    expect(await step.verify(run)).toMatchObject([
      { severity: 'error', code: 'old-not-closed', message: expect.stringContaining('answers with status 200') },
    ])
    expect(await asked()).toBe(200)
  })

  it('writes PHP that stays young for WordPress', async () => {
    const { folder } = await oldSite()
    const [step, run] = [stepFor({ with: 'maintenance', file: '.maintenance' }, { files: openLocal(folder.path) }), testRun()]
    expect((await step.check(run)).map(({ severity, code }) => [severity, code])).toEqual([['warning', 'close-old-unseen']])
    await perform(step, run)
    expect(folder.read('.maintenance')?.toString()).toBe('<?php $upgrading = time();\n')
  })

  it('is refused without a file, and without the right to write', async () => {
    expect(closeOldKind.options.safeParse({ with: 'maintenance' }).success).toBe(false)
    expect(closeOldKind.options.safeParse({ with: 'database', file: 'x' }).success).toBe(false)
    expect(closeOldKind.options.safeParse({ with: 'maintenance', file: '/etc/passwd' }).success).toBe(false)
    expect(await stepFor({ with: 'maintenance', file: 'x' }, {}).check(testRun())).toMatchObject([
      { code: 'playbook-part-missing', ending: 'usage' },
    ])
    expect(await stepFor({ with: 'database' }, {}).check(testRun())).toMatchObject([{ code: 'playbook-part-missing' }])
  })
})

interface OldShop {
  readonly database: Database
  buy(): Promise<unknown>
}

function closesTheDatabase(title: string, make: () => Promise<OldShop>): void {
  it(title, async () => {
    const shop = await make()
    const [step, run] = [stepFor({ with: 'database', grace: '1s' }, { database: shop.database }), testRun()]
    await shop.buy()

    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)

    expect(changes).toHaveLength(1)
    expect(await step.verify(run)).toEqual([])
    await expect(shop.buy()).rejects.toThrow()
    expect((await shop.database.schema()).tables).toHaveLength(1)
    expect(await step.plan(run)).toEqual([])

    // Cut off in the middle: looked at, it is closed, but what was begun is gone through once more.
    await run.remember('close-old', changes[0] ?? null)
    expect(await perform(step, run)).toEqual(changes)
    expect(await step.plan(run)).toEqual([])

    await takeBack(step, changes, run)
    await takeBack(step, changes, run)
    await shop.buy()
    expect(await step.plan(run)).toEqual(changes)
  })
}

describe('closing the old database', () => {
  closesTheDatabase('of PostgreSQL: nobody writes, we read, undo opens it', async () => {
    const server = await startTestPostgres({ host: '127.0.12.36' })
    const made = await server.database()
    await made.sql('CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)')
    const database = openPostgres(made.options())
    onTestFinished(async () => {
      await database.close()
      await server.stop()
    })
    return { database, buy: () => made.sql('INSERT INTO orders DEFAULT VALUES') }
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('closing the old database'), () => {
  closesTheDatabase('of MariaDB: nobody writes, we read, undo opens it', async () => {
    const server = await startTestMysql({ host: '127.0.12.37' })
    const made = await server.database()
    await made.sql('CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY)')
    const database = openMysql(made.options())
    onTestFinished(async () => {
      await database.close()
      await server.stop()
    })
    return { database, buy: () => made.sql('INSERT INTO orders VALUES ()') }
  })
})
