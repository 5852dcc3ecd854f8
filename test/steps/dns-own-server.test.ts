import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { buildWorld } from '../../src/playbook/world.ts'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import { lowerTtlKind } from '../../src/steps/lower-ttl.ts'
import type { World } from '../../src/steps/world.ts'
import { perform, TestRun, takeBack } from '../fakes/step-run.ts'
import { type Bind, type BindOptions, bindMissing, startBind } from '../servers/bind.ts'
import { knotMissing, startKnot } from '../servers/knot.ts'
import { stepOf } from './dns-world.ts'

const ZONE = 'shop.example'
const RECORDS = ['@ 3600 A 203.0.113.10', 'www 600 CNAME @', '*.eu 300 A 203.0.113.10', 'blog 300 A 192.0.2.80', '@ 300 MX 0 .']
const NAMES = [ZONE, `www.${ZONE}`, `any.eu.${ZONE}`, `blog.${ZONE}`, `v6.${ZONE}`]

const playbook = (server: Bind): string => `name: shop
old: {}
new: {}
dns:
  provider: rfc2136
  zone: ${ZONE}
  server: ${server.endpoint}
  key: { name: ${server.key.name}, algorithm: ${server.key.algorithm}, secret: "\${DNS_KEY}" }
  nameservers: [${server.endpoint}]
  records:
    - { name: ${ZONE}, type: A, to: 198.51.100.20 }
    - { name: www.${ZONE}, type: CNAME, to: ${ZONE} }
    - { name: "*.eu.${ZONE}", type: A, to: 198.51.100.20 }
    - { name: v6.${ZONE}, type: AAAA, to: "2001:db8::20" }
`

function suite(name: string, missing: string | null, start: (options: BindOptions) => Promise<Bind>): void {
  const title = `a playbook for a zone on ${name}`
  describe.skipIf(missing !== null)(missing === null ? title : `${title} (skipped: ${missing})`, () => {
    let endings: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const end of endings.reverse()) await end()
      endings = []
    })
    const begin = async (): Promise<{ server: Bind; world: World }> => {
      const server = await start({ zone: ZONE, records: RECORDS })
      endings.push(() => server.stop())
      const parsed = parsePlaybook(playbook(server), 'shop.yml', { DNS_KEY: server.key.secret.reveal() })
      const world = await buildWorld(parsed, { clock: systemClock })
      endings.push(() => world.close())
      return { server, world }
    }
    const published = async ({ resolver }: Bind): Promise<readonly string[]> => {
      const questions = NAMES.flatMap((each) => (['A', 'AAAA', 'CNAME', 'MX'] as const).map((type) => ({ each, type })))
      const answers = await Promise.all(
        questions.map(async ({ each, type }) =>
          (await resolver.query(each, type)).records.filter((record) => record.name === each && record.type === type),
        ),
      )
      return answers.flat().map((record) => `${record.name} ${record.type} ${record.content} ${record.ttlSeconds}`)
    }

    it('lowers, shows, moves and takes back its own records, and no other', async () => {
      const { server, world } = await begin()
      const before = await published(server)
      const run = new TestRun('/nowhere', systemClock)
      const [lower, cutover] = [stepOf(lowerTtlKind, world), stepOf(cutoverDnsKind, world)]
      expect((await lower.check(run)).map(({ code }) => code)).toEqual(['dns-ready'])
      expect((await cutover.check(run)).filter(({ severity }) => severity !== 'info')).toEqual([])
      expect(await published(server)).toEqual(before)
      const lowered = await perform(lower, run)
      expect(await lower.verify(run)).toEqual([])
      const moved = await perform(cutover, run)
      expect(moved.map((change) => cutover.describe(cutover.change.parse(change)))).toEqual([
        [
          `± MODIFY A ${ZONE} 203.0.113.10 ttl=60 → 198.51.100.20 ttl=60`,
          `± MODIFY A *.eu.${ZONE} 203.0.113.10 ttl=60 → 198.51.100.20 ttl=60`,
          `+ CREATE AAAA v6.${ZONE} 2001:db8::20 ttl=60`,
        ].join('\n'),
      ])
      expect(await published(server)).toEqual([
        `${ZONE} A 198.51.100.20 60`,
        expect.stringMatching(/^shop\.example MX 0 /),
        `www.${ZONE} CNAME ${ZONE} 60`,
        `any.eu.${ZONE} A 198.51.100.20 60`,
        `blog.${ZONE} A 192.0.2.80 300`,
        `v6.${ZONE} AAAA 2001:db8::20 60`,
      ])
      expect((await cutover.verify(run)).filter(({ severity }) => severity === 'error')).toEqual([])
      expect([await lower.plan(run), await cutover.plan(run)]).toEqual([[], []])
      await takeBack(cutover, moved, run)
      await takeBack(lower, lowered, run)
      expect(await published(server)).toEqual(before)
    })
  })
}

suite('BIND', bindMissing, startBind)
suite('Knot', knotMissing, startKnot)
