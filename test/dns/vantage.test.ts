import { connect } from 'node:net'
import { type DecodedPacket, encode, type Packet } from 'dns-packet'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { type DnsListener, listenDns } from '../../src/demo/dns-listener.ts'
import { parseServerAddress } from '../../src/dns/names.ts'
import { expectationsOf, observe, withChains } from '../../src/dns/propagation.ts'
import { dohResolver } from '../../src/dns/resolver-doh.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { isIntercepted, resolversFor } from '../../src/dns/resolvers.ts'
import { RESOLVER_LINES, RESOLVER_ZONE } from '../contract/resolver.ts'
import { scriptedResolver } from '../fakes/memory-dns.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'
import { startUnbound, unboundMissing } from '../servers/unbound.ts'
import { opensslMissing, selfSigned, startWeb, type WebServer } from '../servers/web.ts'

const OLD = '203.0.113.10'
const NEW = '198.51.100.20'
const clock = systemClock

const moved = withChains(
  expectationsOf([
    { name: 'shop.example', type: 'A', to: NEW },
    { name: 'www.shop.example', type: 'CNAME', to: 'shop.example' },
  ]),
)

describe('an alias and what it leads to', () => {
  it('is expected to end at the new address, over as many aliases as there are', () => {
    const chain = expectationsOf([
      { name: 'm.shop.example', type: 'CNAME', to: 'www.shop.example' },
      { name: 'www.shop.example', type: 'CNAME', to: 'shop.example' },
      { name: 'shop.example', type: 'A', to: NEW },
      { name: 'shop.example', type: 'AAAA', to: '2001:db8::20' },
      { name: 'cdn.shop.example', type: 'CNAME', to: 'cdn.example.net' },
      { name: 'loop.shop.example', type: 'CNAME', to: 'loop.shop.example' },
    ])
    expect(withChains(chain).slice(chain.length)).toEqual([
      { name: 'm.shop.example', type: 'A', contents: [NEW] },
      { name: 'm.shop.example', type: 'AAAA', contents: ['2001:db8::20'] },
      { name: 'www.shop.example', type: 'A', contents: [NEW] },
      { name: 'www.shop.example', type: 'AAAA', contents: ['2001:db8::20'] },
    ])
  })

  it('is followed at a server that gives the alias alone', async () => {
    const lazy = scriptedResolver('lazy', (name, type) => {
      const isAlias = name === 'www.shop.example'
      const record = isAlias ? { type: 'CNAME', content: 'shop.example' } : { type, content: NEW }
      return { records: [{ name, ttlSeconds: 60, ...record }] }
    })
    expect((await observe(moved, [lazy])).opinions[0]).toMatchObject({ state: 'agrees' })
  })
})

const noUnbound = [bindMissing, unboundMissing].find((each) => each !== null)
describe.skipIf(noUnbound !== undefined)(
  `a cache that knows the new alias and the old address${noUnbound === undefined ? '' : ` (skipped: ${noUnbound})`}`,
  () => {
    it('lags, for as long as the address is remembered', async () => {
      const lines = [`@ 300 IN A ${OLD}`, 'www 1 IN CNAME elsewhere.shop.example.', `elsewhere 1 IN A ${OLD}`]
      const bind = await startBind({ zone: RESOLVER_ZONE, records: lines })
      const unbound = await startUnbound({ zone: RESOLVER_ZONE, upstream: bind })
      try {
        await unbound.resolver.query('shop.example', 'A')
        await bind.update([
          'update delete www.shop.example. CNAME',
          'update add www.shop.example. 1 CNAME shop.example.',
          'update delete shop.example. A',
          `update add shop.example. 60 A ${NEW}`,
        ])
        const [source] = (await observe(moved, [bind.resolver])).opinions
        expect(source).toMatchObject({ state: 'agrees', authoritative: true })
        const [cache] = (await observe(moved, [unbound.resolver])).opinions
        expect(cache).toMatchObject({
          state: 'lags',
          authoritative: false,
          detail: expect.stringContaining(`www.shop.example A: ${OLD}`),
        })
        expect(cache?.ttlLeftSeconds).toBeGreaterThan(250)
      } finally {
        await unbound.stop()
        await bind.stop()
      }
    })
  },
)

