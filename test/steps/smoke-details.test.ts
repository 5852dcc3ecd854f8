import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { probeSite, type SiteProbe } from '../../src/site/probe.ts'
import { siteClient } from '../../src/site/request.ts'
import { compareDetails, forbidsAll } from '../../src/steps/smoke-details.ts'
import { smokeTestKind } from '../../src/steps/smoke-test.ts'
import { perform, TestRun, testWorld } from '../fakes/step-run.ts'
import { type Answer, type KeyPair, opensslMissing, selfSigned, startWeb, type WebServer } from '../servers/web.ts'
import { stepOf } from './dns-world.ts'

interface Page {
  readonly html?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly robots?: string
  readonly packs?: boolean
  readonly delayMs?: number
}

const PLAIN = `<title>Shop</title><p>${'Welcome to the shop. '.repeat(200)}</p>`

const answering =
  ({ html = PLAIN, headers = {}, robots, packs = false, delayMs = 0 }: Page): Answer =>
  (request, response) => {
    if (request.url === '/robots.txt') {
      response.writeHead(robots === undefined ? 404 : 200, { 'content-type': 'text/plain' }).end(robots ?? '')
      return
    }
    const packing = packs && /gzip/.test(request.headers['accept-encoding'] ?? '')
    const send = (): void => {
      response.writeHead(200, {
        'content-type': 'text/html',
        ...Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
        ),
        ...(packing ? { 'content-encoding': 'gzip' } : {}),
      })
      response.end(packing ? gzipSync(html) : html)
    }
    if (delayMs === 0) send()
    else void systemClock.sleep(delayMs).then(send)
  }

const servers: WebServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function probed(page: Page, site: URL, pair?: KeyPair): Promise<{ readonly probe: SiteProbe; readonly at: URL }> {
  const server = await startWeb(answering(page), pair)
  servers.push(server)
  const client = siteClient({ site, host: server.url, ...(pair === undefined ? {} : { ca: pair.cert }) })
  try {
    const probe = await probeSite(client, { paths: ['/'], assets: false, details: true, parallel: 2, clock: systemClock })
    return { probe, at: server.url }
  } finally {
    await client.close()
  }
}

const SHOP = new URL('http://shop.example')

/** The codes of what differs, with the severity in front. */
async function differences(old: Page, fresh: Page, site = SHOP, pair?: KeyPair): Promise<readonly string[]> {
  const [before, after] = [await probed(old, site, pair), await probed(fresh, site, pair)]
  return compareDetails(before.probe, after.probe, { site, old: before.at, new: after.at }).map(
    ({ severity, code }) => `${severity} ${code}`,
  )
}

const cookie = (...lines: readonly string[]): Page => ({ headers: { 'set-cookie': lines } })

describe('what a page doesn’t show', () => {
  it('is nothing where both hosts are alike', async () => {
    const page: Page = {
      robots: 'User-agent: *\nDisallow: /cart\n',
      packs: true,
      headers: { 'x-frame-options': 'DENY', 'set-cookie': ['sid=1; Domain=shop.example; Secure; HttpOnly'] },
    }
    expect(await differences(page, page)).toEqual([])
  })

  it.each<[string, Page, Page, readonly string[]]>([
    [
      'a page that search engines shall forget',
      {},
      { html: `<meta name=robots content="noindex, nofollow">${PLAIN}` },
      ['error page-noindex'],
    ],
    ['the same by a header', {}, { headers: { 'X-Robots-Tag': 'none' } }, ['error page-noindex']],
    ['one that was hidden before', { headers: { 'x-robots-tag': 'noindex' } }, { headers: { 'x-robots-tag': 'noindex' } }, []],
    ['a robots.txt that forbids everything', {}, { robots: 'User-agent: *\nDisallow: /\n' }, ['error robots-forbidden']],
    ['a cookie for another domain', {}, cookie('sid=1; Domain=.staging.example'), ['error cookie-domain-wrong']],
    ['a cookie for a domain above', {}, cookie('sid=1; Domain=.example'), []],
    ['a cookie for a domain that only ends alike', {}, cookie('sid=1; Domain=op.example'), ['error cookie-domain-wrong']],
    ['a cookie without its flags', cookie('sid=1; Secure; HttpOnly'), cookie('sid=2; HttpOnly'), ['warning cookie-flags-lost']],
    ['lost compression', { packs: true }, {}, ['warning page-uncompressed']],
    ['lost compression of next to nothing', { packs: true, html: '<title>a</title>' }, { html: '<title>a</title>' }, []],
    ['lost headers', { headers: { 'Strict-Transport-Security': 'max-age=9' } }, {}, ['warning page-headers-lost']],
    ['slowness', {}, { delayMs: 1100 }, ['warning page-slower']],
  ])('%s', async (_what, old, fresh, expected) => {
    expect(await differences(old, fresh)).toEqual(expected)
  })

  it('finds links to either host by its address', async () => {
    const [before, after] = [await probed({}, SHOP), await probed({}, SHOP)]
    const [page] = after.probe.pages
    if (page === undefined) throw new Error('no page')
    const where = { site: SHOP, old: before.at, new: after.at }
    const linking = (at: URL): SiteProbe => ({ ...after.probe, pages: [{ ...page, text: `<a href="${at.origin}/cart">` }] })
    for (const at of [before.at, after.at]) {
      expect(compareDetails(before.probe, linking(at), where)).toMatchObject([{ severity: 'error', code: 'page-names-address' }])
    }
    expect(compareDetails(linking(before.at), linking(before.at), where)).toMatchObject([{ severity: 'warning' }])
  })

  it.skipIf(opensslMissing !== null)('finds parts by http on a page with https', async () => {
    const pair = selfSigned('shop.example', 90)
    const site = new URL('https://shop.example')
    const mixed: Page = { html: `<img src="http://shop.example/a.png">${PLAIN}` }
    expect(await differences({}, mixed, site, pair)).toEqual(['error page-mixed-content'])
    expect(await differences(mixed, mixed, site, pair)).toEqual(['warning page-mixed-content-on-both'])
    expect(await differences({}, { html: `<a href="http://shop.example/a">${PLAIN}` }, site, pair)).toEqual([])
  })
})

