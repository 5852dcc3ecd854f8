import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FileEntry, FileHost } from '../../src/files/port.ts'
import type { EventBody } from '../../src/run/events.ts'
import { checkKind } from '../../src/steps/check.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { GeneratedFiles } from '../fakes/generated-files.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { PageClock } from '../fakes/page-clock.ts'
import { TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { startWeb, type WebServer } from '../servers/web.ts'
import { Carrying } from './carrying.ts'

const FILES = 5200
/** At this entry the host gives nothing more until it was said that the shop is slow. */
const HELD = 4500
const QUIET_MS = 5
/** What a listing under way adds to the time of the shop's page. */
const BURDEN_MS = 200

/** Looks at the shop far more often, and keeps what it was asked to wait. */
class ShopClock extends PageClock {
  readonly pauses: number[] = []

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms >= 1000) return super.sleep(10, signal)
    if (ms >= 100 && ms !== QUIET_MS + BURDEN_MS) this.pauses.push(ms)
    return super.sleep(ms, signal)
  }
}

/** Entries that were given since the page was asked for last burden the shop. */
class Listed {
  given = 0
  #seen = 0
  held: () => Promise<unknown> = async () => undefined

  get isBusy(): boolean {
    const isBusy = this.given > this.#seen || this.given === HELD
    this.#seen = this.given
    return isBusy
  }

  async *through(entries: AsyncIterable<FileEntry>): AsyncGenerator<FileEntry> {
    for await (const entry of entries) {
      this.given += 1
      if (this.given === HELD) await this.held()
      yield entry
    }
  }
}

/** The same host, whose listings go through `listed`. */
const watched = <T extends FileHost>(host: T, listed: Listed): T => {
  const list = host.list.bind(host)
  host.list = (...args) => listed.through(list(...args))
  return host
}

describe('a long listing of the old host’s files', () => {
  let web: WebServer
  let listed: Listed
  let clock: ShopClock
  let directory: string
  beforeEach(async () => {
    listed = new Listed()
    clock = new ShopClock()
    directory = mkdtempSync(join(tmpdir(), 'migrate-listing-pace-'))
    web = await startWeb(
      (_request, response) => {
        void clock.spend(QUIET_MS + (listed.isBusy ? BURDEN_MS : 0)).then(() => response.end('<h1>Shop</h1>'))
      },
      undefined,
      '127.0.47.8',
    )
  })
  afterEach(async () => {
    await web.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const isSlowed = (event: EventBody): boolean => event.event === 'note' && event.message.includes('listing some at a time')
  const runWith = (run: TestRun): TestRun => {
    listed.held = () => vi.waitUntil(() => run.events.some(isSlowed), { timeout: 60_000, interval: 5 })
    return run
  }
  const isSlowedBy = (run: TestRun): void => {
    const notes = run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
    expect(notes[0]).toMatch(/^the old shop answers in \d+ ms; the listing of its files slows down when .* more than 100 ms$/)
    expect(notes.join('\n')).toMatch(/the old shop answers in \d+ ms instead of \d+ ms: listing some at a time, 250 ms apart/)
    expect(clock.pauses.length).toBeGreaterThan(0)
    expect(listed.given).toBeGreaterThanOrEqual(FILES)
  }

  const steps = (old: FileHost) => {
    const world = testWorld({ old: { files: old, site: web.url }, new: { files: new MemoryFiles() } })
    const options = snapshotFilesKind.options.parse({ throttle: '100ms' })
    const snapshot = snapshotFilesKind.create(options, testContext(world, 'snapshot-files'))
    const beside = (id: string) => ({ ...testContext(world, id), others: () => [snapshot] })
    return {
      snapshot,
      check: checkKind.create({}, beside('check')),
      restore: restoreFilesKind.create(restoreFilesKind.options.parse(undefined), beside('restore-files')),
    }
  }

  it.each([
    ['check', 'check', 'check'],
    ['the plan of snapshot-files', 'snapshot', 'plan'],
    ['the check of restore-files', 'restore', 'check'],
  ] as const)('by %s slows down when the shop’s answers do, and lists all', async (_title, step, deed) => {
    const run = runWith(new TestRun(directory, clock))
    await steps(watched(new GeneratedFiles('generated://old', FILES), listed))[step][deed](run)
    isSlowedBy(run)
  })

  it('by the plan of carry-files slows down, too, and finds every new file', async () => {
    const both = await Carrying.begin({ 'index.html': 'old' }, {}, { site: web.url, clock })
    try {
      for (let index = 0; index < FILES; index += 1) both.old.put(`new/${index}`, 'new')
      watched(both.old, listed)
      runWith(both.run)
      const planned = await both.step({ throttle: '100ms' }).plan(both.run)
      const files = planned.reduce<number>((sum, change) => sum + Number(Reflect.get(Object(change), 'files')), 0)
      expect(files).toBe(FILES)
      isSlowedBy(both.run)
    } finally {
      both.end()
    }
  })

  it('isn’t held up when it is short, nor where the playbook wants no throttle', async () => {
    const run = new TestRun(directory, clock)
    await steps(watched(new GeneratedFiles('generated://old', 500), listed)).snapshot.plan(run)
    const world = testWorld({ old: { files: new GeneratedFiles('generated://old', FILES), site: web.url } })
    const options = snapshotFilesKind.options.parse({ throttle: 'off' })
    await snapshotFilesKind.create(options, testContext(world, 'snapshot-files')).plan(run)
    expect(run.events.filter(({ event }) => event === 'note')).toEqual([])
    expect(clock.pauses).toEqual([])
  })
})
