import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { choiceOf } from '../../src/files/choice.ts'
import type { ReadOptions } from '../../src/files/port.ts'
import type { EventBody } from '../../src/run/events.ts'
import { directly } from '../../src/run/step.ts'
import { copyToStore, FILES_PACE } from '../../src/steps/file-fetch.ts'
import { FileStore } from '../../src/steps/file-store.ts'
import { atOldShopsPace } from '../../src/steps/old-shop-pace.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { PageClock } from '../fakes/page-clock.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'
import { startWeb, type WebServer } from '../servers/web.ts'
import { Carrying } from './carrying.ts'

const FILES = 3000
/** From this one on the host holds back what it is asked for until the shop was found to be slow. */
const HELD_FROM = 200
const QUIET_MS = 5
/** What each file that is being read adds to the time of the shop's page; no more than six times. */
const BURDEN_MS = 60

/**
 * One file at a time costs the shop's page 60 ms, two cost 120: more than its limit. Now and then more are tried, on a busy machine for longer;
 * without a pace it is more than 100.
 */
const FEW = 10

const isSlowest = (event: EventBody): boolean => event.event === 'note' && event.message.includes('copying 1 file at a time')

/** Makes a host read as slowly as a disk does, and counts how many reads are under way. */
class Slowly {
  active = 0
  readonly seen: number[] = []
  held: () => Promise<unknown> = async () => undefined

  constructor(host: MemoryFiles) {
    const read = host.read.bind(host)
    host.read = async (path: string, options?: ReadOptions): Promise<Readable> => {
      this.active += 1
      this.seen.push(this.active)
      if (this.seen.length > HELD_FROM) await this.held()
      await systemClock.sleep(2)
      this.active -= 1
      return read(path, options)
    }
  }

  /** Reads under way, one with the other, of the last so many. */
  lately(count: number): number {
    const last = this.seen.slice(-count)
    return last.reduce((sum, each) => sum + each, 0) / last.length
  }
}

const shopOn = (address: string, clock: PageClock, active: () => number): Promise<WebServer> =>
  startWeb(
    (_request, response) => {
      void clock.spend(QUIET_MS + Math.min(6, active()) * BURDEN_MS).then(() => response.end('<h1>Shop</h1>'))
    },
    undefined,
    address,
  )
const notesOf = (run: TestRun): readonly string[] =>
  run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
const SLOWED = /the old shop answers in \d+ ms instead of \d+ ms: copying 1 file at a time/

it('files are fetched from a shop that answers slowly one at a time, and it is said', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-files-pace-'))
  const host = new MemoryFiles()
  const slowly = new Slowly(host)
  for (let index = 0; index < FILES; index += 1) host.put(`f${index}`, `content ${index}`)
  const clock = new PageClock()
  const web = await shopOn('127.0.47.7', clock, () => slowly.active)
  const store = FileStore.open(directory, directly)
  try {
    const run = new TestRun(directory, clock)
    // However fast this machine is, the copy lasts until its effect was measured.
    slowly.held = () => vi.waitUntil(() => run.events.some(isSlowest), { timeout: 60_000, interval: 5 })
    const world = testWorld({ old: { files: host, site: web.url } })
    await atOldShopsPace({ run, world, mode: 100, bytes: 2 ** 30, everyMs: 10, ...FILES_PACE }, (throttle) =>
      copyToStore({ host, store, wanted: choiceOf(undefined), totalBytes: 0, throttle }, run),
    )
    expect(Math.max(...slowly.seen.slice(0, HELD_FROM))).toBeGreaterThan(100)
    expect(slowly.lately(200)).toBeLessThan(FEW)
    expect(notesOf(run).join('\n')).toMatch(SLOWED)
    await store.complete()
    expect(store.marked()?.files).toBe(FILES)
  } finally {
    store.close()
    await web.close()
    await rm(directory, { recursive: true, force: true })
  }
})

/** Looks at the shop far more often than the step would. */
class ImpatientClock extends PageClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(ms >= 1000 ? 10 : ms, signal)
  }
}

it('late files are carried from a shop that answers slowly one at a time, and what it took before is measured once for all', async () => {
  const clock = new ImpatientClock()
  let active = (): number => 0
  const web = await shopOn('127.0.47.9', clock, () => active())
  const both = await Carrying.begin({ 'index.html': 'old' }, {}, { site: web.url, clock })
  try {
    const slowly = new Slowly(both.old)
    active = () => slowly.active
    slowly.held = () => vi.waitUntil(() => both.run.events.some(isSlowest), { timeout: 60_000, interval: 5 })
    // Each change brings 1,000 of them at most: less than would be worth a measurement.
    for (let index = 0; index < 2100; index += 1) both.old.put(`uploads/${index}`, `${index}`.padEnd(2048, 'x'))
    const { planned, codes } = await both.pass(both.step({ throttle: '100ms' }))
    expect(planned.length).toBeGreaterThan(2)
    expect(codes).toEqual(['files-carried'])
    expect(both.fresh.fingerprint()).toBe(both.old.fingerprint())
    expect(Math.max(...slowly.seen.slice(0, HELD_FROM))).toBeGreaterThan(100)
    expect(slowly.lately(150)).toBeLessThan(FEW)
    const notes = notesOf(both.run)
    expect(notes.filter((note) => note.includes('the copy slows down when'))).toHaveLength(1)
    expect(notes.join('\n')).toMatch(SLOWED)
  } finally {
    both.end()
    await web.close()
  }
})