describe('vantage points by client subnet', () => {
  const listeners: DnsListener[] = []
  afterEach(async () => {
    for (const each of listeners.splice(0)) await each.close()
  })
  /** Answers with `addressFor` the subnet, whose scope it says. */
  const serve = async (addressFor: (subnet: string) => string, scope: number | undefined) => {
    const listener = await listenDns('127.0.0.1', (query) => answerFor(query, addressFor, scope))
    listeners.push(listener)
    return (ip: string) =>
      measureResolver(parseServerAddress(listener.endpoint), { clock, label: `from ${ip}`, subnet: { ip, prefixLength: 24 } })
  }
  const wanted = expectationsOf([{ name: 'shop.example', type: 'A', to: NEW }])

  it('counts one for each region whose answers are its own', async () => {
    const at = await serve((subnet) => (subnet === '203.178.141.0' ? OLD : NEW), 24)
    const { opinions, agreed, answered } = await observe(wanted, [at('193.0.6.0'), at('203.178.141.0')])
    expect(opinions.map(({ server, state, ttlLeftSeconds }) => [server, state, ttlLeftSeconds])).toEqual([
      ['from 193.0.6.0', 'agrees', null],
      ['from 203.178.141.0', 'lags', 60],
    ])
    expect([agreed, answered]).toEqual([1, 2])
  })

  it.each([[0], [undefined]])('counts none where the answer is for everybody (scope %s)', async (scope) => {
    const at = await serve(() => OLD, scope)
    const { opinions, answered } = await observe(wanted, [at('193.0.6.0')])
    expect([opinions[0]?.state, answered]).toEqual(['same', 0])
  })

  it.skipIf(bindMissing !== null)(
    `counts none with BIND, which makes no difference${bindMissing === null ? '' : ' (skipped: no BIND)'}`,
    async () => {
      const bind = await startBind({ zone: RESOLVER_ZONE, records: [`@ 60 IN A ${OLD}`] })
      const vantage = measureResolver(bind, { clock, subnet: { ip: '193.0.6.0', prefixLength: 24 } })
      expect((await observe(wanted, [vantage])).opinions[0]?.state).toBe('same')
      await bind.stop()
    },
  )
})

function answerFor(query: DecodedPacket, addressFor: (subnet: string) => string, scope: number | undefined): Packet {
  const opt = query.additionals?.find((each) => each.type === 'OPT')
  const option = opt?.type === 'OPT' ? opt.options[0] : undefined
  const ip = option !== undefined && 'ip' in option ? String(option.ip) : ''
  const options = [{ code: 8 as const, ip, sourcePrefixLength: 24, scopePrefixLength: scope ?? 0 }]
  const edns = { name: '.', udpPayloadSize: 1232, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options }
  return {
    type: 'response',
    id: query.id ?? 0,
    questions: query.questions ?? [],
    answers: [{ type: 'A', name: 'shop.example', ttl: 60, data: addressFor(ip) }],
    additionals: scope === undefined ? [] : [{ type: 'OPT', ...edns }],
  }
}

describe('port 53 that is intercepted', () => {
  it('is known by an answer from where nobody is', async () => {
    const interceptor = await listenDns('127.0.0.1', (query) => answerFor(query, () => OLD, undefined))
    expect(await isIntercepted('shop.example', clock, undefined, interceptor.endpoint)).toBe(true)
    await interceptor.close()
    expect(await isIntercepted('shop.example', clock, undefined, interceptor.endpoint)).toBe(false)
  })

  it('leaves the resolvers that can be asked over HTTPS', () => {
    const shipped = resolversFor('default', clock)
    expect(shipped.filter(({ overHttps }) => overHttps !== undefined).length).toBeGreaterThanOrEqual(5)
    expect(shipped.filter(({ isVantage }) => isVantage).length).toBeGreaterThanOrEqual(5)
    expect(resolversFor(['https://9.9.9.9/dns-query', '127.0.0.1:5301'], clock).map(({ label }) => label)).toEqual([
      'https://9.9.9.9/dns-query',
      '127.0.0.1:5301',
    ])
    expect(() => resolversFor(['http://9.9.9.9/dns-query'], clock)).toThrow(
      expect.objectContaining({ code: 'dns-address-invalid' }),
    )
  })
})

