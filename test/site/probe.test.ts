import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { certificateFindings, readCertificate } from '../../src/site/certificate.ts'
import { probeSite, type SiteProbe } from '../../src/site/probe.ts'
import { siteClient } from '../../src/site/request.ts'
import { freePort } from '../servers/ports.ts'
import { type Answer, files, type KeyPair, opensslMissing, selfSigned, startWeb, type WebServer } from '../servers/web.ts'

const SHOP = new URL('http://shop.example')
const SECURE = new URL('https://shop.example')
const servers: WebServer[] = []

const serve = async (answer: Answer, pair?: KeyPair): Promise<URL> => {
  const server = await startWeb(answer, pair)
  servers.push(server)
  return server.url
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const probe = async (host: URL, paths: readonly string[] = ['/'], site = SHOP, ca?: string): Promise<SiteProbe> => {
  const client = siteClient({ site, host, timeoutMs: 5000, ...(ca === undefined ? {} : { ca }) })
  try {
    return await probeSite(client, { paths, assets: true, parallel: 4, clock: systemClock })
  } finally {
    await client.close()
  }
}

describe('a site asked by address', () => {
  it('is asked under the name that customers use, whatever DNS says', async () => {
    const host = await serve((request, response) => response.end(`<title>${request.headers.host}${request.url}</title>`))
    const client = siteClient({ site: SHOP, host })
    const answer = await client.get(new URL('/a?b=c', SHOP), { keepBytes: 100 })
    await client.close()
    expect(answer.body.toString()).toBe('<title>shop.example/a?b=c</title>')
    expect(client.label).toBe(`http://shop.example at ${host.host}`)
  })

  it('asks for every asset, those of style sheets too, and counts what belongs to others', async () => {
    const host = await serve(
      files({
        '/': [
          'text/html; charset=utf-8',
          '<title>Shop</title><link rel=stylesheet href=/s.css><img src=/gone.png><img src=//cdn.example/x.png>',
        ],
        '/s.css': ['text/css', 'body{background:url(/bg.png)}'],
        '/bg.png': ['image/png', 'png'],
      }),
    )
    const { pages, assets, external } = await probe(host)
    expect(pages).toMatchObject([
      { path: '/', url: 'http://shop.example/', status: 200, title: 'Shop', leavesTo: null, failure: null },
    ])
    expect(assets.map(({ url, status, lengthBytes, seenOn }) => [url, status, lengthBytes, seenOn])).toEqual([
      ['http://shop.example/s.css', 200, 29, '/'],
      ['http://shop.example/gone.png', 404, 24, '/'],
      ['http://shop.example/bg.png', 200, 3, '/s.css'],
    ])
    expect(external).toBe(1)
  })

  it('follows redirects within the site, and tells where one leaves it', async () => {
    const host = await serve((request, response) => {
      const to: Readonly<Record<string, string>> = {
        '/': '/home',
        '/away': 'https://else.example/x',
        '/secure': 'https://shop.example/secure',
        '/loop': '/loop',
      }
      const location = to[request.url ?? '']
      if (location === undefined) response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Home</title>')
      else response.writeHead(302, { location }).end()
    })
    const { pages } = await probe(host, ['/', '/away', '/secure', '/loop'])
    expect(pages.map(({ url, status, title, leavesTo }) => [url, status, title, leavesTo])).toEqual([
      ['http://shop.example/home', 200, 'Home', null],
      ['http://shop.example/away', 302, '', 'https://else.example/x'],
      ['http://shop.example/secure', 302, '', null],
      ['http://shop.example/loop', 302, '', null],
    ])
  })

  it('tells a closed port from a server that breaks off', async () => {
    const closed = new URL(`http://127.0.0.1:${await freePort('127.0.0.1')}`)
    expect((await probe(closed)).pages[0]?.failure).toMatchObject({ code: 'site-unreachable' })
    const broken = await serve((request) => request.socket.destroy())
    expect((await probe(broken)).pages[0]?.failure).toMatchObject({ code: 'site-failed' })
  })

  it('stops when told to', async () => {
    const host = await serve(() => undefined)
    const client = siteClient({ site: SHOP, host })
    const stop = new AbortController()
    const probing = probeSite(client, { paths: ['/'], assets: false, clock: systemClock, parallel: 1, signal: stop.signal })
    stop.abort(new Error('told to'))
    await expect(probing).rejects.toThrow('told to')
    await client.close()
  })
})

const title = (what: string): string => (opensslMissing === null ? what : `${what} (skipped: ${opensslMissing})`)

describe.skipIf(opensslMissing !== null)(title('certificates'), () => {
  it('are checked against the name that customers use, at any address', async () => {
    const pair = selfSigned('shop.example', 90)
    const host = await serve(files({ '/': ['text/html', '<title>Safe</title>'] }), pair)
    expect((await probe(host, ['/'], SECURE, pair.cert)).pages).toMatchObject([{ status: 200, title: 'Safe' }])
    expect((await probe(host, ['/'], SECURE)).pages[0]?.failure).toMatchObject({ code: 'site-certificate-invalid' })
    const other = await serve(files({}), selfSigned('else.example', 90))
    expect((await probe(other, ['/'], SECURE)).pages[0]?.failure).toMatchObject({ code: 'site-certificate-invalid' })
  })

  const judge = async (pair: KeyPair, ca?: string) => {
    const host = await serve(files({}), pair)
    const certificate = await readCertificate({ site: SECURE, host, ...(ca === undefined ? {} : { ca }) })
    return {
      certificate,
      codes: certificateFindings(certificate, SECURE, host, systemClock.now()).map((finding) => finding.code),
    }
  }

  it('are read with names, dates, issuer and chain', async () => {
    const pair = selfSigned('shop.example', 90)
    const { certificate, codes } = await judge(pair, pair.cert)
    expect(certificate).toMatchObject({ names: ['shop.example'], issuer: 'Test', chain: ['shop.example'], problem: null })
    expect(Math.round((certificate.validTo - certificate.validFrom) / 86_400_000)).toBe(90)
    expect(codes).toEqual([])
  })

  it('are found wanting when nobody trusts them, when the name is another, and when they end soon', async () => {
    expect((await judge(selfSigned('shop.example', 90))).codes).toEqual(['certificate-invalid'])
    const other = selfSigned('else.example', 90)
    expect((await judge(other, other.cert)).codes).toEqual(['certificate-invalid'])
    const ending = selfSigned('shop.example', 3)
    expect((await judge(ending, ending.cert)).codes).toEqual(['certificate-expires-soon'])
  })

  it('say in how long they expired', () => {
    const now = Date.UTC(2009, 7, 26)
    const certificate = {
      names: [],
      fingerprint: '',
      issuer: 'x',
      chain: [],
      problem: 'expired',
      validFrom: 0,
      validTo: now - 3_600_000,
    }
    expect(certificateFindings(certificate, SECURE, SECURE, now)).toMatchObject([
      { code: 'certificate-expired', severity: 'error' },
    ])
    expect(certificateFindings({ ...certificate, validFrom: now + 1, validTo: now + 2 }, SECURE, SECURE, now)).toMatchObject([
      { code: 'certificate-not-yet-valid' },
    ])
  })

  it('can not be read where nobody speaks TLS', async () => {
    const host = new URL(`https://127.0.0.1:${await freePort('127.0.0.1')}`)
    await expect(readCertificate({ site: SECURE, host })).rejects.toMatchObject({ code: 'site-unreachable' })
  })
})
