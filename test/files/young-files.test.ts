import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { openLocal } from '../../src/files/local.ts'
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
})
