import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import type { Step } from '../../src/run/step.ts'
import { rewriteConfigKind } from '../../src/steps/rewrite-config.ts'
import { forgottenConfigs } from '../../src/steps/rewrite-config-forgotten.ts'
import type { Host, World } from '../../src/steps/world.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

const PLACEHOLDER = `$${'{NEW_DB_PASSWORD}'}`
const SECRET = 'n3w;"pass\'w<ord'
const WEB_CONFIG = `\ufeff<configuration>\r\n  <connectionStrings>\r\n    <add name="Shop" connectionString="Server=old-sql;Password=hunter22" /> <!-- keep -->\r\n  </connectionStrings>\r\n</configuration>\r\n`

let old: SiteFolder
let fresh: SiteFolder
let run: TestRun
let directory: string
beforeEach(() => {
  old = siteFolder()
  fresh = siteFolder()
  directory = mkdtempSync(join(tmpdir(), 'migrate-run-'))
  run = new TestRun(directory)
})
afterEach(() => {
  old.remove()
  fresh.remove()
  rmSync(directory, { recursive: true })
})

/** The same file on both hosts, as after restore-files. */
function put(file: string, content: string | Buffer, mode?: number): void {
  for (const site of [old, fresh]) site.put(file, Buffer.from(content), mode)
}

const world = (more: { readonly old?: Partial<Host>; readonly new?: Partial<Host> } = {}): World =>
  testWorld({
    old: { files: openLocal(old.path, 'old'), ...more.old },
    new: { files: openLocal(fresh.path, 'new'), ...more.new },
  })

const step = (items: unknown, files?: FileHost): Step =>
  rewriteConfigKind.create(
    rewriteConfigKind.options.parse(items),
    testContext(world(files === undefined ? {} : { new: { files } }), 'rewrite-config'),
  )

const codesOf = async (items: unknown) => (await step(items).check(run)).map(({ severity, code }) => `${severity} ${code}`)
const text = (file: string): string => fresh.read(file)?.toString() ?? ''

