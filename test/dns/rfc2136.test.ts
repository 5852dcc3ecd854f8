import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { MigrateError } from '../../src/base/errors.ts'
import { diffRecords, namesToRead } from '../../src/dns/diff.ts'
import type { DnsProvider, DnsRecord, RecordChange } from '../../src/dns/port.ts'
import { type Rfc2136Options, rfc2136Provider } from '../../src/dns/rfc2136.ts'
import { inverse } from '../../src/dns/standing.ts'
import { type Bind, type BindOptions, bindMissing, newKey, startBind } from '../servers/bind.ts'
import { type DnsProxyPlay, isUpdate, startDnsProxy } from '../servers/dns-proxy.ts'
import { knotMissing, startKnot } from '../servers/knot.ts'

const ZONE = 'shop.example'
const OLD = '203.0.113.10'
const NEW = '198.51.100.20'
const RECORDS = [`shop.example. 300 A ${OLD}`, `www 300 A ${OLD}`, 'blog 300 A 192.0.2.80', `*.wild 300 A ${OLD}`]
const WANTED = [{ name: `www.${ZONE}`, type: 'A' as const, to: NEW }]

let endings: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of endings.reverse()) await end()
  endings = []
})

const at = (server: Bind, more: Partial<Rfc2136Options> = {}): DnsProvider =>
  rfc2136Provider({
    zone: ZONE,
    server: { host: server.address, port: server.port },
    key: server.key,
    clock: systemClock,
    records: WANTED,
    timeoutMs: 15_000,
    ...more,
  })

async function through(server: Bind, play: DnsProxyPlay) {
  const proxy = await startDnsProxy(server, play)
  endings.push(proxy.close)
  // Patience costs no time here: what is read back stands at once or never.
  const clock = { ...systemClock, sleep: () => Promise.resolve() }
  const provider = at(server, { server: { host: '127.0.0.1', port: proxy.port }, clock })
  return { provider, updates: () => proxy.requests.filter(isUpdate).length }
}

async function move(provider: DnsProvider, name = `www.${ZONE}`): Promise<RecordChange> {
  const [before] = await provider.records([name])
  if (before === undefined) throw new Error(`${name} isn't there`)
  return { before, after: { ...before, content: NEW } }
}

const says = async (server: Bind, name: string, type: DnsRecord['type'] = 'A'): Promise<readonly string[]> =>
  (await server.resolver.query(name, type)).records.filter((record) => record.type === type).map(({ content }) => content)

const thrown = async (work: Promise<unknown>): Promise<MigrateError> =>
  await work.then(
    () => {
      throw new Error('nothing thrown')
    },
    (error) => error,
  )

