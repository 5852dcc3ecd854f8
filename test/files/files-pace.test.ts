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
import { startWeb } from '../servers/web.ts'

const FILES = 1500
/** From this one on the host holds back what it is asked for until the shop was found to be slow. */
const HELD_FROM = 200
const QUIET_MS = 5
/** What each file that is being read adds to the time of the shop's page; no more than six times. */
const BURDEN_MS = 60

const isSlowest = (event: EventBody): boolean => event.event === 'note' && event.message.includes('copying 1 file at a time')

/** Reads as slowly as a disk does, and counts how many reads are under way. */
class SlowFiles extends MemoryFiles {
  active = 0
  readonly seen: number[] = []
  held: () => Promise<unknown> = async () => undefined

  override async read(path: string, options?: ReadOptions): Promise<Readable> {
    this.active += 1
    this.seen.push(this.active)
    if (this.seen.length > HELD_FROM) await this.held()
    await systemClock.sleep(2)
    this.active -= 1
    return super.read(path, options)
  }
}

it('files are fetched from a shop that answers slowly one at a time, and it is said', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-files-pace-'))
  const host = new SlowFiles()
  for (let index = 0; index < FILES; index += 1) host.put(`f${index}`, `content ${index}`)
  const clock = new PageClock()
  const web = await startWeb(
    (_request, response) => {
      void clock.spend(QUIET_MS + Math.min(6, host.active) * BURDEN_MS).then(() => response.end('<h1>Shop</h1>'))
    },
    undefined,
    '127.0.47.7',
  )
  const store = FileStore.open(directory, directly)
  try {
    const run = new TestRun(directory, clock)
    // However fast this machine is, the copy lasts until its effect was measured.
    host.held = () => vi.waitUntil(() => run.events.some(isSlowest), { timeout: 60_000, interval: 5 })
    const world = testWorld({ old: { files: host, site: web.url } })
    await atOldShopsPace({ run, world, mode: 100, bytes: 2 ** 30, everyMs: 10, ...FILES_PACE }, (throttle) =>
      copyToStore({ host, store, wanted: choiceOf(undefined), totalBytes: 0, throttle }, run),
    )
    expect(Math.max(...host.seen.slice(0, HELD_FROM))).toBeGreaterThan(100)
    // One file at a time costs the shop's page 60 ms, two cost 120: more than its limit.
    const last = host.seen.slice(-200)
    expect(last.reduce((sum, each) => sum + each, 0) / last.length).toBeLessThan(2.5)
    const notes = run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
    expect(notes.join('\n')).toMatch(/the old shop answers in \d+ ms instead of \d+ ms: copying 1 file at a time/)
    await store.complete()
    expect(store.marked()?.files).toBe(FILES)
  } finally {
    store.close()
    await web.close()
    await rm(directory, { recursive: true, force: true })
  }
})
