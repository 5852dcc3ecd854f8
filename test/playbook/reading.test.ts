// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a playbook's own placeholders
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { boundPlaybook, endpoints } from '../../src/playbook/binding.ts'
import { buildSequence, buildWorld, loadPlaybook, parsePlaybook } from '../../src/playbook/index.ts'
import type { SftpFiles } from '../../src/playbook/model.ts'
import { loadPlaybookName } from '../../src/playbook/name.ts'
import { ENV, STORY, small } from './shop.ts'

const story = () => parsePlaybook(STORY, 'playbooks/story.yml', ENV)
const files = (url: string, env: Readonly<Record<string, string>> = {}): SftpFiles => {
  const { files } = parsePlaybook(`name: shop\nold:\n  files: ${url}\nnew: {}\n`, 'shop.yml', env).old
  if (files?.protocol !== 'sftp') throw new Error('not sftp')
  return files
}

describe('the playbook of the documentation', () => {
  it('is read with both hosts, their passwords kept apart', () => {
    const { old, new: destination, site } = story()
    expect(old.files).toMatchObject({ protocol: 'sftp', host: 'old.example.com', port: 22, user: 'site', root: '/site' })
    expect(old.database).toMatchObject({ engine: 'mssql', host: 'old.example.com', port: 1433, user: 'shop', database: 'shop' })
    expect(old.database?.password?.reveal()).toBe('old-database-password')
    expect(destination.database?.password?.reveal()).toBe('new-database-password')
    expect([old.connections, destination.connections]).toEqual([4, 4])
    expect([old.site?.href, site?.href]).toEqual(['https://203.0.113.10/', 'https://shop.example/'])
  })

  it('takes a variable in a password as it is, whatever characters are in it', () => {
    // given a password that would break a URL in five places
    expect(ENV.OLD_FILES_PASSWORD).toBe('files/p@ss:word#1')
    // then it arrives whole
    const { old } = story()
    expect(old.files?.protocol === 'sftp' && old.files.password?.reveal()).toBe('files/p@ss:word#1')
  })

  it('has tables with the defaults filled in, references in parts, records in lower case', () => {
    const { tables, references, dns } = story()
    expect(tables.get('Orders')).toEqual({
      mode: 'track',
      headroom: 1500,
      conflict: 'park',
      add: [],
      match: [],
      ignore: [],
      columns: {},
      sums: [],
    })
    expect(tables.get('Products')).toMatchObject({ add: ['UnitsInStock'], headroom: 'auto' })
    expect(tables.get('Sessions')).toMatchObject({ mode: 'skip' })
    expect(references).toEqual([{ table: 'Orders', column: 'CustomerID', parent: 'Customers', parentColumn: 'CustomerID' }])
    expect(dns?.records[1]).toEqual({ name: 'www.shop.example', type: 'CNAME', to: 'shop.example' })
  })

  it('has its steps in groups, with their options parsed by their own kinds', () => {
    const { steps } = story()
    expect(steps.map((group) => group.map((step) => step.id))).toEqual([
      ['check'],
      ['lower-ttl'],
      ['snapshot-files', 'snapshot-database'],
      ['restore-files', 'restore-database'],
      ['bump-identities'],
      ['rewrite-config'],
      ['smoke-test'],
      ['cutover-dns'],
      ['watch-propagation'],
      ['reconcile'],
      ['report'],
    ])
    expect(steps[8]?.[0]?.options).toMatchObject({ quiet: 1_800_000, every: 30_000, resolvers: 'default' })
  })

  it('becomes a sequence of steps on a world of real adapters, without a connection being made', async () => {
    const world = await buildWorld(story(), { clock: systemClock })
    const sequence = buildSequence(story(), world)
    expect(sequence.flat().map((step) => step.id)).toEqual(
      story()
        .steps.flat()
        .map((step) => step.id),
    )
    expect([world.old.files?.label, world.old.database?.label]).toEqual([
      'sftp://site@old.example.com/site',
      'old database shop on old.example.com',
    ])
    expect(world.old.shell, 'a host over SSH runs commands').toBeDefined()
    await world.close()
  })

  it('knows where each of its parts stands', () => {
    const { position } = story()
    expect(position(['tables', 'Customers'])).toEqual({ line: 22, column: 14 })
    expect(position(['references', 0])).toEqual({ line: 26, column: 5 })
  })
})

describe('a playbook that leaves things out', () => {
  it('has the usual steps in the usual order, but rewrite-config, which must be told what to write', () => {
    const ids = parsePlaybook(small(), 'shop.yml', {}).steps.map((group) => group.map((step) => step.id).join('+'))
    expect(ids.join(' ')).toBe(
      'check lower-ttl snapshot-files+snapshot-database restore-files+restore-database bump-identities smoke-test carry-files cutover-dns watch-propagation+guard carry-files#2+reconcile report',
    )
  })

  it('numbers the steps of a kind that occurs again', () => {
    const text = small('steps:\n  - pause: one\n  - smoke-test\n  - pause: two\n  - smoke-test\n')
    expect(
      parsePlaybook(text, 'shop.yml', {})
        .steps.flat()
        .map((step) => step.id),
    ).toEqual(['pause', 'smoke-test', 'pause#2', 'smoke-test#2'])
  })
})