function suite(name: string, missing: string | null, start: (options: BindOptions) => Promise<Bind>): void {
  describe.skipIf(missing !== null)(missing === null ? `with ${name}` : `with ${name} (skipped: ${missing})`, () => {
    const begin = async (options: Partial<BindOptions> = {}): Promise<Bind> => {
      const server = await start({ zone: ZONE, records: RECORDS, ...options })
      endings.push(() => server.stop())
      return server
    }

    it('writes nothing while it checks', async () => {
      const server = await begin()
      const serial = await server.resolver.query(ZONE, 'SOA')
      expect((await at(server).check()).map(({ severity, code }) => [severity, code])).toEqual([['info', 'dns-ready']])
      expect((await server.resolver.query(ZONE, 'SOA')).records).toEqual(serial.records)
      const journal = readdirSync(server.folder).filter((file) => file.endsWith('.jnl'))
      expect(journal.map((file) => statSync(join(server.folder, file)).size)).toEqual([])
    })

    it('tells an unknown key, a wrong secret, and clocks that differ, with both times', async () => {
      const server = await begin()
      expect(await at(server, { key: newKey('nobody', 'hmac-sha256') }).check()).toMatchObject([
        { severity: 'error', code: 'dns-key-rejected', message: expect.stringContaining('BADKEY') },
      ])
      const wrong = { ...server.key, secret: newKey('other', 'hmac-sha256').secret }
      const [finding] = await at(server, { key: wrong }).check()
      expect(finding).toMatchObject({ severity: 'error', code: 'dns-key-rejected', message: expect.stringContaining('BADSIG') })
      expect(JSON.stringify(finding)).not.toContain(wrong.secret.reveal())
      const hourAhead = { ...systemClock, now: () => systemClock.now() + 3_600_000 }
      const late = await thrown(at(server, { clock: hourAhead }).records([ZONE]))
      expect(late).toMatchObject({ code: 'dns-time-rejected', message: expect.stringMatching(/1 h 00 min ahead/) })
      expect(late.message).toContain(new Date(systemClock.now()).toISOString().slice(0, 13))
    })

    it('says so when the server is not in charge of the zone', async () => {
      const server = await begin()
      // Servers differ in whether they refuse or say NOTAUTH of a zone that they don't have.
      expect((await thrown(at(server, { zone: 'other.example' }).records(['other.example']))).code).toMatch(
        /^dns-(zone-missing|permission-denied|key-rejected|answer-unsigned)$/,
      )
    })

    it('changes nothing when somebody else changes a record between the last look and the update', async () => {
      const server = await begin()
      let meddled = false
      const { provider, updates } = await through(server, {
        request: async (request): Promise<'pass'> => {
          if (isUpdate(request) && !meddled) {
            meddled = true
            await server.update([`update delete blog.${ZONE}. A`, `update add blog.${ZONE}. 300 A 192.0.2.99`])
          }
          return 'pass'
        },
      })
      const changes = [await move(provider), await move(provider, `blog.${ZONE}`)]
      const error = await thrown(provider.apply(changes))
      expect(error).toMatchObject({ code: 'dns-record-changed', message: expect.stringContaining('NXRRSET') })
      expect([await says(server, `www.${ZONE}`), await says(server, `blog.${ZONE}`)]).toEqual([[OLD], ['192.0.2.99']])
      expect(updates()).toBe(1)
    })

    it('does not make a record that somebody else made in the same moment', async () => {
      const server = await begin()
      const { provider } = await through(server, {
        request: async (request): Promise<'pass'> => {
          if (isUpdate(request)) await server.update([`update add new.${ZONE}. 300 A 192.0.2.99`])
          return 'pass'
        },
      })
      const after: DnsRecord = { name: `new.${ZONE}`, type: 'A', content: NEW, ttlSeconds: 60, proxied: false, id: null }
      expect((await thrown(provider.apply([{ before: null, after }]))).code).toBe('dns-record-changed')
      expect(await says(server, `new.${ZONE}`)).toEqual(['192.0.2.99'])
    })

    it('reads back instead of repeating when the answer is lost', async () => {
      const server = await begin()
      const { provider, updates } = await through(server, { answer: (answer, request) => (isUpdate(request) ? 'cut' : answer) })
      await provider.apply([await move(provider)])
      expect(await says(server, `www.${ZONE}`)).toEqual([NEW])
      expect(updates()).toBe(1)
    })

    it('never says that nothing was changed while it cannot be read whether it was', async () => {
      const server = await begin()
      let isAway = false
      const { provider, updates } = await through(server, {
        request: () => (isAway ? 'cut' : 'pass'),
        answer: (answer, request) => {
          isAway ||= isUpdate(request)
          return isAway ? 'cut' : answer
        },
      })
      const change = await move(provider)
      for (const attempt of ['first', 'retried']) {
        const error = await thrown(provider.apply([change]))
        expect(error, attempt).toMatchObject({ code: 'dns-unreachable', retrySafe: true })
        expect(error.message, attempt).toMatch(/were sent, and whether they were made couldn't be read back/)
        expect(error.message, attempt).not.toContain('Nothing was changed')
      }
      isAway = false
      await provider.apply([change])
      expect(await says(server, `www.${ZONE}`)).toEqual([NEW])
      expect(updates()).toBe(1)
    })

    it('says that it may be tried again when the update never arrived', async () => {
      const server = await begin()
      const { provider, updates } = await through(server, { request: (request) => (isUpdate(request) ? 'cut' : 'pass') })
      const error = await thrown(provider.apply([await move(provider)]))
      expect(error).toMatchObject({ code: 'dns-unreachable', retrySafe: true })
      expect(await says(server, `www.${ZONE}`)).toEqual([OLD])
      expect(updates()).toBe(1)
    })

    it('believes no answer that was changed on its way, nor one without a signature', async () => {
      const server = await begin()
      const change = await move(at(server))
      const turnedOver = (answer: Buffer): Buffer => {
        const copy = Buffer.from(answer)
        const where = copy.indexOf(Buffer.from([203, 0, 113, 10]))
        if (where >= 0) copy.writeUInt8(204, where)
        return copy
      }
      const lying = await through(server, { answer: turnedOver })
      expect((await thrown(lying.provider.records([`www.${ZONE}`]))).code).toBe('dns-answer-unsigned')
      // An update's answer that nobody signed is as good as lost.
      const unsigned = (answer: Buffer, request: Buffer): Buffer => {
        if (!isUpdate(request)) return answer
        const copy = Buffer.from(answer.subarray(0, 12))
        copy.fill(0, 4)
        return copy
      }
      const stripping = await through(server, { answer: unsigned })
      await stripping.provider.apply([change])
      expect(await says(server, `www.${ZONE}`)).toEqual([NEW])
      expect(stripping.updates()).toBe(1)
    })

    it('tells a record of its own from the answer of a wildcard, and moves the wildcard', async () => {
      const server = await begin({ records: [...RECORDS, `own.wild 300 A ${OLD}`] })
      const provider = at(server)
      const names = [`a.wild.${ZONE}`, `own.wild.${ZONE}`, `*.wild.${ZONE}`]
      expect((await provider.records(names)).map(({ name }) => name).sort()).toEqual([`*.wild.${ZONE}`, `own.wild.${ZONE}`])
      const wanted = names.map((name) => ({ name, type: 'A' as const, to: NEW }))
      const { changes } = diffRecords(wanted, await provider.records(namesToRead(wanted, ZONE)), ZONE)
      expect(changes.map(({ before }) => before === null)).toEqual([true, false, false])
      await provider.apply(changes)
      for (const name of [...names, `other.wild.${ZONE}`]) expect(await says(server, name)).toEqual([NEW])
      await provider.apply(changes.map(inverse))
      for (const name of [...names, `other.wild.${ZONE}`]) expect(await says(server, name)).toEqual([OLD])
      expect((await provider.records(names)).map(({ name }) => name).sort()).toEqual([`*.wild.${ZONE}`, `own.wild.${ZONE}`])
    })

    it('brings in a host that has IPv6 alone', async () => {
      const server = await begin()
      const provider = at(server)
      const wanted = [
        { name: `*.${ZONE}`, type: 'AAAA' as const, to: '2001:DB8:0::20' },
        { name: ZONE, type: 'AAAA' as const, to: '::ffff:198.51.100.20' },
      ]
      const { changes } = diffRecords(wanted, await provider.records(namesToRead(wanted, ZONE)), ZONE)
      await provider.apply(changes)
      expect(await says(server, `any.${ZONE}`, 'AAAA')).toEqual(['2001:db8::20'])
      expect(diffRecords(wanted, await provider.records(namesToRead(wanted, ZONE)), ZONE).changes).toEqual([])
    })

    it('says so when a server passes over a CNAME without a word, and leaves other records alone', async () => {
      const server = await begin({ records: [...RECORDS, 'text 300 TXT "here"'] })
      const after: DnsRecord = { name: `text.${ZONE}`, type: 'CNAME', content: ZONE, ttlSeconds: 60, proxied: false, id: null }
      const instant = { ...systemClock, sleep: () => Promise.resolve() }
      const error = await thrown(at(server, { clock: instant }).apply([{ before: null, after }]))
      expect(error.code).toBe('dns-failed')
      expect((await server.resolver.query(`text.${ZONE}`, 'TXT')).records).toMatchObject([{ content: 'here' }])
    })

    it('refuses TTLs that cannot stand together', async () => {
      const server = await begin({ records: ['two 300 A 192.0.2.1', 'two 300 A 192.0.2.2'] })
      const provider = at(server)
      const [before] = await provider.records([`two.${ZONE}`])
      if (before === undefined) throw new Error('no record')
      const error = await thrown(provider.apply([{ before, after: { ...before, ttlSeconds: 60 } }]))
      expect(error).toMatchObject({ code: 'dns-failed', message: expect.stringContaining('share one') })
    })
  })
}

suite('BIND', bindMissing, startBind)
suite('Knot', knotMissing, startKnot)