describe('a robots.txt', () => {
  it.each<[string | null, boolean]>([
    [null, false],
    ['', false],
    ['User-agent: *\nDisallow:', false],
    ['User-agent: *\nDisallow: /', true],
    ['user-agent: *\r\ndisallow: / # not yet\r\n', true],
    ['User-agent: BadBot\nDisallow: /', false],
    ['User-agent: BadBot\nUser-agent: *\nDisallow: /', true],
    ['User-agent: *\nDisallow: /cart\n\nUser-agent: BadBot\nDisallow: /', false],
    ['User-agent: *\nDisallow: /\nAllow: /', false],
    ['<html>Disallow: /</html>', false],
  ])('%j forbids everything: %j', (text, expected) => expect(forbidsAll(text)).toBe(expected))
})

describe('a load on the new host', () => {
  async function loaded(fresh: Answer, load: object) {
    const [old, target] = [await startWeb(answering({})), await startWeb(fresh)]
    servers.push(old, target)
    const world = { ...testWorld({ old: { site: old.url }, new: { site: target.url } }), site: SHOP }
    const run = new TestRun('/nowhere', systemClock)
    const outcome = await perform(stepOf(smokeTestKind, world, { load }), run).then(
      () => 'passed',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    )
    return { outcome, findings: run.events.flatMap((event) => (event.event === 'finding' ? [event] : [])) }
  }

  it('is put on under the customers’ name, at the rate that was asked for', async () => {
    const seen: string[] = []
    const { outcome, findings } = await loaded(
      (request, response) => {
        seen.push(`${request.headers.host}${request.url}`)
        answering({})(request, response)
      },
      { rate: 40, for: '2s', connections: 4 },
    )
    expect(outcome).toBe('passed')
    expect(findings).toMatchObject([{ severity: 'info', code: 'load-borne' }])
    expect(new Set(seen)).toEqual(new Set(['shop.example/', 'shop.example/robots.txt']))
    // Without a rate it would be thousands.
    expect(seen.length).toBeGreaterThan(10)
    expect(seen.length).toBeLessThan(400)
  })

  it('fails the step when the host breaks down under it', async () => {
    let asked = 0
    const { outcome, findings } = await loaded(
      (request, response) => {
        asked += 1
        if (asked > 10) response.writeHead(503).end()
        else answering({})(request, response)
      },
      { rate: 40, for: '1s' },
    )
    expect(outcome).toBe('smoke-test-failed')
    expect(findings[0]?.message).toMatch(/\d+ × 503/)
  })

  it('fails the step when the host is slower than the playbook allows', async () => {
    const { outcome, findings } = await loaded(answering({ delayMs: 150 }), { rate: 10, for: '1s', slowest: '100ms' })
    expect([outcome, findings.map((finding) => finding.code)]).toEqual(['smoke-test-failed', ['load-slow']])
  })

  it('is not put on a host whose pages are wrong already', async () => {
    const { findings } = await loaded(answering({ html: '<title>Apache</title>' }), { rate: 40, for: '1s' })
    expect(findings.map((finding) => finding.code)).not.toContain('load-borne')
  })
})
