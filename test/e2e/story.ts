import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buy, buyOneByOne, buyOnNew, type Receipt, withReceipts } from './customers.ts'
import { contentOf, everything, type StoryEngine } from './engine.ts'
import { type MigrateRun, story, type WireEvent } from './migrate-process.ts'
import { CONFIG_OLD } from './site.ts'
import { NEW_ADDRESS, STEPS, type StoryHosts, startStory, ZONE } from './story-hosts.ts'

/** What the newspaper brought to the old host while DNS spread (design.md, "The story"). */
const STRAYS = 1393
/** Of them, those who still come when DNS has moved. */
const STRAGGLERS = 24
const HEADROOM = 1500
/**
 * The founder moves DNS when the rush is over, which this file says: what is left of the headroom would else be little beside it, and the
 * watch would move the old host's numbers on.
 */
const CALM = 'the-rush-is-over'
const UNTIL_CALM = `  - run: { command: "until test -e ${CALM}; do sleep 0.05; done" }\n`
/** A picture that a customer uploads to the old host: before the cutover, and after it. */
const UPLOAD = '<svg xmlns="http://www.w3.org/2000/svg"><title>mine</title></svg>'

const CHANGING = [
  'lower-ttl',
  'snapshot-files',
  'snapshot-database',
  'restore-files',
  'restore-database',
  'bump-identities',
  'rewrite-config',
  'cutover-dns',
]

const isDone = (step: string) => (event: WireEvent) => event.event === 'done' && event.step === step

/** The story of design.md on real servers, told once for each engine. */
export function tellStory(engine: StoryEngine, skipped: string | null): void {
  describe.skipIf(skipped !== null)(
    `the story on ${engine.name}${skipped === null ? '' : ` (skipped: ${skipped})`}`,
    { timeout: 300_000 },
    () => {
      let hosts: StoryHosts
      let run: MigrateRun
      let strays: Receipt[] = []
      let births: Receipt[] = []
      beforeAll(async () => {
        hosts = await startStory(engine)
      })
      afterAll(() => hosts?.stop())

      it('plans it all and writes nothing, with accounts that could not write', async () => {
        const before = { world: await hosts.picture(), old: await everything(hosts.old), new: await everything(hosts.new) }
        await hosts.write({ readOnly: true })
        const powerless = await hosts.run('run', '--dry-run')
        const refused = await hosts.run('check')
        await hosts.write()
        const dry = await hosts.run('run', '--dry-run')
        expect(dry.exit, story(dry)).toBe(0)
        expect(
          [...powerless.events, ...dry.events].filter((event) => event.event === 'change' && event.phase !== 'planned'),
        ).toEqual([])
        expect(refused.exit, story(refused)).toBe(1)
        for (const plan of [powerless, dry]) {
          const steps = new Set(plan.events.filter((event) => event.event === 'change').map((event) => event.step))
          for (const step of CHANGING) expect(steps, story(plan)).toContain(step)
        }
        const check = await hosts.run('check')
        expect(check.exit, story(check)).toBe(0)
        expect({ world: await hosts.picture(), old: await everything(hosts.old), new: await everything(hosts.new) }).toEqual(
          before,
        )
      })

      it('moves the shop while customers keep buying on both hosts', async () => {
        await hosts.write({ steps: STEPS.replace('  - cutover-dns\n', `${UNTIL_CALM}  - cutover-dns\n`) })
        const migrate = hosts.start('run', '--yes')
        let running = true
        const shopping = buyOnNew(hosts, () => running)
        const customers = (async () => {
          await migrate.until(isDone('bump-identities'))
          await writeFile(join(hosts.oldSite, 'images/early.svg'), UPLOAD)
          strays = await buy(hosts.old, STRAYS - STRAGGLERS, 'early')
          await writeFile(join(dirname(hosts.playbook), CALM), '')
          await migrate.until(isDone('cutover-dns'))
          await writeFile(join(hosts.oldSite, 'images/late.svg'), UPLOAD)
          strays.push(...(await buyOneByOne(hosts.old, STRAGGLERS, 'late')))
        })()
        run = await migrate.ended
        running = false
        const [bought, fulfilled] = await Promise.allSettled([shopping, customers])
        expect(run.exit, story(run)).toBe(0)
        expect(fulfilled.status).toBe('fulfilled')
        if (bought.status === 'fulfilled') births = bought.value
        expect(births.length).toBeGreaterThan(0)
      })

      it(`keeps the ids of all ${STRAYS}, and the right customer and content of each`, async () => {
        expect(strays).toHaveLength(STRAYS)
        await withReceipts(hosts.new, [...strays, ...births])
        for (const table of ['Customers', 'Orders', 'OrderItems', 'OrderLog', 'Products'] as const) {
          const there = new Set(await contentOf(hosts.new, table))
          expect((await contentOf(hosts.old, table)).filter((row) => !there.has(row))).toEqual([])
        }
      })

      it('reports the headroom used and left, and a complete proof', () => {
        const reconciled = run.events.findLast((event) => event.event === 'reconciled')
        const headroom = reconciled?.headroom as readonly Record<string, string>[]
        expect(
          headroom.find((each) => each.column?.toLowerCase() === 'orderid' && each.table?.toLowerCase().endsWith('orders')),
        ).toMatchObject({
          raisedBy: String(HEADROOM),
          used: String(STRAYS),
          left: String(HEADROOM - STRAYS),
        })
        const proof = reconciled?.proof as Record<string, number>
        expect(proof.unaccounted).toBe(0)
        expect(proof.accounted).toBe(proof.rows)
      })

      it('carries nothing the second time', async () => {
        const before = await everything(hosts.new)
        const again = await hosts.run('reconcile')
        expect(again.exit, story(again)).toBe(0)
        expect(again.events.filter((event) => event.event === 'change')).toEqual([])
        const proven = again.events.find((event) => event.event === 'reconciled')
        expect(proven).toMatchObject({ tables: {}, proof: { unaccounted: 0 } })
        expect(await everything(hosts.new)).toEqual(before)
      })

      it('moved the site, rewrote its config, changed only the records of the playbook and wrote a report', async () => {
        expect(await readFile(join(hosts.newSite, 'web.config'), 'utf8')).toBe(CONFIG_OLD.replace('old-sql', 'new-sql'))
        expect(await readFile(join(hosts.newSite, 'images/shirt-7.svg'), 'utf8')).toBe(
          await readFile(join(hosts.oldSite, 'images/shirt-7.svg'), 'utf8'),
        )
        for (const upload of ['images/early.svg', 'images/late.svg'])
          expect(await readFile(join(hosts.newSite, upload), 'utf8')).toBe(UPLOAD)
        expect(hosts.zone.records().map((record) => [record.name, record.content])).toEqual([
          [ZONE, NEW_ADDRESS],
          [`www.${ZONE}`, ZONE],
          [`mail.${ZONE}`, '127.0.32.9'],
        ])
        const report = await hosts.run('report')
        expect(report.exit, story(report)).toBe(0)
        expect((await hosts.run('status')).exit).toBe(0)
      })
    },
  )
}
