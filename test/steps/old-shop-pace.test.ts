import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { copyTables } from '../../src/databases/snapshot/copy.ts'
import { rowsOf } from '../../src/databases/snapshot/manifest.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import { atOldShopsPace, type PaceOptions } from '../../src/steps/old-shop-pace.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'
import { startWeb, type WebServer } from '../servers/web.ts'

const READERS = 6
const GIGABYTE = 2 ** 30
const QUIET_MS = 5
/** What each reader at work adds to the time of the shop's page. */
const BURDEN_MS = 60

describe('a copy from a shop that customers use', () => {
  let directory: string
  let web: WebServer
  let active: number
  /** Readers at work at each batch, in order. */
  let seen: number[]
  let hosts: string[]
  /** 0 for a host on which a copy costs customers nothing. */
  let burdenMs: number
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-pace-'))
    active = 0
    seen = []
    hosts = []
    burdenMs = BURDEN_MS
    web = await startWeb(
      (request, response) => {
        hosts.push(request.headers.host ?? '')
        void systemClock.sleep(QUIET_MS + active * burdenMs).then(() => response.end('<h1>Shop</h1>'))
      },
      undefined,
      '127.0.31.7',
    )
  })
  afterEach(async () => {
    await web.close()
    await rm(directory, { recursive: true, force: true })
  })

  const copy = async (change: Partial<PaceOptions> = {}, site: URL | null = web.url): Promise<TestRun> => {
    const shop = new MemoryShop({ batchRows: 20, consistent: false })
    await shop.createShop()
    await shop.insertWords(8000)
    const database = shop.open({
      onCall: async (operation, when) => {
        if (operation !== 'rows') return
        if (when === 'after') return
        active += 1
        seen.push(active)
        // The work that the old host does for a batch.
        await systemClock.sleep(4)
        active -= 1
      },
    })
    const schema = await database.schema()
    const words = schema.tables.filter((table) => table.name.name === 'words')
    const run = new TestRun(directory)
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
        size: () => ({ rows: 8000, bytes: GIGABYTE }),
        connections: READERS,
        blockFormat: undefined,
        throttle,
        quietMs: 60_000,
        signal: run.signal,
        clock: systemClock,
        onRows: () => undefined,
      }),
    )
    expect(rowsOf(await store.manifest(), 'words')).toBe(8000)
    return run
  }
  const notes = (run: TestRun): readonly string[] =>
    run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
  const average = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length

  it('uses fewer connections as soon as its page answers more slowly, and says so', async () => {
    const run = await copy()
    expect(Math.max(...seen)).toBeGreaterThan(2)
    // One reader costs the shop's page 60 ms, two cost 120: more than its limit.
    expect(average(seen.slice(seen.length >> 1))).toBeLessThan(2.5)
    expect(notes(run).join('\n')).toMatch(/the old shop answers in \d+ ms instead of \d+ ms: copying with [123] connections?/)
    expect(new Set(hosts)).toEqual(new Set([web.url.host]))
  })

  it('goes on with all of them where customers don’t notice', async () => {
    burdenMs = 0
    await copy({ mode: 10_000 })
    expect(average(seen.slice(seen.length >> 1))).toBeGreaterThan(READERS / 2)
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
