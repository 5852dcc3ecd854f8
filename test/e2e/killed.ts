import { randomInt } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buyOnNew, buyOnOld, type Receipt, withReceipts } from './customers.ts'
import { contentOf, everything, type StoryEngine } from './engine.ts'
import { type MigrateProcess, type MigrateRun, story, type WireEvent } from './migrate-process.ts'
import { CONFIG_OLD } from './site.ts'
import { NEW_ADDRESS, type StoryHosts, startStory, ZONE } from './story-hosts.ts'

const STEPS = `
  - check
  - lower-ttl: { ttl: 2s }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities
  - rewrite-config:
      - { file: web.config, replace: { "old-sql.example.com": "new-sql.example.com" } }
  - smoke-test: { paths: ["/", "/checkout"], assets: true }
  - cutover-dns
  - watch-propagation: { resolvers: ["\${RESOLVER}"], quiet: 1s, every: 200ms, orders: Orders }
  - reconcile
  - report
`
const NAMES = [
  'check',
  'lower-ttl',
  'snapshot-files',
  'snapshot-database',
  'restore-files',
  'restore-database',
  'bump-identities',
  'rewrite-config',
  'smoke-test',
  'cutover-dns',
  'watch-propagation',
  'reconcile',
  'report',
] as const

/** Orders on the old host, at most: the playbook's headroom is 1,500. */
const MOST_STRAYS = 1200

/** When a process dies: so long after the `nth` line that it says of `step`, or of anything when that is `null`. */
interface Moment {
  readonly step: string | null
  readonly nth: number
  readonly delayMs: number
}

/** The same numbers for the same seed (Tommy Ettinger's mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** In these a kill may fall between two effects on the new host or in DNS. */
const TWICE: ReadonlySet<string> = new Set([
  'restore-files',
  'restore-database',
  'bump-identities',
  'cutover-dns',
  'watch-propagation',
  'reconcile',
])

/** One in every step, early or late, two where it hurts most, and some that may fall anywhere: into the start, the checks, a resumed step. */
function momentsFrom(random: (below: number) => number): readonly Moment[] {
  return NAMES.flatMap((step, index) => {
    const early = { step, nth: 1 + random(3), delayMs: random(15) }
    const late = { step, nth: 1 + random(8), delayMs: random(60) }
    return [
      ...(index % 4 === 0 ? [{ step: null, nth: 1 + random(25), delayMs: random(60) }] : []),
      ...(TWICE.has(step) ? [early, late] : [random(2) === 0 ? early : late]),
    ]
  })
}

/** Resolves when the moment has come, at the latest when the process says that the step is done. */
async function comes(moment: Moment, migrate: MigrateProcess): Promise<void> {
  const lines = new Set<WireEvent>()
  let begun = moment.step === null
  await migrate.until((event) => {
    const ours = moment.step === null || event.step === moment.step
    // What the checks say of a step before the run begins is not its beginning.
    if (ours && event.event === 'started') begun = true
    if (ours && begun) lines.add(event)
    return lines.size >= moment.nth || (ours && begun && moment.step !== null && event.event === 'done')
  })
  await wait(moment.delayMs)
}

/** Runs and kills at each moment; then to the end. A run that has ended before its moment came is the next one's beginning. */
async function killAt(
  hosts: StoryHosts,
  moments: readonly Moment[],
  killed: (moment: Moment, run: MigrateRun) => void,
): Promise<MigrateRun> {
  for (const moment of moments) {
    const migrate = hosts.start('run', '--yes')
    await comes(moment, migrate).catch(() => undefined)
    migrate.kill('SIGKILL')
    killed(moment, await migrate.ended)
  }
  return await hosts.run('run', '--yes')
}

async function filesOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name)
    files.set(name, (await stat(path)).isDirectory() ? 'folder' : await readFile(path, 'base64'))
  }
  return files
}

