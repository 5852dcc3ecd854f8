import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import { openLocal } from '../../src/files/local.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { relayKind } from '../../src/steps/relay.ts'
import { hurriedClock } from '../fakes/hurried-clock.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import { type Apache, apacheMissing, phpCgiMissing, startApache } from '../servers/apache.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'
import { startWeb, type WebServer } from '../servers/web.ts'

const ADDRESS = '127.0.12.62'
const FRESH = '127.0.12.63'
const SITE = new URL('http://shop.example')
const missing = apacheMissing ?? phpCgiMissing ?? sshdMissing

let folder: SiteFolder
let apache: Apache
let fresh: WebServer
let asked: { request: IncomingMessage; body: string }[] = []

beforeAll(async () => {
  if (missing !== null) return
  folder = siteFolder(tmpdir())
  chmodSync(folder.path, 0o755)
  apache = await startApache(folder.path, ADDRESS)
  fresh = await startWeb(
    (request, response) => {
      let body = ''
      request.setEncoding('latin1').on('data', (part: string) => {
        body += part
      })
      request.on('end', () => {
        asked.push({ request, body })
        if (request.url === '/moved') response.writeHead(302, { location: 'https://shop.example/there' }).end()
        else if (request.url === '/nothing') response.writeHead(404).end('no such page')
        else response.writeHead(200, { 'content-type': 'text/plain', 'set-cookie': ['a=1; Path=/', 'b=2'] }).end('the new shop')
      })
    },
    undefined,
    FRESH,
  )
})

afterAll(async () => {
  if (missing !== null) return
  await Promise.all([apache.stop(), fresh.close()])
  folder.remove()
})

const HTACCESS = 'RewriteEngine On\r\nRewriteRule ^old$ / [R=301]\r\n'

beforeEach(() => {
  if (missing !== null) return
  asked = []
  for (const path of folder.paths()) rmSync(join(folder.path, path), { recursive: true, force: true })
  folder.put('.htaccess', Buffer.from(HTACCESS))
  folder.put('index.php', Buffer.from('<?php echo "the old shop";'))
  folder.put('.well-known/acme-challenge/token', Buffer.from('proof'))
  folder.put('a b.txt', Buffer.from('old'))
})

