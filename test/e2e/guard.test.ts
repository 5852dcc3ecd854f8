import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isoTime, systemClock } from '../../src/base/clock.ts'
import { reportOf } from '../../src/report/index.ts'
import { readStatus } from '../../src/run/status.ts'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { buy, type Receipt, withReceipts } from './customers.ts'
import { everything } from './engine.ts'
import { type MigrateProcess, type MigrateRun, story, type WireEvent } from './migrate-process.ts'
import { endOf, type Scene, startScene, type Trial } from './scene.ts'
import { NEW_ADDRESS, OLD_ADDRESS, storyMissing, ZONE } from './story-hosts.ts'

/** `after`: how long somebody has who wants to be there between the first failure and the decision. */
const steps = (failback: 'auto' | 'offer', after: string): string => `
  - snapshot-database
  - restore-database
  - bump-identities
  - cutover-dns
  - - watch-propagation: { resolvers: ["\${RESOLVER}"], quiet: 10m, every: 500ms, orders: Orders }
    - guard: { failback: ${failback}, every: 200ms, after: ${after}, looks: 3, well: 5s, answer: 10s }
  - reconcile
`

const found = (run: MigrateRun): readonly unknown[] =>
  run.events.filter((event) => event.event === 'finding').map((event) => event.code)
const isWell = (event: WireEvent): boolean => event.event === 'guard' && event.state === 'well'