/** The move of the shop by a process that is killed again and again, wherever it happens to be. */
export function tellKilled(engine: StoryEngine, skipped: string | null): void {
  const seed = Number(process.env.MIGRATE_TEST_SEED ?? randomInt(1_000_000))
  const title = `killed anywhere on ${engine.name}, seed ${seed}${skipped === null ? '' : ` (skipped: ${skipped})`}`
  describe.skipIf(skipped !== null)(title, { timeout: 900_000 }, () => {
    let hosts: StoryHosts
    let last: MigrateRun
    let strays: Receipt[] = []
    let births: Receipt[] = []
    let reconciled: WireEvent | undefined
    beforeAll(async () => {
      hosts = await startStory(engine)
      await hosts.write({ steps: STEPS })
    })
    afterAll(() => hosts?.stop())

    it('comes to its end however often it dies, while customers buy on both hosts', async () => {
      const moments = momentsFrom(randomFrom(seed))
      const lastWatch = moments.findLast((moment) => moment.step === 'watch-propagation')
      let [running, coming] = [true, true]
      const shopping = Promise.allSettled([buyOnOld(hosts, () => running && coming, MOST_STRAYS), buyOnNew(hosts, () => running)])
      const deaths: string[] = []
      try {
        last = await killAt(hosts, moments, (moment, run) => {
          // 0: the whole run was over before its moment came. Anything else is a failure of its own.
          expect([null, 0], `${JSON.stringify(moment)} ${story(run)}`).toContain(run.exit)
          if (run.exit === null) deaths.push(`${moment.step} ${moment.nth}`)
          if (moment === lastWatch) coming = false
          reconciled = run.events.findLast((event) => event.event === 'reconciled') ?? reconciled
        })
        reconciled = last.events.findLast((event) => event.event === 'reconciled') ?? reconciled
      } finally {
        running = false
      }
      const [old, fresh] = await shopping
      if (old.status === 'rejected') throw old.reason
      if (fresh.status === 'rejected') throw fresh.reason
      strays = old.value
      births = fresh.value
      expect(last.exit, story(last)).toBe(0)
      expect(deaths.length, deaths.join(', ')).toBeGreaterThanOrEqual(14)
      expect(strays.length).toBeGreaterThan(50)
      expect(births.length).toBeGreaterThan(0)
    })

    it('has every receipt on the new host exactly once, with its customer and sum', async () => {
      await withReceipts(hosts.new, [...strays, ...births])
      for (const table of ['Customers', 'Orders', 'OrderItems', 'OrderLog', 'Products'] as const) {
        const there = await contentOf(hosts.new, table)
        expect(new Set(there).size).toBe(there.length)
        const known = new Set(there)
        expect((await contentOf(hosts.old, table)).filter((row) => !known.has(row))).toEqual([])
      }
      const items = await hosts.new.rows('OrderItems')
      const orders = await hosts.new.rows('Orders')
      expect(items).toHaveLength(orders.length * 2)
      // One line in the log for each order, whoever wrote it: the shop's trigger, or the carried row of the old host.
      expect(await hosts.new.rows('OrderLog')).toHaveLength(orders.length)
    })

    it('has every file as it was, the config rewritten once, and the records of the playbook', async () => {
      const [before, after] = [await filesOf(hosts.oldSite), await filesOf(hosts.newSite)]
      expect([...after.keys()]).toEqual([...before.keys()])
      expect([...after].filter(([name, content]) => before.get(name) !== content).map(([name]) => name)).toEqual(['web.config'])
      expect(await readFile(join(hosts.newSite, 'web.config'), 'utf8')).toBe(CONFIG_OLD.replace('old-sql', 'new-sql'))
      expect(hosts.zone.records().map((record) => [record.name, record.content])).toEqual([
        [ZONE, NEW_ADDRESS],
        [`www.${ZONE}`, ZONE],
        [`mail.${ZONE}`, '127.0.32.9'],
      ])
    })

    it('has proven it completely, and a second reconcile writes nothing', async () => {
      const proof = reconciled?.proof as Record<string, number>
      expect(proof.rows).toBeGreaterThan(0)
      expect(proof.accounted).toBe(proof.rows)
      expect(proof.unaccounted).toBe(0)
      const before = await everything(hosts.new)
      const again = await hosts.run('reconcile')
      expect(again.exit, story(again)).toBe(0)
      expect(again.events.filter((event) => event.event === 'change')).toEqual([])
      expect(await everything(hosts.new)).toEqual(before)
    })
  })
}
