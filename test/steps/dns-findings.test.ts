import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Finding } from '../../src/base/errors.ts'
import type { DnsProvider } from '../../src/dns/port.ts'
import { rfc2136Provider } from '../../src/dns/rfc2136.ts'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import type { DnsTarget } from '../../src/steps/world.ts'
import { testWorld } from '../fakes/step-run.ts'
import { type Bind, type BindOptions, bindMissing, startBind } from '../servers/bind.ts'
import { type KeyPair, opensslMissing, selfSigned, startWeb } from '../servers/web.ts'
import { newRun, stepOf } from './dns-world.ts'

const ZONE = 'shop.example'
const OLD = '203.0.113.10'
const NEW = '198.51.100.20'
const MAIL = `@ 300 MX 10 mail.${ZONE}.`
const APEX = [`@ 300 A ${OLD}`, 'mail 300 A 192.0.2.25', MAIL]
const MOVE: DnsTarget['records'] = [{ name: ZONE, type: 'A', to: NEW }]

const missing = bindMissing ?? opensslMissing
const title = 'what check finds around a zone on BIND'
describe.skipIf(missing !== null)(missing === null ? title : `${title} (skipped: ${missing})`, () => {
  let endings: (() => Promise<void>)[] = []
  let pair: KeyPair
  beforeAll(() => {
    pair = selfSigned(ZONE, 90, "Let's Encrypt")
  })
  afterEach(async () => {
    for (const end of endings.reverse()) await end()
    endings = []
  })

  const begin = async (records: readonly string[], more: Partial<BindOptions> = {}): Promise<Bind> => {
    const bind = await startBind({ zone: ZONE, records, ...more })
    endings.push(() => bind.stop())
    return bind
  }

  interface Scene {
    readonly records?: DnsTarget['records']
    /** The servers that the world asks, where they aren't the provider's. */
    readonly asked?: Bind
    /** The new host has the certificate. */
    readonly https?: boolean
    readonly change?: Partial<DnsProvider>
  }

  async function check(bind: Bind, { records = MOVE, asked = bind, https = false, change = {} }: Scene = {}) {
    const server = { host: bind.address, port: bind.port }
    const provider = { ...rfc2136Provider({ zone: ZONE, server, key: bind.key, clock: systemClock, records }), ...change }
    const dns = { provider, zone: ZONE, records, authoritative: () => Promise.resolve([asked.resolver]) }
    const web = https ? await startWeb((_request, response) => response.end('shop'), pair) : undefined
    if (web !== undefined) endings.push(() => web.close())
    const world = testWorld({ new: web === undefined ? {} : { site: web.url } })
    const step = stepOf(cutoverDnsKind, { ...world, dns, site: new URL(`https://${ZONE}`) })
    return (await step.check(newRun())).filter(({ code }) => !code.startsWith('certificate'))
  }
  const codes = (findings: readonly Finding[]): readonly string[] => findings.map(({ severity, code }) => `${severity} ${code}`)

  it('is nothing where all is well', async () => {
    expect(codes(await check(await begin([...APEX, 'www 300 CNAME @'])))).toEqual([])
  })

  it('names an AAAA, a www and a wildcard that would stay behind', async () => {
    const bind = await begin([...APEX, '@ 300 AAAA 2001:db8::10', `www 300 A ${OLD}`, `* 300 A ${OLD}`, 'other 300 A 192.0.2.80'])
    const found = await check(bind)
    expect(codes(found)).toEqual([
      'warning dns-aaaa-left-behind',
      'warning dns-wildcard-left-behind',
      'warning dns-www-left-behind',
    ])
    expect(found.map(({ message }) => message).join()).toContain(`www.${ZONE} has A ${OLD}`)
    const all: DnsTarget['records'] = [
      ...MOVE,
      { name: ZONE, type: 'AAAA', to: '2001:db8::20' },
      { name: `www.${ZONE}`, type: 'A', to: NEW },
      { name: `*.${ZONE}`, type: 'A', to: NEW },
    ]
    expect(codes(await check(bind, { records: all }))).toEqual([])
  })

  it('refuses a CNAME at the apex', async () => {
    const records: DnsTarget['records'] = [{ name: ZONE, type: 'CNAME', to: 'shops.host.example' }]
    expect(codes(await check(await begin([MAIL]), { records }))).toContain('error dns-cname-at-apex')
  })

  it('says that the zone is signed', async () => {
    const bind = await begin(APEX, { zoneOptions: 'dnssec-policy default; inline-signing yes;' })
    await expect
      .poll(async () => (await bind.resolver.query(ZONE, 'DNSKEY')).records.length, { timeout: 10_000 })
      .toBeGreaterThan(0)
    expect(codes(await check(bind))).toEqual(['info dns-zone-signed'])
  })

  it('warns when CAA forbids the authority of the new host’s certificate, and not when it allows it', async () => {
    const forbidding = await begin([...APEX, '@ 300 CAA 0 issue "digicert.com; account=1"'])
    const [found] = await check(forbidding, { https: true })
    expect(found).toMatchObject({
      severity: 'warning',
      code: 'dns-caa-forbids',
      message: expect.stringContaining("Let's Encrypt"),
    })
    expect(codes(await check(forbidding))).toEqual(['info dns-caa-unclear'])
    const allowing = await begin([...APEX, '@ 300 CAA 0 issue "letsencrypt.org"', '@ 300 CAA 0 iodef "mailto:a@shop.example"'])
    expect(codes(await check(allowing, { https: true }))).toEqual([])
    const nobody = await begin([...APEX, '@ 300 CAA 0 issue ";"'])
    expect(codes(await check(nobody, { https: true }))).toEqual(['warning dns-caa-forbids'])
  })

  it('warns of mail that would move along: by name, by a CNAME, and for want of an MX', async () => {
    const direct = await check(await begin([`@ 300 A ${OLD}`, `@ 300 MX 10 ${ZONE}.`]))
    expect(direct).toMatchObject([{ code: 'dns-mail-moves-along', message: expect.stringContaining(`goes to ${ZONE}`) }])
    const alias = await check(await begin([`@ 300 A ${OLD}`, MAIL, 'mail 300 CNAME @']))
    expect(alias).toMatchObject([
      { severity: 'warning', code: 'dns-mail-moves-along', message: expect.stringContaining('mail.') },
    ])
    expect(codes(await check(await begin([`@ 300 A ${OLD}`])))).toEqual(['info dns-mail-without-mx'])
    expect(codes(await check(await begin([`@ 300 A ${OLD}`, '@ 300 MX 0 .'])))).toEqual([])
    expect(codes(await check(await begin([`@ 300 A ${OLD}`, '@ 300 MX 10 mx.elsewhere.example.'])))).toEqual([])
  })

  it('refuses a domain that is delegated elsewhere, and warns where it is so in part', async () => {
    const bind = await begin(APEX)
    const elsewhere = await begin(APEX, { nameServer: 'ns.other.example.' })
    const [found] = await check(bind, { asked: elsewhere })
    expect(found).toMatchObject({
      severity: 'error',
      code: 'dns-delegated-elsewhere',
      message: expect.stringContaining('ns.other.example'),
    })
    const partly = await begin([...APEX, '@ 300 NS ns.other.example.'])
    expect(codes(await check(bind, { asked: partly }))).toEqual(['warning dns-delegated-partly'])
  })

  it('warns of a name server that says something else than the provider', async () => {
    const bind = await begin(APEX)
    const stale = await begin(['@ 300 A 192.0.2.1', MAIL])
    const [found] = await check(bind, { asked: stale })
    expect(found).toMatchObject({
      severity: 'warning',
      code: 'dns-server-differs',
      message: expect.stringContaining('192.0.2.1'),
    })
  })

  it('says that nothing is waited for when every name is proxied', async () => {
    const bind = await begin(APEX)
    const proxied = (
      await rfc2136Provider({
        zone: ZONE,
        server: { host: bind.address, port: bind.port },
        key: bind.key,
        clock: systemClock,
      }).records([ZONE])
    ).map((record) => ({ ...record, proxied: true }))
    const found = await check(bind, { change: { records: () => Promise.resolve(proxied) } })
    expect(codes(found)).toEqual(['info dns-proxied'])
    expect(found[0]?.message).toContain('nothing is waited for')
  })
})
