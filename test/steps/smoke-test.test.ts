import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Finding } from '../../src/base/errors.ts'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import { smokeTestKind } from '../../src/steps/smoke-test.ts'
import { perform, TestRun, testWorld } from '../fakes/step-run.ts'
import { freePort } from '../servers/ports.ts'
import { type Answer, files, type KeyPair, opensslMissing, selfSigned, startWeb, type WebServer } from '../servers/web.ts'
import { contents, dnsWorld, newRun, shopZone, stepOf } from './dns-world.ts'

type Site = Readonly<Record<string, readonly [string, string]>>

const HOME = '<title>Shirts</title><link rel=stylesheet href=/s.css><img src=/a.png><img src=/b.png><p>Welcome to the shop</p>'
const SITE: Site = {
  '/': ['text/html', HOME],
  '/checkout': ['text/html', '<title>Pay</title><p>Pay here</p>'],
  '/s.css': ['text/css', 'body { background: url(/bg.png) }'],
  '/a.png': ['image/png', 'aaaa'],
  '/b.png': ['image/png', 'bbbb'],
  '/bg.png': ['image/png', 'cccc'],
}

const servers: WebServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const serve = async (answer: Answer, pair?: KeyPair): Promise<URL> => {
  const server = await startWeb(answer, pair)
  servers.push(server)
  return server.url
}

const without = (...paths: readonly string[]): Site =>
  Object.fromEntries(Object.entries(SITE).filter(([path]) => !paths.includes(path)))

const found = (run: TestRun): readonly Finding[] => run.events.flatMap((event) => (event.event === 'finding' ? [event] : []))

