import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { DnsProvider } from '../../src/dns/port.ts'
import { rfc2136Provider } from '../../src/dns/rfc2136.ts'
import { decodeMessage, encodeData, encodeMessage } from '../../src/dns/rfc2136-wire.ts'
import { inverse } from '../../src/dns/standing.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'

const run = promisify(execFile)
const ZONE = 'shop.example'
const OLD = '203.0.113.10'
const NEW = '198.51.100.20'
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const at = (server: Bind): DnsProvider =>
  rfc2136Provider({
    zone: ZONE,
    server: { host: server.address, port: server.port },
    key: server.key,
    clock: systemClock,
    records: [
      { name: ZONE, type: 'A' },
      { name: `www.${ZONE}`, type: 'A' },
    ],
  })

async function moved(provider: DnsProvider, name: string) {
  const [before] = await provider.records([name])
  if (before === undefined) throw new Error(`${name} isn't there`)
  return { before, after: { ...before, content: NEW } }
}

const under = bindMissing === null ? 'a zone on BIND' : `a zone on BIND (skipped: ${bindMissing})`
describe.skipIf(bindMissing !== null)(under, () => {
  it('stays validly signed when its records move and move back', async () => {
    await using server = disposable(
      await startBind({
        zone: ZONE,
        records: [`@ 60 A ${OLD}`, `www 60 A ${OLD}`],
        zoneOptions: 'dnssec-policy default; inline-signing yes;',
      }),
    )
    const provider = at(server)
    const anchors = await trustAnchors(server)
    await expect.poll(() => validate(server, anchors, `www.${ZONE}`), { timeout: 10_000 }).toContain('; fully validated')
    const changes = [await moved(provider, ZONE), await moved(provider, `www.${ZONE}`)]
    await provider.apply(changes)
    const afterwards = await validate(server, anchors, `www.${ZONE}`)
    expect([afterwards.includes('; fully validated'), afterwards.includes(NEW), afterwards.includes(OLD)]).toEqual([
      true,
      true,
      false,
    ])
    await provider.apply(changes.map(inverse))
    expect(await validate(server, anchors, ZONE)).toContain(OLD)
    expect(await provider.nameServers?.()).toEqual([`ns1.${ZONE}`])
  })

  it('is found by check to allow less than the playbook needs, name by name', async () => {
    await using server = disposable(
      await startBind({
        zone: ZONE,
        records: [`@ 300 A ${OLD}`, `www 300 A ${OLD}`],
        zoneOptions: `update-policy { grant test name www.${ZONE}. A; };`,
      }),
    )
    const provider = at(server)
    expect(await provider.check()).toMatchObject([{ severity: 'error', code: 'dns-permission-denied' }])
    await provider.apply([await moved(provider, `www.${ZONE}`)])
    await expect(provider.apply([await moved(provider, ZONE)])).rejects.toMatchObject({ code: 'dns-permission-denied' })
  })

  it('may have a key of any age: SHA-1 is used and warned of', async () => {
    await using server = disposable(await startBind({ zone: ZONE, records: [`@ 300 A ${OLD}`], algorithm: 'hmac-sha1' }))
    expect((await at(server).check()).map(({ severity, code }) => [severity, code])).toEqual([
      ['warning', 'dns-key-weak'],
      ['info', 'dns-ready'],
    ])
  })

  it.skipIf(!hasIpv6)(`is reached over IPv6${hasIpv6 ? '' : ' (skipped: this machine has none)'}`, async () => {
    await using server = disposable(await startBind({ address: '::1', zone: ZONE, records: [`www 300 A ${OLD}`] }))
    const provider = at(server)
    await provider.apply([await moved(provider, `www.${ZONE}`)])
    expect((await server.resolver.query(`www.${ZONE}`, 'A')).records).toMatchObject([{ content: NEW }])
  })
})

describe('a DNS message', () => {
  it('that is garbage is refused, and never read beyond its end or for ever', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 120 }), (bytes) => {
        try {
          decodeMessage(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })

  it('carries what was put in', () => {
    const record = { name: '*.shop.example', type: 28, class: 1, ttl: 86_400, data: encodeData('AAAA', '2001:db8::ffff:1.2.3.4') }
    const bytes = encodeMessage({
      id: 7,
      opcode: 'update',
      question: { name: ZONE, type: 6 },
      answers: [record],
      authorities: [],
    })
    const { answers, question } = decodeMessage(bytes)
    expect(question).toEqual({ name: ZONE, type: 6 })
    expect(answers).toMatchObject([record])
    expect(record.data.toString('hex')).toBe('20010db8000000000000ffff01020304')
  })
})

const disposable = (server: Bind): Bind & AsyncDisposable => ({ ...server, [Symbol.asyncDispose]: () => server.stop() })

/** The zone's own key as the only one to trust, in a file for delv. */
async function trustAnchors(server: Bind): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    const { stdout } = await run('dig', [`@${server.address}`, '-p', String(server.port), ZONE, 'DNSKEY', '+short'])
    return stdout.split('\n').find((line) => line.startsWith('257 '))
  }
  await expect.poll(ask, { timeout: 10_000 }).toBeDefined()
  const [flags, protocol, algorithm, ...key] = ((await ask()) ?? '').split(' ')
  const file = join(server.folder, 'anchors')
  writeFileSync(file, `trust-anchors { ${ZONE}. static-key ${flags} ${protocol} ${algorithm} "${key.join('')}"; };\n`)
  return file
}

async function validate(server: Bind, anchors: string, name: string): Promise<string> {
  const { stdout } = await run('delv', [
    `@${server.address}`,
    '-p',
    String(server.port),
    '-a',
    anchors,
    `+root=${ZONE}`,
    name,
    'A',
  ])
  return stdout
}