describe('addresses', () => {
  it.each([
    ['sftp://me@h/srv/shop', { host: 'h', port: 22, root: '/srv/shop' }],
    ['sftp://me@h:2222/', { port: 2222, root: '/' }],
    ['sftp://me@h', { root: '~' }],
    ['sftp://me@h/~/site', { root: '~/site' }],
    ['"sftp://me@[2001:db8::1]:22/s"', { host: '2001:db8::1' }],
    ['sftp://m%40e@h/a%20b', { user: 'm@e', root: '/a b' }],
    ['sftp://me:p%40ss@h/s', { password: expect.objectContaining({}) }],
  ])('%s is understood', (url, expected) => {
    expect(files(url)).toMatchObject(expected)
  })

  it('come whole out of a variable', () => {
    const url = 'sftp://me:p@ss@h:2022/srv'
    expect(files('${URL}', { URL: url })).toMatchObject({ user: 'me', host: 'h', port: 2022, root: '/srv' })
    expect(files('${URL}', { URL: url }).password?.reveal()).toBe('p@ss')
  })

  it('take host, port and path from variables', () => {
    expect(files('sftp://me@${HOST}:${PORT}/srv/${NAME}', { HOST: '127.0.0.2', PORT: '2022', NAME: 'a b' })).toMatchObject({
      host: '127.0.0.2',
      port: 2022,
      root: '/srv/a b',
    })
  })

  it('never let a password change where a connection goes', () => {
    expect(files('sftp://me:${PW}@safe/srv', { PW: 'x@evil/other#' })).toMatchObject({ host: 'safe', root: '/srv', user: 'me' })
  })

  it('of local folders begin at the folder of the playbook', () => {
    const { files } = parsePlaybook('name: s\nold: { files: site }\nnew: {}\n', '/srv/plans/shop.yml', {}).old
    expect(files).toEqual({ protocol: 'local', root: '/srv/plans/site' })
  })

  it('of SFTP hosts with neither password nor key use the agent that runs', () => {
    expect(files('sftp://me@h/', { SSH_AUTH_SOCK: '/run/agent' }).agent).toBe('/run/agent')
    expect(files('{ url: sftp://me@h/, password: abcd }', { SSH_AUTH_SOCK: '/run/agent' }).agent).toBeUndefined()
    expect(files('{ url: sftp://me@h/, agent: false }', { SSH_AUTH_SOCK: '/run/agent' }).agent).toBeUndefined()
  })

  it('name a host key as a fingerprint or as known_hosts has it', () => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl'
    // as `ssh-keygen -lf` prints it of this key (github.com's)
    const fingerprint = 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU'
    expect(files(`{ url: sftp://me@h/, hostKey: ${key} }`).fingerprint).toBe(fingerprint)
    expect(files(`{ url: sftp://me@h/, fingerprint: "${fingerprint}=" }`).fingerprint).toBe(fingerprint)
  })

  it('of databases have options in the query or beside the URL', () => {
    const { old, new: destination } = parsePlaybook(
      'name: s\nold: { database: "mssql://a@h/d?encrypt=false&instance=SQLEXPRESS" }\nnew: { database: { url: "postgresql://a@h:5433/d", sslmode: require, connectTimeout: 5s } }\n',
      's.yml',
      {},
    )
    expect(old.database).toMatchObject({ encrypt: false, instance: 'SQLEXPRESS', port: undefined })
    expect(destination.database).toMatchObject({ engine: 'postgres', port: 5433, sslmode: 'require', connectTimeoutMs: 5000 })
  })
})

describe('a zone on a name server of one’s own', () => {
  const zone = (lines: string): string =>
    small(
      `dns:\n  provider: rfc2136\n  zone: Shop.Example.\n  records: [{ name: "*.shop.example", type: AAAA, to: 2001:db8::20 }]\n${lines}`,
    )

  it.each([
    ['ns1.Shop.example.', { host: 'ns1.shop.example', port: 53 }],
    ['127.0.20.1:5301', { host: '127.0.20.1', port: 5301 }],
    ['"[2001:db8::53]:5301"', { host: '2001:db8::53', port: 5301 }],
    ['"2001:db8::53"', { host: '2001:db8::53', port: 53 }],
  ])('is reached at %s', (server, expected) => {
    const playbook = parsePlaybook(zone(`  server: ${server}\n  key: { name: Migrate., secret: "\${KEY}" }\n`), 's.yml', {
      KEY: 'c2VjcmV0',
    })
    expect(playbook.dns).toMatchObject({
      provider: 'rfc2136',
      zone: 'shop.example',
      server: expected,
      key: { name: 'migrate', algorithm: 'hmac-sha256' },
      records: [{ name: '*.shop.example', type: 'AAAA', to: '2001:db8::20' }],
    })
    expect(JSON.stringify(playbook.dns)).not.toContain('c2VjcmV0')
    expect(endpoints(playbook).dns).toBe(
      `rfc2136 shop.example at ${expected.host.includes(':') ? `[${expected.host}]` : expected.host}:${expected.port}`,
    )
  })
})