describe('rewrite-config', () => {
  it('changes settings of every format by name, once', async () => {
    put('web.config', WEB_CONFIG)
    put('appsettings.json', '{ /* c */ "Shop": { "Db": "old", "Port": 1 }, }')
    put('.env', "DB_HOST=old # c\nDB_PASSWORD='x'\n")
    put('wp-config.php', "<?php\ndefine( 'DB_HOST', 'old' ); // c\n$table_prefix = 'wp_';\n")
    put('p.yml', 'db: { host: old } # c\n')
    const items = [
      { file: 'web.config', connectionStrings: { Shop: `Server=new;Password=${SECRET}` }, replace: { keep: 'kept' } },
      { file: 'appsettings.json', json: { Shop: { Db: 'new' }, 'Shop:Port': '2' } },
      { file: '.env', env: { DB_HOST: 'new', DB_PASSWORD: 'p$w' } },
      { file: 'wp-config.php', php: { DB_HOST: 'new' } },
      { file: 'wp-config.php', php: { $table_prefix: 'shop_' } },
      { file: 'p.yml', yaml: { 'db.host': 'new' } },
    ]
    expect(await step(items).check(run)).toEqual([])
    const changes = await perform(step(items), run)
    expect(text('web.config')).toBe(
      WEB_CONFIG.replace('Server=old-sql;Password=hunter22', "Server=new;Password=n3w;&quot;pass'w&lt;ord").replace(
        'keep',
        'kept',
      ),
    )
    expect(text('appsettings.json')).toBe('{ /* c */ "Shop": { "Db": "new", "Port": 2 }, }')
    expect(text('.env')).toBe("DB_HOST=new # c\nDB_PASSWORD='p$w'\n")
    expect(text('wp-config.php')).toBe("<?php\ndefine( 'DB_HOST', 'new' ); // c\n$table_prefix = 'shop_';\n")
    expect(text('p.yml')).toBe('db: { host: new } # c\n')
    expect(await step(items).plan(run)).toEqual([])
    expect(await step(items).verify(run)).toEqual([])
    expect(changes.map((change) => step(items).describe(change))[0]).toBe('change web.config on the new host: Shop, a text')
  })

  it('keeps values out of the journal, and passwords out of what is shown', async () => {
    put('web.config', WEB_CONFIG)
    put('.env', 'SMTP_PASSWORD=old secret\nURL=mysql://u:hunter2@old/x\nKEY=a\n')
    const items = [
      { file: 'web.config', connectionStrings: { Shop: 'Server=new-sql;Password=topsecret' } },
      { file: '.env', env: { SMTP_PASSWORD: 'hush hush', URL: 'mysql://u:hunter3@new/x' } },
    ]
    const changes = await perform(step(items), run)
    const journaled = JSON.stringify([changes, changes.map((change) => step(items).describe(change)), [...run.facts]])
    const shown = JSON.stringify(run.events)
    for (const value of ['topsecret', 'hunter', 'hush', 'old secret']) {
      expect(journaled).not.toContain(value)
      expect(shown).not.toContain(value)
    }
    expect(journaled).not.toContain('new-sql')
    expect(shown).toContain('Server=new-sql;Password=***')
    expect(shown).toContain('-URL=mysql://u:***@old/x')
  })

  it('keeps each encoding, and refuses what it can’t hold', async () => {
    put('latin.php', Buffer.from("<?php // caf\xe9 \x80\r\ndefine('A', 'x');", 'latin1'))
    put('wide.json', Buffer.from('\ufeff{"é": "x"}', 'utf16le'))
    put('latin.json', Buffer.from('{"\xe9": "x"}', 'latin1'))
    await perform(
      step([
        { file: 'latin.php', php: { A: 'é€' } },
        { file: 'wide.json', json: { é: '😀' } },
        { file: 'latin.json', json: { é: '😀' } },
      ]),
      run,
    )
    expect(fresh.read('latin.php')).toEqual(Buffer.from("<?php // caf\xe9 \x80\r\ndefine('A', '\xe9\x80');", 'latin1'))
    expect(fresh.read('wide.json')).toEqual(Buffer.from('\ufeff{"é": "😀"}', 'utf16le'))
    expect(fresh.read('latin.json')).toEqual(Buffer.from('{"\xe9": "\\ud83d\\ude00"}', 'latin1'))
    expect(await codesOf([{ file: 'latin.php', php: { A: 'ž😀' } }])).toEqual(['error config-text-unencodable'])
  })

  it('says beforehand what doesn’t fit the old host’s file, with the nearest name', async () => {
    old.put('web.config', Buffer.from(WEB_CONFIG))
    const [missing] = await step([{ file: 'web.config', connectionStrings: { Shpo: 'x' } }]).check(run)
    expect(missing).toMatchObject({
      severity: 'error',
      code: 'config-setting-missing',
      message: 'web.config on old has no setting Shpo. It was left as it is.',
      hint: 'Did you mean "Shop"?',
    })
    const [nowhere] = await step([{ file: 'web.config', replace: { 'OLD-sql': 'x' } }]).check(run)
    expect(nowhere).toMatchObject({
      code: 'config-text-missing',
      hint: expect.stringContaining('line 3 with other upper and lower case'),
    })
    expect(await codesOf([{ file: 'web.config', json: { a: 'x' } }])).toEqual(['error config-unreadable'])
    expect(await codesOf([{ file: 'nowhere', json: { a: 'x' } }])).toEqual(['error file-missing'])
    expect(await codesOf([{ file: 'web.config', replace: { 'old-sql': 'b-sql', 'b-sql': 'c-sql' } }])).toEqual([
      'error config-edits-unstable',
    ])
  })

  it('refuses a text that is a part of longer names, unless it is told how often it stands there', async () => {
    put('a.txt', 'old.example.com\ncdn-old.example.com old.example.com.\nx.old.example.com, old.example.community')
    const plain = [{ file: 'a.txt', replace: { 'old.example.com': 'new.example.com' } }]
    const [error] = await step(plain).check(run)
    expect(error).toMatchObject({
      severity: 'error',
      code: 'config-text-inside-name',
      message: expect.stringContaining('lines 2, 3'),
    })
    expect(error?.hint).toContain('times: 5')
    await expect(step(plain).plan(run)).rejects.toMatchObject({ code: 'config-text-inside-name' })
    const counted = (times: number) => [{ file: 'a.txt', replace: { 'old.example.com': { to: 'new.example.com', times } } }]
    expect(await codesOf(counted(1))).toEqual(['error config-text-times'])
    expect(await codesOf(counted(5))).toEqual([])
    await perform(step(counted(5)), run)
    expect(await step(counted(5)).plan(run)).toEqual([])
  })

  it.each([
    ['nothing', ''],
    ['what stands in the file already', 'sql'],
  ])('refuses a misspelled text that is to become %s, at the first plan and in check', async (_what, to) => {
    put('a.ini', 'driver=mysql\nserver=old-sql')
    const misspelled = [{ file: 'a.ini', replace: { 'old-sqll': to } }]
    expect(await codesOf(misspelled)).toEqual(['error config-text-missing'])
    await expect(step(misspelled).plan(run)).rejects.toMatchObject({ code: 'config-text-missing' })
    expect(text('a.ini')).toBe('driver=mysql\nserver=old-sql')
  })

  it('takes a text that it has replaced by nothing for done, and misses it again once that was taken back', async () => {
    put('a.ini', 'server=old-sql;debug\n')
    const items = [{ file: 'a.ini', replace: { ';debug': '', 'old-sql': 'new-sql' } }]
    const done = await perform(step(items), run)
    expect(text('a.ini')).toBe('server=new-sql\n')
    expect([await step(items).plan(run), await step(items).verify(run)]).toEqual([[], []])
    await takeBack(step(items), done, run)
    expect(text('a.ini')).toBe('server=old-sql;debug\n')
    fresh.put('a.ini', Buffer.from('server=new-sql\n'))
    const error = step(items).plan(run)
    await expect(error).rejects.toMatchObject({ code: 'config-text-missing' })
  })

  it.each([
    [{ file: 'a' }, 'says nothing to change'],
    [{ file: 'a', env: {} }, 'must name at least one setting'],
    [{ file: 'a', env: { A: 'x' }, json: { A: 'x' } }, 'stands beside json'],
    [{ file: 'a', env: { A: 1.1 } }, 'must be in quotes'],
    [{ file: 'a', env: { A: null } }, 'is empty'],
    [{ file: 'a', env: { A: { B: 'x' } } }, 'must be text, a whole number'],
    [{ file: 'a', json: { A: { B: ['x'] } } }, 'must be text, a whole number'],
    [{ file: 'a', replace: { A: { to: 'x' } } }, 'must be a text, or { to: text, times: 1 }'],
  ])('refuses %j', (item, message) => {
    const { error } = rewriteConfigKind.options.safeParse([item])
    expect(error?.issues.map((issue) => issue.message).join()).toContain(message)
  })
})