describe.skipIf(storyMissing !== null)(
  `the new host dies after the cutover${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`,
  { timeout: 300_000 },
  () => {
    let scene: Scene
    let site: FaultProxy
    beforeAll(async () => {
      scene = await startScene()
      site = await startFaultProxy(endOf(siteOf('new')))
    }, 300_000)
    afterAll(async () => {
      await site?.close()
      await scene?.stop()
    })

    const siteOf = (side: 'old' | 'new'): string => {
      const [, url] = new RegExp(`\\n${side}:[^]*?\\n  site: (\\S+)`).exec(scene.hosts.text()) ?? []
      return url ?? ''
    }
    const addresses = (): readonly string[] =>
      scene.hosts.zone.records().flatMap(({ name, type, content }) => (name === ZONE && type === 'A' ? [content] : []))
    const stateOf = ({ folder }: Trial): string => join(folder, '.migrate', 'story')
    const journalOf = (trial: Trial): Promise<string> => readFile(join(stateOf(trial), 'journal.jsonl'), 'utf8')

    /** Moves the shop and waits until the guard is at work and customers have bought on the new host. */
    async function moved(name: string, failback: 'auto' | 'offer', after = '1s') {
      await writeFile(join(scene.hosts.newSite, 'index.html'), '<h1>Blank Label</h1>')
      const trial = await scene.trial(name, { steps: steps(failback, after) })
      const told = `notify:\n  - { name: founder, command: "cat >>told.txt" }\n`
      await trial.rewrite((text) =>
        text.replace(siteOf('new'), `http://${site.host}:${site.port}`).replace('\nsite:', `\n${told}site:`),
      )
      const migrate = trial.start({}, 'run', '--yes')
      await migrate.until(isWell)
      expect(addresses()).toEqual([NEW_ADDRESS])
      const births = await buy(scene.hosts.new, 12, `${name}-on-new`)
      await seenAnew(migrate)
      return { trial, migrate, births }
    }

    /** The guard has begun a look since, and ended it. */
    async function seenAnew(migrate: MigrateProcess): Promise<void> {
      const now = isoTime(systemClock.now())
      const looks = new Set<WireEvent>()
      await migrate.until((event) => isWell(event) && event.time > now && looks.add(event).size > 1)
    }

    const largest = (receipts: readonly Receipt[]): number => Math.max(...receipts.map(({ id }) => Number(id)))

    it('goes back at once with `failback: auto`, though the database is dead too, and finishes when that one is up', async () => {
      const { trial, migrate, births } = await moved('dead', 'auto')
      await Promise.all([site.down(), scene.lines.newDatabase.down()])
      const died = await migrate.ended
      expect(died.exit, story(died)).toBe(1)
      expect(addresses()).toEqual([OLD_ADDRESS])
      expect(found(died)).toEqual(expect.arrayContaining(['new-host-failing', 'carry-back-due']))
      const heard = (): Promise<string> => readFile(join(trial.folder, 'told.txt'), 'utf8')
      expect(await heard()).toContain('What they ordered on the new host isn’t on the old one yet')
      expect(died.events.filter((event) => event.event === 'finished')).toHaveLength(1)
      expect(died.events.at(-1)).toMatchObject({ event: 'finished', outcome: 'failed', exit: 1 })
      expect(await readStatus(stateOf(trial))).toMatchObject({
        cutOver: false,
        goingBack: { decision: 'back', by: 'guard', reason: expect.stringMatching(/^The new host has failed since/) },
      })

      // Customers buy on, and get no number that somebody got on the new host.
      const onOld = await buy(scene.hosts.old, 5, 'back-on-old')
      expect(Math.min(...onOld.map(({ id }) => Number(id)))).toBeGreaterThan(largest(births))

      await Promise.all([site.up(), scene.lines.newDatabase.up()])
      const finished = await trial.run()
      expect(finished.exit, story(finished)).toBe(1)
      expect(finished.events.find((event) => event.event === 'failed')).toMatchObject({ step: null, code: 'failback' })
      expect(await heard()).toMatch(/is on the old one now\.(?:.|\n)*What they ordered on the new host is on the old one too/)
      await withReceipts(scene.hosts.old, [...births, ...onOld])
      expect(largest(await buy(scene.hosts.old, 1, 'later'))).toBeGreaterThan(largest([...births, ...onOld]))

      // Done is done: nothing goes forward again.
      const again = await trial.run()
      expect(again.exit, story(again)).toBe(2)
      expect(again.events.find((event) => event.event === 'failed')).toMatchObject({ code: 'went-back' })
      expect((await journalOf(trial)).match(/"key":"going-back"/g)).toHaveLength(1)
      expect(await reportOf(stateOf(trial))).toContain('Decided to go back to the old host (guard)')
    })

    it('offers the way back where nobody can answer: exit 3, nothing changed, and `migrate rollback` does it', async () => {
      await scene.clear()
      const { trial, migrate, births } = await moved('offered', 'offer')
      const before = await everything(scene.hosts.old)
      await site.down()
      const offered = await migrate.ended
      expect(offered.exit, story(offered)).toBe(3)
      expect(offered.events.at(-1)).toMatchObject({ outcome: 'waiting' })
      expect(offered.events.find((event) => event.event === 'waiting')).toMatchObject({
        step: 'guard',
        hint: expect.stringContaining(`migrate rollback ${join(trial.folder, 'story.yml')}`),
      })
      expect(addresses()).toEqual([NEW_ADDRESS])
      expect(await everything(scene.hosts.old)).toEqual(before)

      const back = await trial.start({}, 'rollback', '--yes').ended
      expect(back.exit, story(back)).toBe(0)
      expect(back.events.filter((event) => event.event === 'finished')).toHaveLength(1)
      expect(addresses()).toEqual([OLD_ADDRESS])
      await withReceipts(scene.hosts.old, births)
      await site.up()
    })

    it('goes on where it is killed, before and after it has decided, and decides nothing anew', async () => {
      await scene.clear()
      const { trial, migrate, births } = await moved('killed', 'auto', '5s')
      await Promise.all([site.down(), scene.lines.newDatabase.down()])
      await migrate.until((event) => event.event === 'guard' && event.state === 'failing')
      migrate.kill('SIGKILL')
      await migrate.ended
      // With the new database dead no other step can begin.
      const second = trial.start({}, 'run', '--yes')
      await second.until((event) => event.event === 'failed' && event.code === 'failback')
      second.kill('SIGKILL')
      await second.ended
      // The new host is well again meanwhile: that changes nothing of the decision.
      await Promise.all([site.up(), scene.lines.newDatabase.up()])
      const third = trial.start({}, 'run', '--yes')
      await third.until((event) => event.event === 'change' && event.step === 'carry-back' && event.phase === 'applying')
      third.kill('SIGKILL')
      await third.ended
      expect(addresses()).toEqual([OLD_ADDRESS])
      const last = await trial.run()
      expect(last.exit, story(last)).toBe(1)
      expect(last.events.find((event) => event.event === 'failed')).toMatchObject({ step: null, code: 'failback' })
      expect(last.events.map((event) => event.step)).not.toContain('guard')
      await withReceipts(scene.hosts.old, births)
      expect(largest(await buy(scene.hosts.old, 1, 'after'))).toBeGreaterThan(largest(births))
      expect((await journalOf(trial)).match(/"key":"going-back"/g)).toHaveLength(1)
    })
  },
)
