import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { copyTables } from '../../src/databases/snapshot/copy.ts'
import { rowsOf } from '../../src/databases/snapshot/manifest.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import type { EventBody } from '../../src/run/events.ts'
import { directly } from '../../src/run/step.ts'
import { atOldShopsPace, type PaceOptions } from '../../src/steps/old-shop-pace.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { PageClock } from '../fakes/page-clock.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'
import { startWeb, type WebServer } from '../servers/web.ts'

const READERS = 6
const ROWS = 3000
const GIGABYTE = 2 ** 30
const QUIET_MS = 5
/** What each reader at work adds to the time of the shop's page. */
const BURDEN_MS = 60

/** From this one on the copy waits until the shop was found to be slow. */
const HELD_BATCH = 60
const isSlowest = (event: EventBody): boolean =>
  event.event === 'note' && event.message.includes('instead of') && event.message.includes('with 1 connection')

describe('a copy from a shop that customers use', () => {
  let directory: string
  let web: WebServer
  const clock = new PageClock()
  let active: number
  /** Most readers at work at a time since the page was asked for last. */
  let peak: number
  /** Readers at work at each batch, in order. */
  let seen: number[]
  let hosts: string[]
  /** 0 for a host on which a copy costs customers nothing. */
  let burdenMs: number
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-pace-'))
    active = 0
    peak = 0
    seen = []
    hosts = []
    burdenMs = BURDEN_MS
    web = await startWeb(
      (request, response) => {
        hosts.push(request.headers.host ?? '')
        void clock.spend(QUIET_MS + busiest() * burdenMs).then(() => response.end('<h1>Shop</h1>'))
      },
      undefined,
      '127.0.31.7',
    )
  })
  afterEach(async () => {
    await web.close()
    await rm(directory, { recursive: true, force: true })
  })

  const busiest = (): number => {
    const most = Math.max(peak, active)
    peak = active
    return most
  }
  const copy = async (
    { hold = false, ...change }: Partial<PaceOptions> & { readonly hold?: boolean } = {},
    site: URL | null = web.url,
  ): Promise<TestRun> => {
    const run = new TestRun(directory, clock)
    const shop = new MemoryShop({ batchRows: 1, consistent: false })
    await shop.createShop()
    await shop.insertWords(ROWS)
    const database = shop.open({
      onCall: async (operation, when) => {
        if (operation !== 'rows') return
        if (when === 'after') return
        active += 1
        peak = Math.max(peak, active)
        seen.push(active)
        // However fast this machine is, the copy lasts until its effect was measured.
        if (hold && seen.length === HELD_BATCH)
          await vi.waitUntil(() => run.events.some(isSlowest), { timeout: 60_000, interval: 5 })
        // The work that the old host does for a batch.
        await systemClock.sleep(4)
        active -= 1
      },
    })
    const schema = await database.schema()
    const words = schema.tables.filter((table) => table.name.name === 'words')
    const world = testWorld({ old: { database, ...(site === null ? {} : { site }) } })
    const store = new SnapshotStore(directory, directly)
    await store.begin(schema, 'memory', [])
    const options: PaceOptions = { run, world, mode: 'auto', readers: READERS, bytes: GIGABYTE, everyMs: 10, ...change }
    await atOldShopsPace(options, (throttle) =>
      copyTables({
        database,
        store,
        schema,
        tables: words,
        size: () => ({ rows: ROWS, bytes: GIGABYTE }),
        connections: READERS,
        blockFormat: undefined,
        throttle,
        quietMs: 60_000,
        signal: run.signal,
        clock: systemClock,
        onRows: () => undefined,
      }),
    )
    expect(rowsOf(await store.manifest(), 'words')).toBe(ROWS)
    return run
  }
  const notes = (run: TestRun): readonly string[] =>
    run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
  const lastThird = <T>(items: readonly T[]): readonly T[] => items.slice(Math.floor((items.length * 2) / 3))
  const average = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length

  it('uses fewer connections as soon as its page answers more slowly, and says so', async () => {
    const run = await copy({ mode: 100, hold: true })
    // One reader costs the shop's page 60 ms, two cost 120: more than its limit.
    // Queries that had begun by then went on to their end.
    expect(average(lastThird(seen))).toBeLessThan(2.5)
    expect(notes(run).join('\n')).toMatch(/the old shop answers in \d+ ms instead of \d+ ms: copying with 1 connection/)
    expect(new Set(hosts)).toEqual(new Set([web.url.host]))
  })

  it('goes on with all of them where customers don’t notice', async () => {
    burdenMs = 0
    await copy({ mode: 10_000 })
    expect(Math.max(...lastThird(seen))).toBeGreaterThan(READERS / 2)
  })

  it('never asks for the page when it was told not to, or when the copy is over before it could', async () => {
    await copy({ mode: 'off' })
    expect(hosts).toEqual([])
    await rm(directory, { recursive: true, force: true })
    await copy({ bytes: 1000 })
    expect(hosts).toEqual([])
  })

  it('follows the database’s own answers where the playbook gives no site, or the site doesn’t answer', async () => {
    expect(notes(await copy({}, null))[0]).toMatch(/^the old database answers in \d+ ms;/)
    await rm(directory, { recursive: true, force: true })
    const away = web.url
    await web.close()
    const told = notes(await copy({}, away))
    expect(told[0]).toContain("can't be reached")
    expect(told[1]).toMatch(/^the old database answers/)
  })
})
