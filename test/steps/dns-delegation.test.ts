import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Finding } from '../../src/base/errors.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { rfc2136Provider } from '../../src/dns/rfc2136.ts'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import type { DnsTarget } from '../../src/steps/world.ts'
import { testWorld } from '../fakes/step-run.ts'
import { type Bind, type BindOptions, bindMissing, startBind } from '../servers/bind.ts'
import { newRun, stepOf } from './dns-world.ts'

const ZONE = 'shop.example'
const MAIL = ['mail 300 A 192.0.2.25', `@ 300 MX 10 mail.${ZONE}.`]
const APEX = ['@ 300 A 203.0.113.10', ...MAIL]
const DELEGATED = [`shop 300 NS ns1.${ZONE}.`, 'ns1.shop 300 A 127.0.0.1']
const SIGNED = 'dnssec-policy default; inline-signing yes;'

const toolMissing = spawnSync('dnssec-dsfromkey', ['-h']).error === undefined ? null : 'dnssec-dsfromkey is not installed'
const missing = bindMissing ?? toolMissing
const title = 'what check finds in the zone above, and over TCP, on BIND'
describe.skipIf(missing !== null)(missing === null ? title : `${title} (skipped: ${missing})`, () => {
  const endings: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of endings.splice(0).reverse()) await end()
  })

  const begin = async (records: readonly string[], more: Partial<BindOptions> = {}): Promise<Bind> => {
    const bind = await startBind({ zone: ZONE, records, ...more })
    endings.push(() => bind.stop())
    return bind
  }

  async function check(child: Bind, parent?: Bind, more: Partial<DnsTarget> = {}): Promise<readonly Finding[]> {
    const records: DnsTarget['records'] = [{ name: ZONE, type: 'A', to: '198.51.100.20' }]
    const server = { host: child.address, port: child.port }
    const provider = rfc2136Provider({ zone: ZONE, server, key: child.key, clock: systemClock, records })
    const dns: DnsTarget = {
      provider,
      zone: ZONE,
      records,
      authoritative: async () => [child.resolver],
      overTcp: async () => [measureResolver({ address: child.address, port: child.port }, { clock: systemClock, tcp: true })],
      ...(parent === undefined ? {} : { parents: async () => [parent.resolver] }),
      ...more,
    }
    return await stepOf(cutoverDnsKind, { ...testWorld({}), dns, site: new URL(`https://${ZONE}`) }).check(newRun())
  }
  const codes = (findings: readonly Finding[]): readonly string[] => findings.map(({ severity, code }) => `${severity} ${code}`)

  it('is nothing where the registry, the zone and both ways of asking agree', async () => {
    const parent = await begin(DELEGATED, { zone: 'example' })

    expect(codes(await check(await begin(APEX), parent))).toEqual([])
  })

  it('warns when the registry leads elsewhere than the zone says, and by an old address', async () => {
    const parent = await begin(['shop 300 NS ns1.shop', 'ns1.shop 300 A 192.0.2.99', 'shop 300 NS ns.old-provider.test.'], {
      zone: 'example',
    })

    const found = await check(await begin(APEX), parent)

    expect(found).toMatchObject([
      { code: 'dns-delegated-partly', severity: 'warning' },
      { code: 'dns-delegation-differs', message: expect.stringContaining('ns.old-provider.test, ns1.shop.example') },
      {
        code: 'dns-glue-differs',
        message: expect.stringMatching(/192\.0\.2\.99 .* ns1\.shop\.example, and the zone says 127\.0\.0\.1/),
      },
    ])
  })

  it('refuses a zone whose registry vouches for a key that it hasn’t, and none whose key is there', async () => {
    const child = await begin(APEX, { zoneOptions: SIGNED })
    await expect
      .poll(async () => (await child.resolver.query(ZONE, 'DNSKEY')).records.length, { timeout: 10_000 })
      .toBeGreaterThan(0)
    const keyFile = readdirSync(child.folder).find((name) => name.endsWith('.key')) ?? ''
    const [ds = ''] = execFileSync('dnssec-dsfromkey', [join(child.folder, keyFile)], { encoding: 'utf8' }).split('\n')
    const parent = await begin([...DELEGATED, ds.replace(/^\S+ IN/, 'shop 300 IN')], { zone: 'example' })

    expect(codes(await check(child, parent))).toEqual(['info dns-zone-signed'])
    const [found, ...others] = await check(await begin(APEX), parent)
    expect(found).toMatchObject({
      severity: 'error',
      code: 'dns-ds-without-key',
      message: expect.stringContaining('it isn’t signed at all'),
      hint: expect.stringContaining('Remove the DS record at the registrar'),
    })
    expect(others).toEqual([])
    const moved = await check(await begin(APEX, { zoneOptions: SIGNED }), parent)
    expect(codes(moved)).toContain('error dns-ds-without-key')
  })

  it('warns when a name server says one thing over UDP and another over TCP, or nothing', async () => {
    const child = await begin(APEX)
    const other = await begin(['@ 300 A 192.0.2.1', ...MAIL])
    const over = (bind: Pick<Bind, 'address' | 'port'>): Partial<DnsTarget> => ({
      overTcp: async () => [
        measureResolver(
          { address: bind.address, port: bind.port },
          { clock: systemClock, tcp: true, label: child.resolver.label, tries: 1 },
        ),
      ],
    })

    expect(await check(child, undefined, over(other))).toMatchObject([
      {
        severity: 'warning',
        code: 'dns-tcp-differs',
        message: expect.stringContaining('203.0.113.10 over UDP, and 192.0.2.1 over TCP'),
      },
    ])
    await other.stop()
    expect(codes(await check(child, undefined, over(other)))).toEqual(['warning dns-tcp-unanswered'])
  })
})
