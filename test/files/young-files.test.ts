import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { Throttle } from '../../src/databases/snapshot/pace.ts'
import { openLocal } from '../../src/files/local.ts'
import { directly } from '../../src/run/step.ts'
import { OnTheWay, send } from '../../src/steps/carry-files-send.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { between } from './between.ts'

let [old, fresh]: SiteFolder[] = []
let directory: string
/** What the old shop does as soon as somebody lets time pass. */
let meanwhile: () => void
let slept: number
let monotonic: number
let run: TestRun
beforeEach(() => {
  ;[old, fresh] = [siteFolder(), siteFolder()]
  directory = mkdtempSync(join(tmpdir(), 'migrate-young-'))
  meanwhile = () => undefined
  ;[slept, monotonic] = [0, 0]
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => monotonic,
    sleep: async (ms) => {
      slept += ms
      monotonic += ms
      meanwhile()
    },
  }
  run = new TestRun(directory, clock)
})
afterEach(() => {
  for (const each of [old, fresh]) each?.remove()
  rmSync(directory, { recursive: true })
})

const put = (path: string, text: string, seconds: number): void => old?.put(path, Buffer.from(text), 0o644, seconds)
const steps = () => between(openLocal(old?.path ?? ''), openLocal(fresh?.path ?? ''))
const now = (): number => Math.floor(systemClock.now() / 1000)
/** Once more within the second in which it was changed before, at the same length. */
const changing = (path: string, seconds: number): (() => void) => {
  let isChanged = false
  return () => {
    if (!isChanged) put(path, 'second', seconds)
    isChanged = true
  }
}

describe('a file that was changed just now', () => {
  it('is saved as its second leaves it', async () => {
    const seconds = now()
    put('upload.txt', 'first!', seconds)
    meanwhile = changing('upload.txt', seconds)
    await perform(steps().snapshot(), run)
    meanwhile()
    await perform(steps().restore(), run)
    expect(fresh?.read('upload.txt')?.toString()).toBe('second')
  })

  it('is carried as its second leaves it', async () => {
    put('upload.txt', 'before', 1_200_000_000)
    await perform(steps().snapshot(), run)
    await perform(steps().restore(), run)
    await steps().restore().verify(run)
    const seconds = now()
    put('upload.txt', 'first!', seconds)
    meanwhile = changing('upload.txt', seconds)
    await perform(steps().carry(), run)
    meanwhile()
    await perform(steps().carry(), run)
    expect(fresh?.read('upload.txt')?.toString()).toBe('second')
  })

  it('costs two seconds once, however many there are, and older ones nothing', async () => {
    const seconds = now()
    for (let index = 0; index < 300; index += 1) put(`f${index}`, 'x', index % 2 === 0 ? seconds : seconds - 3600)
    await perform(steps().snapshot(), run)
    expect(slept).toBe(2000)
  })

  it('holds up no other one while it waits, also where the old shop bears one at a time', async () => {
    put('a young one', 'x', now())
    put('an older one', 'x', 1_200_000_000)
    const [source, host] = [openLocal(old?.path ?? ''), openLocal(fresh?.path ?? '')]
    const waiting: Clock = {
      ...run.clock,
      sleep: () => vi.waitUntil(() => fresh?.read('an older one') !== undefined, { timeout: 10_000 }).then(() => undefined),
    }
    const slow = new TestRun(directory, waiting)
    const throttle = new Throttle({ mostReaders: 1, limitMs: 100, atOnce: (readers) => readers }, waiting)
    const onTheWay = new OnTheWay({ run: slow, effects: directly })
    const work = { source, host, run: slow, step: 'carry-files', effects: directly, onTheWay, throttle }
    const { signal } = new AbortController()
    const sent: Promise<unknown>[] = []
    for await (const entry of source.list())
      sent.push(send(work, { entry: { ...entry, sha256: null }, now: null, base: null }, signal))
    await Promise.all(sent)
    expect(fresh?.paths()).toEqual(['a young one', 'an older one'])
  })
})
