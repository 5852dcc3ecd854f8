import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { DnsListener } from '../../src/demo/dns-listener.ts'
import { startNameServer } from '../../src/demo/dns-server.ts'
import { type SftpServer, startSftpServer } from '../../src/demo/sftp-server.ts'
import { memoryZone, storedRecord } from '../../src/demo/zone-store.ts'
import type { TestPostgres } from '../servers/postgres.ts'
import { eventsOf, migrate } from './migrate.ts'
import { type Shop, startServer, startShop } from './shop.ts'
import { closeTerminals, inTerminal, KEYS, terminalMissing } from './terminal.ts'

const ZONE = 'tees.example'
const [OLD, NEW] = ['203.0.113.10', '198.51.100.20']
const record = (id: string, name: string, type: string, content: string) => storedRecord({ id, name, type, content })

let server: TestPostgres
let dns: DnsListener
let sftp: SftpServer
let shop: Shop
let folder: string
let site: string

beforeAll(async () => {
  server = await startServer('127.0.7.14')
  const zone = memoryZone(ZONE, [
    record('1', ZONE, 'A', OLD),
    record('2', ZONE, 'AAAA', '2001:db8::10'),
    record('3', `www.${ZONE}`, 'CNAME', ZONE),
  ])
  dns = await startNameServer({ address: '127.0.7.15', zone })
  site = await mkdtemp(join(tmpdir(), 'migrate-init-site-'))
  await mkdir(join(site, 'pictures'))
  sftp = await startSftpServer({ folder: site, address: '127.0.7.16', users: [{ name: 'site', password: 'p@ss word' }] })
})
beforeEach(async () => {
  shop = await startShop(server)
  folder = await mkdtemp(join(tmpdir(), 'migrate-init-'))
  await writeFile(join(site, '.env'), `# the shop\nDB_NAME=${nameOf(shop.old.url)}\nMAIL=none\n`)
  await mkdir(join(folder, 'new'))
})
afterEach(async () => {
  await shop?.close()
  await rm(folder, { recursive: true, force: true })
})
afterAll(async () => {
  closeTerminals()
  await Promise.all([server?.stop(), dns?.close(), sftp?.close()])
  await rm(site, { recursive: true, force: true })
})

const path = (): string => join(folder, 'shop.yml')
const nameOf = (url: string): string => new URL(url).pathname.slice(1)
const resolver = (): string => `${dns.address}:${dns.port}`
const init = (...args: readonly string[]) => migrate(['init', path(), '--resolver', resolver(), ...args])
const answers = (): readonly string[] => [
  ...['--site', ZONE, '--old-files', site, '--new-files', './new', '--new-site', `https://${NEW}`],
  ...['--old-database', shop.old.url, '--new-database', shop.new.url],
]