async function compare(old: Answer | URL, fresh: Answer, options: object = { paths: ['/', '/checkout'] }) {
  const world = {
    ...testWorld({
      old: { site: old instanceof URL ? old : await serve(old) },
      new: { site: await serve(fresh) },
    }),
    site: new URL('http://shop.example'),
  }
  const run = newRun()
  const step = stepOf(smokeTestKind, world, options)
  let code = 'passed'
  try {
    await perform(step, run)
  } catch (error) {
    code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
  return { code, findings: found(run).map(({ severity, code, message }) => ({ severity, code, message })), run, step }
}

describe('smoke-test', () => {
  it('passes when the new host serves the same, and is not done twice', async () => {
    const { code, findings, step, run } = await compare(files(SITE), files(SITE))
    expect([code, findings]).toEqual(['passed', []])
    expect(run.events).toContainEqual({
      event: 'note',
      message: expect.stringMatching(/^2 pages and 4 assets are the same on 127/),
    })
    expect(await step.plan(run)).toEqual([])
  })

  it('names every asset that is missing on the new host, those of style sheets and those with upper-case letters too', async () => {
    const { code, findings } = await compare(files(SITE), files(without('/b.png', '/bg.png')))
    expect(code).toBe('smoke-test-failed')
    expect(findings).toEqual([
      {
        severity: 'error',
        code: 'asset-missing',
        message:
          '2 of 4 assets missing on the new host: http://shop.example/b.png (status 404, seen on /), http://shop.example/bg.png (status 404, seen on /s.css).',
      },
    ])
  })

  it('names twenty of many missing ones and counts the rest', async () => {
    const many = Array.from({ length: 50 }, (_, index) => `/${index}.png`)
    const page = `<title>Many</title>${many.map((path) => `<img src=${path}>`).join('')}`
    const site: Site = { '/': ['text/html', page] }
    const { findings } = await compare(
      files({ ...site, ...Object.fromEntries(many.map((path) => [path, ['image/png', 'x'] as const])) }),
      files(site),
      {},
    )
    expect(findings).toHaveLength(1)
    expect(findings[0]?.message).toMatch(/^50 of 50 assets missing.*19\.png \(.*\) and 30 more\.$/)
  })

  it.each([
    ['another title', { '/': ['text/html', HOME.replace('Shirts', 'Apache')] }, 'page-title-differs'],
    ['much less of a page', { '/': ['text/html', HOME.replace(/<p>.*/, '')] }, 'page-length-differs'],
    ['a picture that is a web page', { '/a.png': ['text/html', '<title>oops</title>'] }, 'asset-missing'],
    ['an empty picture', { '/a.png': ['image/png', ''] }, 'asset-missing'],
  ] satisfies readonly (readonly [string, Site, string])[])('finds %s', async (_what, changed, code) => {
    const { findings } = await compare(files(SITE), files({ ...SITE, ...changed }), { paths: ['/'], tolerance: 0.05 })
    expect(findings.map((finding) => [finding.severity, finding.code])).toEqual([['error', code]])
    expect(findings[0]?.message).toContain('http://shop.example/')
  })

  it('tells a broken page from one that was broken before', async () => {
    expect((await compare(files(SITE), files(without('/checkout')))).findings).toMatchObject([
      { severity: 'error', code: 'page-status-differs' },
    ])
    const both = await compare(files(without('/checkout', '/a.png')), files(without('/checkout', '/a.png')))
    expect(both.code).toBe('passed')
    expect(both.findings.map((finding) => [finding.severity, finding.code])).toEqual([
      ['warning', 'page-broken-on-both'],
      ['warning', 'asset-missing-on-both'],
    ])
    expect((await compare(files(without('/checkout')), files(SITE))).code).toBe('passed')
  })

  it('still judges the new host when the old one is down', async () => {
    const down = new URL(`http://127.0.0.1:${await freePort('127.0.0.1')}`)
    const { code, findings } = await compare(down, files(without('/a.png')), {})
    expect(code).toBe('smoke-test-failed')
    expect(findings.map((finding) => [finding.severity, finding.code])).toEqual([
      ['warning', 'old-page-unanswered'],
      ['error', 'asset-missing'],
    ])
  })

  it('holds a page against what the playbook expects', async () => {
    const options = { paths: ['/checkout'], expect: { status: 200, contains: 'Buy' } }
    expect((await compare(files(SITE), files(SITE), options)).findings).toMatchObject([{ code: 'page-unexpected' }])
    expect((await compare(files(SITE), files(SITE), { ...options, expect: { contains: 'Pay here' } })).code).toBe('passed')
  })

  it('finds the new host sending customers elsewhere', async () => {
    const away: Answer = (_request, response) => response.writeHead(302, { location: 'http://new.example/' }).end()
    const both: Answer = (_request, response) => response.writeHead(302, { location: 'http://old.example/' }).end()
    expect((await compare(both, away, {})).findings).toMatchObject([{ severity: 'error', code: 'page-redirect-differs' }])
  })

  it('tells in check what is broken on the old host already, and what the playbook lacks', async () => {
    const world = {
      ...testWorld({ old: { site: await serve(files(without('/b.png'))) }, new: { site: new URL('http://127.0.0.1:1') } }),
      site: new URL('http://shop.example'),
    }
    expect((await stepOf(smokeTestKind, world, {}).check(newRun())).map((finding) => [finding.severity, finding.code])).toEqual([
      ['warning', 'old-asset-missing'],
    ])
    expect((await stepOf(smokeTestKind, testWorld({}), {}).check(newRun())).map((finding) => finding.code)).toEqual([
      'playbook-part-missing',
      'playbook-part-missing',
      'playbook-part-missing',
    ])
  })
})

describe.skipIf(opensslMissing !== null)(
  `cutover-dns and the new host’s certificate${opensslMissing === null ? '' : ` (skipped: ${opensslMissing})`}`,
  () => {
    it('does not send customers to a certificate that their browsers refuse', async () => {
      const zone = shopZone()
      const before = contents(zone)
      const site = await serve(files(SITE), selfSigned('shop.example', 90))
      const world = dnsWorld(zone, {
        world: { site: new URL('https://shop.example'), new: { side: 'new', connections: 2, site } },
      })
      const step = stepOf(cutoverDnsKind, world)
      // Certificates live in real time.
      const run = new TestRun('/nowhere', systemClock)
      const graver = (await step.check(run)).filter((finding) => finding.severity !== 'info')
      expect(graver.map((finding) => [finding.severity, finding.code])).toEqual([['warning', 'certificate-invalid']])
      await expect(perform(step, run)).rejects.toMatchObject({
        code: 'certificate-invalid',
        message: expect.stringContaining('DNS was not changed'),
      })
      expect(contents(zone)).toEqual(before)
    })
  },
)