async function given(options: Json, at: { readonly site: URL; readonly fresh: URL } = { site: SITE, fresh: fresh.url }) {
  const directory = mkdtempSync(join(tmpdir(), 'migrate-relay-'))
  const sshd = await startSshd({ address: ADDRESS })
  const files = openSftp({
    ...{ host: sshd.address, port: sshd.port, user: sshd.user, root: folder.path, key: sshd.key, fingerprint: sshd.fingerprint },
    ...{ connections: 2, label: 'sftp://old' },
  })
  onTestFinished(async () => {
    await files.close()
    await sshd.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  const world = { ...testWorld({ old: { files, site: apache.url }, new: { site: at.fresh } }), site: at.site }
  return {
    step: relayKind.create(relayKind.options.parse(options), testContext(world, 'relay')),
    run: new TestRun(directory, hurriedClock),
  }
}

const get = (path: string, init: RequestInit = {}) => fetch(new URL(path, apache.url), { redirect: 'manual', ...init })

describe.skipIf(missing !== null)(`the old site relays, by Apache${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  it('redirects by .htaccess: path and query as sent, a POST stays one, ACME is left alone, undone to the byte', async () => {
    const before = folder.image()
    const { step, run } = await given({ with: 'redirect', to: fresh.url.origin, paths: ['/', '/cart?id=7&q=a%3Fb%20c'] })
    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)
    expect(await step.verify(run)).toEqual([])
    expect(await step.plan(run)).toEqual([])

    const answer = await get('/a%20b.txt/%C3%A9?x=%26', { method: 'POST', body: 'order' })
    expect([answer.status, answer.headers.get('location')]).toEqual([307, `${fresh.url.origin}/a%20b.txt/%C3%A9?x=%26`])
    expect(await (await get('/.well-known/acme-challenge/token')).text()).toBe('proof')
    expect(folder.read('.htaccess')?.toString().endsWith(HTACCESS)).toBe(true)

    await takeBack(step, changes, run)
    expect(folder.image()).toEqual(before)
    expect(await (await get('/')).text()).toBe('the old shop')
  })

  it('redirects by a PHP file where there is nothing else', async () => {
    rmSync(join(folder.path, '.htaccess'))
    const before = folder.image()
    const { step, run } = await given({ with: 'redirect', to: fresh.url.origin, paths: ['/', '/index.php/x?y=1'] })
    const changes = await perform(step, run)
    expect(await step.verify(run)).toEqual([])
    await takeBack(step, changes, run)
    expect(folder.image()).toEqual(before)
  })

  it('passes requests on by PHP: name, method, cookies, body, uploads, redirects and statuses', async () => {
    const before = folder.image()
    const { step, run } = await given({ with: 'proxy', paths: ['/', '/moved'] })
    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)
    expect(await step.verify(run)).toEqual([])
    expect(await step.plan(run)).toEqual([])
    asked = []

    const page = await get('/a%20b.txt?q=%26', { headers: { cookie: 'cart=9; b=1', authorization: 'Basic eDp5' } })
    expect([page.status, await page.text(), page.headers.get('x-migrate-relay')]).toEqual([200, 'the new shop', 'proxy'])
    expect(page.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2'])
    expect(asked[0]?.request.url).toBe('/a%20b.txt?q=%26')
    expect(asked[0]?.request.headers).toMatchObject({
      host: apache.url.host,
      cookie: 'cart=9; b=1',
      authorization: 'Basic eDp5',
      'x-forwarded-for': expect.stringMatching(/^127\./),
      'x-forwarded-proto': 'http',
    })
    expect((await get('/moved')).headers.get('location')).toBe('https://shop.example/there')
    expect((await get('/nothing')).status).toBe(404)

    const order = `{"id":7,"text":"${'x'.repeat(100_000)}"}`
    await get('/order', { method: 'PUT', body: order, headers: { 'content-type': 'application/json' } })
    expect(asked.at(-1)).toMatchObject({ body: order, request: { method: 'PUT', url: '/order' } })
    await get('/buy', { method: 'POST', body: new URLSearchParams({ 'item.no': '1', name: 'A&B' }) })
    expect(asked.at(-1)?.body).toBe('item.no=1&name=A%26B')
    const form = new FormData()
    form.set('size[shirt]', 'XL')
    form.set('picture', new Blob([Buffer.from([0, 255, 13, 10])], { type: 'image/png' }), 'p.png')
    await get('/upload', { method: 'POST', body: form })
    expect(asked.at(-1)?.body).toMatch(/name="size\[shirt\]"\r\n\r\nXL\r\n/)
    expect(asked.at(-1)?.body).toContain('filename="p.png"\r\nContent-Type: image/png\r\n\r\n\0\xff\r\n\r\n')
    expect((await get('/', { headers: { 'x-migrate-relay': 'proxy' } })).status).toBe(508)
    expect(await (await get('/.well-known/acme-challenge/token')).text()).toBe('proof')

    await takeBack(step, changes, run)
    expect(folder.image()).toEqual(before)
    expect(await (await get('/')).text()).toBe('the old shop')
  })

  it('gives everything back where the web server does not mind it', async () => {
    folder.put('.htaccess', Buffer.from('<IfModule !never.c>\nRewriteEngine Off\n</IfModule>\n'))
    const before = folder.image()
    const { step, run } = await given({ with: 'redirect', to: fresh.url.origin })
    await expect(perform(step, run)).rejects.toMatchObject({
      code: 'relay-taken-back',
      message: expect.stringContaining('answers / with status 200 ("the old shop") instead of 307'),
    })
    expect(folder.image()).toEqual(before)
  })
})

describe.skipIf(missing !== null)(`the old site relays by mod_proxy${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  it('under the customers’ name, where the old host finds the new one by it; never in a circle', async () => {
    const before = folder.image()
    // A name that this machine leads elsewhere than to the old host, as a zone does after the cutover.
    const target = await startWeb((request, response) => response.writeHead(200).end(`${request.headers.host}${request.url}`))
    onTestFinished(() => target.close())
    const site = new URL(`http://localhost:${target.url.port}`)
    const { step, run } = await given({ with: 'proxy', server: 'apache' }, { site, fresh: target.url })
    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)
    expect(await step.verify(run)).toEqual([])
    expect(await (await get('/a%20b?q=%3F')).text()).toBe(`localhost:${target.url.port}/a%20b?q=%3F`)
    expect((await get('/', { headers: { 'x-migrate-relay': 'proxy' } })).status).toBe(508)
    expect(await (await get('/.well-known/acme-challenge/token')).text()).toBe('proof')
    await takeBack(step, changes, run)
    expect(folder.image()).toEqual(before)

    const secure = await given({ with: 'proxy', server: 'apache' }, { site: SITE, fresh: new URL('https://127.0.12.63') })
    expect((await secure.step.check(secure.run)).map(({ code }) => code)).toEqual(['relay-apache-tls'])
  })
})

describe('what a relay refuses', () => {
  it('a redirect in a circle, a target that gives no answer, and a proxy that web.config can’t be', async () => {
    const site = siteFolder()
    onTestFinished(() => site.remove())
    site.put('web.config', Buffer.from('<configuration />'))
    const world = {
      ...testWorld({ old: { files: openLocal(site.path) }, new: { site: new URL('http://127.0.12.63') } }),
      site: SITE,
    }
    const codes = async (options: Json) => {
      const step = relayKind.create(relayKind.options.parse(options), testContext(world, 'relay'))
      const found = await step.check(new TestRun('/nowhere', hurriedClock))
      return found.filter(({ code }) => code !== 'relay-unseen').map(({ severity, code }) => `${severity} ${code}`)
    }
    expect(await codes({ with: 'redirect', to: 'http://SHOP.example' })).toContain('error relay-circle')
    expect(await codes({ with: 'redirect', to: 'http://127.0.12.63:9' })).toEqual(['warning relay-target-unreachable'])
    const dead = relayKind.create(
      relayKind.options.parse({ with: 'redirect', to: 'http://127.0.12.63:9' }),
      testContext(world, 'relay'),
    )
    const run = new TestRun('/nowhere', hurriedClock)
    await expect(perform(dead, run)).rejects.toMatchObject({ code: 'relay-target-unreachable' })
    expect(site.read('web.config')?.toString()).toBe('<configuration />')
    expect(await codes({ with: 'proxy' })).toEqual(['error relay-iis-proxy'])
    expect(relayKind.options.safeParse({ with: 'redirect', to: 'https://new.shop.example/path' }).success).toBe(false)
    expect(relayKind.options.safeParse({ with: 'redirect' }).success).toBe(false)
  })
})
