import { describe, expect, it } from 'vitest'
import { InFlight } from '../../src/files/in-flight.ts'
import { filesAtOnce } from '../../src/steps/file-fetch.ts'

/** Tasks that run until they are let go, and what of them runs. */
function held() {
  const running = new Set<string>()
  const ends = new Map<string, () => void>()
  const task = (name: string) => () => {
    running.add(name)
    return new Promise<void>((resolve) => ends.set(name, resolve)).finally(() => running.delete(name))
  }
  return { running, task, end: (name: string) => ends.get(name)?.() }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('tasks in flight', () => {
  it.each([
    [undefined, 4],
    [2, 2],
  ])('are so many at once of the heavy ones (%s), and light ones beside them', async (heavy, expected) => {
    const flight = new InFlight(100, 1000, new AbortController().signal, heavy)
    const { running, task, end } = held()
    for (let at = 0; at < expected; at += 1) await flight.start(5000, task(`heavy ${at}`))
    await flight.start(10, task('light'))
    let began = false
    const next = flight.start(5000, task('one more')).then(() => {
      began = true
    })
    await settled()
    expect([running.size, began]).toEqual([expected + 1, false])
    end('heavy 0')
    await next
    expect([...running]).toEqual(expect.arrayContaining(['light', 'one more']))
    for (const name of [...running]) end(name)
    await flight.drain()
  })

  it('stop at the first failure, which is thrown to who starts the next or waits for all', async () => {
    const flight = new InFlight(100, 1000, new AbortController().signal)
    const failure = new Error('broken')
    await flight.start(1, () => Promise.reject(failure))
    await settled()
    await expect(flight.start(1, () => Promise.reject(new Error('never begun')))).rejects.toBe(failure)
    await expect(flight.drain()).rejects.toBe(failure)
    expect(flight.signal.reason).toBe(failure)
  })
})

describe('files at once', () => {
  it('are as many as the way to the host is long, and all that may be where that isn’t known', () => {
    const away = (ms: number): number => filesAtOnce({ wayMs: () => ms })
    expect(away(0)).toBeGreaterThan(100)
    expect(away(0)).toBeLessThan(away(10))
    expect(away(10)).toBeLessThan(away(30))
    expect([away(100), away(Number.POSITIVE_INFINITY), filesAtOnce({})]).toEqual([2048, 2048, 2048])
  })
})