describe('check', () => {
  const databases = {
    old: {
      databaseEnvironment: () => ({
        MIGRATE_HOST: 'old-sql.example.com',
        MIGRATE_DATABASE: 'u47',
        MIGRATE_USER: 'u47_w',
        MIGRATE_PASSWORD: 'hunter22',
      }),
    },
    new: {
      databaseEnvironment: () => ({
        MIGRATE_HOST: 'new-sql.example.com',
        MIGRATE_DATABASE: 'shop',
        MIGRATE_USER: 'shop',
        MIGRATE_PASSWORD: 'topsecret',
      }),
    },
  }
  const hints = async (steps: readonly Step[] = []) =>
    (await forgottenConfigs(world(databases), steps, run)).map(({ code, hint }) => `${code}: ${hint?.split(' - ')[1]}`)

  it('finds configs that name the old database and that nothing changes, and gives the item to paste', async () => {
    old.put(
      'web.config',
      Buffer.from(WEB_CONFIG.replace('Server=old-sql;', 'Server=tcp:old-sql.example.com,1433;Database=u47;User Id=u47_w;')),
    )
    old.put(
      'wp-config.php',
      Buffer.from(
        "<?php define('DB_NAME', 'u47'); define('DB_USER', 'u47_w'); define('DB_PASSWORD', 'hunter22'); define('DB_HOST', 'localhost');",
      ),
    )
    old.put(
      'app/etc/env.php',
      Buffer.from(
        "<?php return ['db' => ['connection' => ['default' => ['host' => 'old-sql.example.com', 'dbname' => 'u47']]]];",
      ),
    )
    old.put('.env', Buffer.from('DATABASE_URL=mysql://u47_w:hunter22@old-sql.example.com/u47\nAPP_NAME=shop'))
    old.put('configuration.php', Buffer.from('<?php class JConfig { public $host = "localhost"; }'))
    const found = await hints()
    expect(found).toEqual([
      `config-not-rewritten: { file: web.config, connectionStrings: { "Shop": "Server=tcp:new-sql.example.com,1433;Database=shop;User Id=shop;Password=${PLACEHOLDER}" } }`,
      `config-not-rewritten: { file: .env, env: { "DATABASE_URL": "mysql://u47_w:${PLACEHOLDER}@new-sql.example.com/u47" } }`,
      `config-not-rewritten: { file: wp-config.php, php: { "DB_NAME": "shop", "DB_USER": "shop", "DB_PASSWORD": "${PLACEHOLDER}" } }`,
      `config-not-rewritten: { file: app/etc/env.php, php: { "db.connection.default.host": "new-sql.example.com", "db.connection.default.dbname": "shop" } }`,
    ])
    expect(found.join()).not.toContain('hunter22')
  })

  it('says nothing of a config that a step changes, nor of one that names the old host nowhere', async () => {
    old.put('web.config', Buffer.from(WEB_CONFIG.replace('old-sql', 'old-sql.example.com')))
    old.put('appsettings.json', Buffer.from('{ "Db": "cdn-old-sql.example.com" }'))
    expect(await hints([step([{ file: 'Web.config', connectionStrings: { Shop: 'x' } }])])).toEqual([])
    expect(await hints()).toHaveLength(1)
  })
})