/** One message to a name server over TCP and back. */
const forward = (message: Buffer, { address, port }: Bind): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    let received = Buffer.alloc(0)
    socket.on('error', reject)
    socket.on('connect', () => socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message])))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < received.readUInt16BE() + 2) return
      socket.destroy()
      resolve(received.subarray(2))
    })
  })

const noDoh = [bindMissing, opensslMissing].find((each) => each !== null)
describe.skipIf(noDoh !== undefined)(
  `DNS over HTTPS, in front of BIND${noDoh === undefined ? '' : ` (skipped: ${noDoh})`}`,
  () => {
    let bind: Bind
    let web: WebServer
    let ca: string
    let wrong: ((id: number) => Buffer) | number | undefined
    beforeAll(async () => {
      bind = await startBind({ zone: RESOLVER_ZONE, records: RESOLVER_LINES })
      const pair = selfSigned('127.0.0.1', 2)
      ca = pair.cert
      web = await startWeb(async (request, response) => {
        const chunks: Buffer[] = []
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
        const message = Buffer.concat(chunks)
        const isRight = request.method === 'POST' && request.headers['content-type'] === 'application/dns-message'
        if (typeof wrong === 'number' || !isRight) response.writeHead(typeof wrong === 'number' ? wrong : 415).end()
        else response.end(wrong?.(message.readUInt16BE()) ?? (await forward(message, bind)))
      }, pair)
    })
    afterEach(() => {
      wrong = undefined
    })
    afterAll(async () => {
      await web?.close()
      await bind?.stop()
    })
    const doh = () => dohResolver(`${web.url.href}dns-query`, { clock, ca })

    it('says what the name server says to whoever asks it itself', async () => {
      const itself = measureResolver(bind, { clock })
      for (const [name, type] of [
        ['Shop.Example.', 'A'],
        ['shop.example', 'AAAA'],
        ['www.shop.example', 'A'],
        ['note.shop.example', 'TXT'],
        ['nobody.shop.example', 'A'],
        ['many.shop.example', 'A'],
      ] as const) {
        const sorted = ({ milliseconds: _milliseconds, records, ...rest }: Awaited<ReturnType<typeof itself.query>>) => ({
          ...rest,
          records: records.map((record) => JSON.stringify(record)).sort(),
        })
        expect(sorted(await doh().query(name, type)), name).toEqual(sorted(await itself.query(name, type)))
      }
    })

    it('takes nothing but a DNS answer to its own question from a server whose certificate is trusted', async () => {
      wrong = 503
      expect((await doh().query('shop.example', 'A')).status).toBe('HTTP503')
      wrong = () => Buffer.from('<html>Sign in to this network</html>')
      expect((await doh().query('shop.example', 'A')).status).toBe('MALFORMED')
      wrong = (id) => encode({ type: 'response', id, questions: [{ type: 'A', name: 'other.example' }], answers: [] })
      expect((await doh().query('shop.example', 'A')).status).toBe('MALFORMED')
      wrong = undefined
      expect((await dohResolver(web.url.href, { clock }).query('shop.example', 'A')).status).toBe('UNREACHABLE')
      expect((await dohResolver('https://127.0.0.1:9/', { clock }).query('shop.example', 'A')).status).toBe('UNREACHABLE')
      const stop = AbortSignal.abort(new Error('told to'))
      await expect(doh().query('shop.example', 'A', stop)).rejects.toThrow('told to')
    })
  },
)
