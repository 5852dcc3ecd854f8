import { describe } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { rfc2136Provider } from '../../src/dns/rfc2136.ts'
import type { TsigKey } from '../../src/dns/rfc2136-tsig.ts'
import { dnsProviderContract, type PlainRecord, type ProviderUnderTest, ZONE, ZONE_RECORDS } from '../contract/dns-provider.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'
import { knotMissing, startKnot } from '../servers/knot.ts'
import { freePort } from '../servers/ports.ts'

const rdata = ({ type, content }: Pick<PlainRecord, 'type' | 'content'>): string => (type === 'CNAME' ? `${content}.` : content)
const zoneLines = ZONE_RECORDS.map((record) => `${record.name}. ${record.ttlSeconds} IN ${record.type} ${rdata(record)}`)
const WATCHED = [...new Set(ZONE_RECORDS.map((record) => record.name)), 'shop2.shop.example', '*.wild.shop.example']

async function over(server: Bind): Promise<ProviderUnderTest> {
  const provider = (key: TsigKey, port = server.port) =>
    rfc2136Provider({
      zone: ZONE,
      server: { host: server.address, port },
      key,
      clock: systemClock,
      records: ZONE_RECORDS,
      timeoutMs: 15_000,
    })
  return {
    provider: provider(server.key),
    readOnly: provider(server.reader),
    unreachable: provider(server.key, await freePort(server.address)),
    truth: () => publishedBy(server),
    meddle: (name, type, content) =>
      server.update([`update delete ${name}. ${type}`, `update add ${name}. 300 ${type} ${rdata({ type, content })}`]),
    stop: () => server.stop(),
  }
}

/** As the world sees it, asked without a key. */
async function publishedBy({ resolver }: Bind): Promise<readonly PlainRecord[]> {
  const questions = WATCHED.flatMap((name) => (['A', 'AAAA', 'CNAME'] as const).map((type) => ({ name, type })))
  const answers = await Promise.all(
    questions.map(async (each) => ({ ...each, answer: await resolver.query(each.name, each.type) })),
  )
  return answers.flatMap(({ name, type, answer }) =>
    answer.records
      .filter((record) => record.name === name && record.type === type)
      .map(({ content, ttlSeconds }) => ({ name, type, content, ttlSeconds })),
  )
}

const suite = (name: string, missing: string | null, start: () => Promise<Bind>): unknown =>
  describe.skipIf(missing !== null)(missing === null ? `with ${name}` : `with ${name} (skipped: ${missing})`, () =>
    dnsProviderContract(`rfc2136 over ${name}`, async () => over(await start())),
  )

suite('BIND', bindMissing, () => startBind({ zone: ZONE, records: zoneLines }))
suite('Knot', knotMissing, () => startKnot({ zone: ZONE, records: zoneLines, algorithm: 'hmac-sha512' }))
