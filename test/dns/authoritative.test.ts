import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { DnsListener } from '../../src/demo/dns-listener.ts'
import { startNameServer } from '../../src/demo/dns-server.ts'
import { memoryZone, storedRecord } from '../../src/demo/zone-store.ts'
import { authoritativeServers } from '../../src/dns/authoritative.ts'
import { publicResolvers } from '../../src/dns/public-resolvers.ts'
import { digMissing } from '../../src/dns/resolver-dig.ts'
import { resolversFor } from '../../src/dns/resolvers.ts'

const clock = systemClock

describe('the name servers of a zone', () => {
  let server: DnsListener
  beforeAll(async () => {
    const zone = memoryZone('shop.example', [
      storedRecord({ id: '1', name: 'ns1.shop.example', type: 'A', content: '127.0.0.53' }),
      storedRecord({ id: '2', name: 'shop.example', type: 'A', content: '203.0.113.10' }),
    ])
    server = await startNameServer({ address: '127.0.0.1', zone })
  })
  afterAll(() => server.close())

  it('are those that the playbook gives, asked there', async () => {
    const { authoritative } = authoritativeServers({ zone: 'shop.example', nameservers: [server.endpoint], clock })
    const servers = await authoritative()
    expect(servers.map((each) => each.label)).toEqual([server.endpoint])
    expect((await servers[0]?.query('shop.example', 'A'))?.records.map((record) => record.content)).toEqual(['203.0.113.10'])
  })

  it('are found by their names where the playbook gives none', async () => {
    const { authoritative } = authoritativeServers({ zone: 'shop.example', systemServers: [server.endpoint], clock })
    expect((await authoritative()).map((each) => each.label)).toEqual(['ns1.shop.example (127.0.0.53)'])
  })

  it('say so when they cannot be found, and are looked for again the next time', async () => {
    const { authoritative } = authoritativeServers({ zone: 'else.example', systemServers: [server.endpoint], clock })
    await expect(authoritative()).rejects.toMatchObject({ code: 'dns-nameservers-unknown' })
    await expect(authoritative()).rejects.toMatchObject({ code: 'dns-nameservers-unknown' })
  })

  it('have those of the zone above them, where the playbook leaves finding servers to us', async () => {
    const zone = memoryZone('example', [storedRecord({ id: '1', name: 'ns1.example', type: 'A', content: '127.0.0.54' })])
    const above = await startNameServer({ address: '127.0.0.1', zone })
    try {
      const parentsOf = async (nameservers?: readonly string[]) =>
        (await authoritativeServers({ zone: 'shop.example', nameservers, systemServers: [above.endpoint], clock }).parents()).map(
          ({ label }) => label,
        )
      expect(await parentsOf()).toEqual(['ns1.example (127.0.0.54)'])
      expect(await parentsOf(['192.0.2.53'])).toEqual([])
    } finally {
      await above.close()
    }
  })

  it('are asked a second time through dig where it is installed', async () => {
    const { secondOpinion } = authoritativeServers({ zone: 'shop.example', nameservers: [server.endpoint], clock })
    const servers = await secondOpinion()
    expect(servers.map((each) => each.label)).toEqual((await digMissing()) === null ? [`${server.endpoint} (dig)`] : [])
    for (const each of servers)
      expect((await each.query('shop.example', 'A')).records.map((record) => record.content)).toEqual(['203.0.113.10'])
  })
})

describe('the resolvers that a playbook asks for', () => {
  it('are the shipped public ones, each once, or the addresses given', () => {
    const shipped = resolversFor('default', clock)
    // Some are asked from several regions as well.
    expect(shipped.filter((resolver) => resolver.isVantage !== true)).toHaveLength(publicResolvers.length)
    expect(new Set(publicResolvers.map((resolver) => resolver.address)).size).toBe(publicResolvers.length)
    expect(shipped[0]?.label).toBe('Google, worldwide (8.8.8.8)')
    expect(resolversFor(['127.0.20.1:5301', '192.0.2.1'], clock).map((resolver) => resolver.label)).toEqual([
      '127.0.20.1:5301',
      '192.0.2.1',
    ])
    expect(() => resolversFor(['one.one.one.one'], clock)).toThrow(expect.objectContaining({ code: 'dns-address-invalid' }))
  })
})