describe('migrate init with its answers given', () => {
  it('writes a playbook that check can read, of what it saw on both hosts and in DNS', async () => {
    const { exit, stdout } = await init(...answers(), '--state', 'kept here')
    expect(exit, stdout).toBe(0)
    expect(stdout).toContain(`  migrate run ${path()} --state 'kept here' --dry-run\n`)
    const text = await readFile(path(), 'utf8')
    expect(text).toMatch(/^# old database \S+ on 127\./m)
    expect(text).toContain('5 tables, about')
    expect(text).toContain(`site: https://${OLD}`)
    expect(text).toContain(`- { name: "${ZONE}", type: A, to: "${NEW}" }`)
    // An alias of a name that moves follows by itself.
    expect(text).not.toContain('name: "www')
    expect(text).toContain('provider: manual')
    expect(text).toContain(`{ file: .env, env: { "DB_NAME": ${JSON.stringify(nameOf(shop.new.url))} } }`)
    expect(text).toContain('[carry-files, reconcile]')
    const check = await migrate(['check', path(), '--json'], { OLD_DB_PASSWORD: 'x', NEW_DB_PASSWORD: 'x' })
    expect(check.exit, check.stdout).not.toBe(2)
    expect(eventsOf(check.stdout).some(({ code }) => code === 'config-not-rewritten')).toBe(false)
  })

  it('keeps no password, and says which variables hold them', async () => {
    const old = shop.old.url.replace('@', ':hunter2@').replace(/:[^:/@]*:hunter2/, ':hunter2')
    const { exit, stdout, stderr } = await init(...answers().map((each) => (each === shop.old.url ? old : each)), '--json')
    expect(exit, stderr).toBe(0)
    expect(`${stdout}${stderr}${await readFile(path(), 'utf8')}`).not.toContain('hunter2')
    expect(eventsOf(stdout).find(({ event }) => event === 'written')).toMatchObject({
      playbook: path(),
      variables: expect.arrayContaining(['OLD_DB_PASSWORD']),
    })
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: 'finished', outcome: 'ok', exit: 0 })
  })

  it('names a host that does not answer, and writes the playbook all the same', async () => {
    const { exit, stdout } = await init(...answers(), '--new-database', 'postgres://shop:x@127.0.7.17:1/shop', '--json')
    expect(exit).toBe(0)
    const problem = eventsOf(stdout).find(({ severity }) => severity === 'error')
    expect(problem).toMatchObject({ code: 'database-unreachable', message: expect.stringContaining('127.0.7.17:1') })
    expect(await readFile(path(), 'utf8')).toContain('127.0.7.17:1')
  })

  it.each([
    [['--site', ZONE], 3, '--old-files or --old-database, --new-files or --new-database missing'],
    [['--site', 'ftp://x', '--old-files', '.', '--new-files', '.'], 2, 'is no web address'],
    [['--site', ZONE, '--old-files', 'gopher://x@y/z', '--new-files', '.'], 2, 'has a kind of URL that files can'],
    [
      ['--site', ZONE, '--dns', 'rfc2136', '--old-files', '.', '--new-files', '.', '--new-site', `http://${NEW}`],
      2,
      '--dns-server',
    ],
  ])('%j ends with %i and writes nothing', async (args, code, message) => {
    const { exit, stderr } = await init(...args)
    expect(stderr).toContain(message)
    expect(exit).toBe(code)
    expect(await readdir(folder)).toEqual(['new'])
  })

  it('asks DNS for the zone, by whatever name of it the shop goes, and says where it could only guess', async () => {
    const write = async (site: string) => {
      const { exit, stderr } = await init(...answers().map((each) => (each === ZONE ? site : each)))
      const text = await readFile(path(), 'utf8')
      await rm(path())
      return { exit, stderr, zone: /^ {2}zone: (.*)$/m.exec(text)?.[1] }
    }
    // An alias of the zone's own name.
    expect(await write(`https://www.${ZONE}`)).toEqual({ exit: 0, stderr: '', zone: ZONE })
    const guessed = await write('https://www.tees.co.uk')
    expect(guessed).toMatchObject({ exit: 0, zone: 'tees.co.uk   # a guess, DNS does not say it: check it' })
    expect(guessed.stderr).toMatch(/in which zone www\.tees\.co\.uk is: .*tees\.co\.uk, which is a guess/)
    // Not in DNS yet: the zone answers that it has no such name.
    expect(await write(`https://new.shops.${ZONE}`)).toMatchObject({ zone: expect.stringMatching(`^${ZONE} +# a guess`) })
  })

  it('never overwrites a file', async () => {
    await writeFile(path(), 'mine')
    const { exit, stderr } = await init(...answers())
    expect(exit).toBe(2)
    expect(stderr).toContain('is there already. It was left as it is.')
    expect(await readFile(path(), 'utf8')).toBe('mine')
  })
})

describe.skipIf(terminalMissing !== null)(
  `migrate init in a terminal${terminalMissing ? ` (skipped: ${terminalMissing})` : ''}`,
  () => {
    it('asks one thing after the other, and has the host key of the old host confirmed', async () => {
      const terminal = inTerminal(['init', path(), '--resolver', resolver()])
      const answer = async (question: string, text: string): Promise<void> => {
        await terminal.until(question)
        terminal.press(text, KEYS.enter)
      }
      await answer('What do customers type?', ZONE)
      await answer('files on the old host', `sftp://site@${sftp.address}:${sftp.port}/`)
      await terminal.until('How do you log in')
      terminal.press(KEYS.down, KEYS.down, KEYS.enter)
      await answer('Password on the old host', 'mistyped')
      await answer('It is the right one', '')
      // The question that was answered is shown once more before the next one comes.
      await terminal.until('could not log in')
      await terminal.until('What now?')
      terminal.press(KEYS.enter)
      await answer('files on the old host', `sftp://site@${sftp.address}:${sftp.port}/`)
      await terminal.until('How do you log in')
      terminal.press(KEYS.down, KEYS.down, KEYS.enter)
      await answer('Password on the old host', 'p@ss word')
      await answer('It is the right one', '')
      await answer('database on the old host', shop.old.url)
      await answer('Where does the old host', '')
      await answer('files on the new host', './new')
      await answer('database on the new host', 'postgres://nobody@127.0.7.17:1/shop')
      await answer('Password for postgres://nobody', 'x')
      await terminal.until('What now?')
      terminal.press(KEYS.enter)
      await answer('database on the new host', shop.new.url)
      await answer('Where does the new host', `https://${NEW}`)
      await answer('Who publishes the zone?', '')
      await terminal.until('Wrote ')
      expect(await terminal.exit).toBe(0)
      const text = await readFile(path(), 'utf8')
      expect(text).toContain(`fingerprint: ${sftp.fingerprint}`)
      expect(text).toContain(`url: sftp://site:\${OLD_SFTP_PASSWORD}@${sftp.address}:${sftp.port}/`)
      expect(`${terminal.text}${text}`).not.toContain('p@ss word')
      expect(text).not.toContain('127.0.7.17')
    })

    it('writes nothing when the person leaves', async () => {
      const terminal = inTerminal(['init', path(), '--resolver', resolver()])
      await terminal.until('What do customers type?')
      terminal.press(KEYS.interrupt)
      expect(await terminal.exit).toBe(130)
      expect(await readdir(folder)).toEqual(['new'])
    })
  },
)