describe('what a run is bound to', () => {
  it('has every endpoint and no secret', () => {
    expect(endpoints(story())).toEqual({
      'old.files': 'sftp://site@old.example.com/site',
      'old.database': 'mssql://shop@old.example.com:1433/shop',
      'old.site': 'https://203.0.113.10/',
      'new.files': 'sftp://site@new.example.com/var/www/shop',
      'new.database': 'mssql://shop@new.example.com:1433/shop',
      'new.site': 'https://198.51.100.20/',
      site: 'https://shop.example/',
      dns: 'cloudflare shop.example at https://api.cloudflare.com/client/v4',
    })
  })

  it('changes with what the run would do, and not with comments, order of keys or connections', () => {
    const bound = (text: string): string => JSON.stringify(boundPlaybook(parsePlaybook(text, 's.yml', ENV)))
    expect(bound(STORY.replace('headroom: 1500', 'headroom: 1600'))).not.toBe(bound(STORY))
    expect(bound(STORY.replace('ttl: 60', 'ttl: 90'))).not.toBe(bound(STORY))
    expect(bound(`# moved\n${STORY.replace('connections: 4', 'connections: 8')}`)).toBe(bound(STORY))
  })

  it('keeps a secret that is written out in a step to itself', () => {
    const text = small('steps:\n  - http: { url: "https://a.example/", headers: { Authorization: "Bearer written-out" } }\n')
    expect(JSON.stringify(boundPlaybook(parsePlaybook(text, 's.yml', {})))).not.toContain('written-out')
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'playbook-'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const write = async (name: string, content: string | Buffer): Promise<string> => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }

  it('give their content for ${file:PATH}, looked for beside the playbook, without the line break at the end', async () => {
    await write('password.txt', 'pa ss\nword\r\n')
    const path = await write('file.yml', 'name: s\nold: { database: "mssql://a:${file:password.txt}@h/d" }\nnew: {}\n')
    expect((await loadPlaybook(path, {})).old.database?.password?.reveal()).toBe('pa ss\nword')
  })

  it('may begin with a byte order mark', async () => {
    expect((await loadPlaybook(await write('bom.yml', `\uFEFF${small()}`), {})).name).toBe('shop')
  })

  it('larger than 1 MiB are refused before they are read as YAML', async () => {
    const path = await write('huge.yml', Buffer.alloc(10 * 1024 * 1024, 'a: [*a, *a]\n'))
    await expect(loadPlaybook(path, {})).rejects.toMatchObject({ code: 'playbook-too-large', ending: 'usage' })
  })

  it('that are missing or folders are named', async () => {
    await expect(loadPlaybook(join(folder, 'none.yml'), {})).rejects.toMatchObject({ code: 'playbook-missing', ending: 'usage' })
    await expect(loadPlaybook(folder, {})).rejects.toMatchObject({ code: 'playbook-unreadable', ending: 'usage' })
  })

  it('tell their name although variables are missing and other parts are wrong', async () => {
    const path = await write('name.yml', 'name: mugs\nold: { files: "ftp://${NOWHERE}" }\nnew: 7\n')
    expect(await loadPlaybookName(path)).toBe('mugs')
  })
})

describe('YAML', () => {
  it('has anchors and aliases, as far as they stay small', () => {
    const text = small('tables:\n  A: &same { headroom: 7 }\n  B: *same\n')
    expect(parsePlaybook(text, 's.yml', {}).tables.get('B')).toMatchObject({ headroom: 7 })
  })

  it('is refused where aliases multiply into a bomb, at once', () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) =>
        `b${level}: &b${level} [${
          level === 0
            ? 'x'
            : Array(10)
                .fill(`*b${level - 1}`)
                .join(', ')
        }]`,
    )
    expect(() => parsePlaybook(small(levels.join('\n')), 's.yml', {})).toThrow(/Aliases make this playbook too large/)
  })

  it('is version 1.2: yes and no are words', () => {
    expect(() => parsePlaybook(small('tables: { A: no }'), 's.yml', {})).toThrow(/tables.A must be skip/)
  })

  it('writes a plain ${ as $${', () => {
    const text = small('steps:\n  - pause: "Is $${HOME} ready?"\n')
    expect(parsePlaybook(text, 's.yml', {}).steps[0]?.[0]?.options).toBe('Is ${HOME} ready?')
  })
})
