import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { manualProvider } from '../../src/dns/manual.ts'
import type { DnsProvider, RecordChange } from '../../src/dns/port.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'

const ZONE = 'shop.example'
const OLD = '203.0.113.10'
const NEW = '198.51.100.20'

const title = 'a zone that a person changes, on BIND'
describe.skipIf(bindMissing !== null)(bindMissing === null ? title : `${title} (skipped: ${bindMissing})`, () => {
  let bind: Bind
  let second: Bind
  let provider: DnsProvider
  const told: string[] = []
  beforeEach(async () => {
    const records = [`@ 3600 A ${OLD}`, 'blog 300 A 192.0.2.80']
    ;[bind, second] = await Promise.all([startBind({ zone: ZONE, records }), startBind({ zone: ZONE, records })])
    const authoritative = () => Promise.resolve([bind.resolver, second.resolver])
    provider = manualProvider({ zone: ZONE, authoritative, clock: systemClock, everyMs: 5 })
    told.length = 0
  })
  afterEach(() => Promise.all([bind.stop(), second.stop()]))

  const moved = async (): Promise<RecordChange> => {
    const [before] = await provider.records([ZONE])
    if (before === undefined) throw new Error('no apex')
    return { before, after: { ...before, content: NEW } }
  }
  const types = (server: Bind, content: string, ttl = 3600): Promise<void> =>
    server.update([`update delete ${ZONE}. A`, `update add ${ZONE}. ${ttl} A ${content}`])

  it('waits over a slip, which it tells of, over other changes, and until every name server says so', async () => {
    const change = await moved()
    let done = false
    const waiting = provider
      .apply([change], undefined, (message) => told.push(message))
      .then(() => {
        done = true
      })
    await bind.update(['update delete blog.shop.example. A', 'update add new.shop.example. 300 TXT "something else"'])
    await types(bind, '198.51.100.2')
    await expect.poll(() => told.join()).toContain('A shop.example 198.51.100.2, which is neither the old record nor the new one')
    await types(bind, NEW, 900)
    await expect.poll(() => told.join()).toContain('1 of 2 name servers say so.')
    expect(done).toBe(false)
    await types(second, NEW, 900)
    await waiting
    expect(done).toBe(true)
    expect((await provider.records([ZONE]))[0]).toMatchObject({ content: NEW, ttlSeconds: 900 })
  })

  it('does not begin to wait for a record that somebody else has changed meanwhile', async () => {
    const change = await moved()
    await types(bind, '192.0.2.99')
    await expect(provider.apply([change])).rejects.toMatchObject({ code: 'dns-record-changed' })
  })

  it('stops waiting when told to stop, and has changed nothing', async () => {
    const stop = new AbortController()
    const waiting = provider.apply([await moved()], stop.signal)
    stop.abort(new Error('Ctrl-C'))
    await expect(waiting).rejects.toThrow('Ctrl-C')
    expect((await provider.records([ZONE]))[0]?.content).toBe(OLD)
  })
})