describe.skipIf(sshdMissing !== null)(
  `rewrite-config over OpenSSH${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
  () => {
    let sshd: Sshd
    beforeAll(async () => {
      sshd = await startSshd()
    })
    afterAll(() => sshd.stop())

    it('is undone to the byte, time and mode', async () => {
      put('web.config', WEB_CONFIG, 0o640)
      put('.env', Buffer.from('A=\xe9 # caf\xe9\r\nDB_HOST=old', 'latin1'), 0o400)
      const before = fresh.image()
      const { address: host, port, user, key, fingerprint } = sshd
      const files = openSftp({ host, port, user, key, fingerprint, root: fresh.path, connections: 2 })
      try {
        const items = [
          { file: 'web.config', connectionStrings: { Shop: 'Server=new' } },
          { file: '.env', env: { DB_HOST: 'new' } },
        ]
        const done = await perform(step(items, files), run)
        expect(text('web.config')).toBe(WEB_CONFIG.replace('Server=old-sql;Password=hunter22', 'Server=new'))
        expect(fresh.image().map((line) => line.split(' ')[1])).toEqual(before.map((line) => line.split(' ')[1]))
        expect(await step(items, files).plan(run)).toEqual([])
        await takeBack(step(items, files), done, run)
        expect(fresh.image()).toEqual(before)
      } finally {
        await files.close()
      }
    })
  },
)
