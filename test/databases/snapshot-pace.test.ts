import { describe, expect, it } from 'vitest'
import { limitFor, nextPace, Throttle } from '../../src/databases/snapshot/pace.ts'
import { nextQueryRows } from '../../src/databases/snapshot/query-size.ts'
import { FakeClock } from '../fakes/clock.ts'

describe('the size of a query', () => {
  const limits = { targetMs: 500, leastRows: 100, mostRows: 1_000_000, mostBytes: 32 * 2 ** 20 }
  /** Sizes of queries one after the other on a host that gives so many rows a second. */
  const sizesAt = (rowsPerSecond: number, first = 1000, bytesPerRow = 100): readonly number[] => {
    const sizes = [first]
    for (let asked = first; sizes.length < 12; sizes.push(asked)) {
      const ms = (asked / rowsPerSecond) * 1000
      asked = nextQueryRows(asked, { rows: asked, bytes: asked * bytesPerRow, ms }, limits)
    }
    return sizes
  }

  it('grows from small, at most fourfold at a time, until a query takes half a second', () => {
    const sizes = sizesAt(200_000)
    expect(sizes.slice(0, 3)).toEqual([1000, 4000, 16_000])
    expect(sizes.at(-1)).toBe(100_000)
  })

  it('shrinks on a slow host, at most to a quarter at a time, and not below its least', () => {
    expect(sizesAt(2000, 100_000).slice(0, 4)).toEqual([100_000, 25_000, 6250, 1563])
    expect(sizesAt(2000).at(-1)).toBe(1000)
    expect(sizesAt(10).at(-1)).toBe(100)
  })

  it('is bounded by bytes where rows are wide', () => {
    expect(sizesAt(200_000, 1000, 2 ** 20).at(-1)).toBe(100)
    expect(sizesAt(200_000, 1000, 4096).at(-1)).toBe(8192)
  })

  it('learns nothing from a table’s last few rows, or from none', () => {
    expect(nextQueryRows(10_000, { rows: 3, bytes: 300, ms: 400 }, limits)).toBe(10_000)
    expect(nextQueryRows(10_000, { rows: 0, bytes: 0, ms: 0 }, limits)).toBe(10_000)
  })
})

describe('the pace of a copy', () => {
  const limits = { mostReaders: 8, limitMs: 400 }

  it('halves the readers while the shop is slow, then pauses longer and longer, with an end', () => {
    let pace = { readers: 8, pauseMs: 0 }
    const paces = Array.from({ length: 12 }, () => {
      pace = nextPace(pace, 900, limits)
      return [pace.readers, pace.pauseMs]
    })
    expect(paces.slice(0, 6)).toEqual([
      [4, 0],
      [2, 0],
      [1, 0],
      [1, 250],
      [1, 500],
      [1, 1000],
    ])
    expect(paces.at(-1)).toEqual([1, 30_000])
  })

  it('comes back by and by: shorter pauses, then a reader more at a time', () => {
    let pace = { readers: 1, pauseMs: 1000 }
    const paces = Array.from({ length: 10 }, () => {
      pace = nextPace(pace, 100, limits)
      return [pace.readers, pace.pauseMs]
    })
    expect(paces.slice(0, 5)).toEqual([
      [1, 500],
      [1, 250],
      [1, 0],
      [2, 0],
      [3, 0],
    ])
    expect(paces.at(-1)).toEqual([8, 0])
  })

  it('stays as it is close below the limit', () => {
    expect(nextPace({ readers: 3, pauseMs: 0 }, 390, limits)).toEqual({ readers: 3, pauseMs: 0 })
  })

  it('doesn’t take a page of a few milliseconds for a slow one', () => {
    expect(limitFor(20)).toBe(120)
    expect(limitFor(200)).toBe(400)
  })
})

describe('a throttle', () => {
  const never = new AbortController().signal

  it('lets in as many readers as the pace allows, and the others as those leave', async () => {
    const throttle = new Throttle({ mostReaders: 4, limitMs: 400 }, new FakeClock())
    let inside = 0
    let most = 0
    const reader = async (): Promise<void> => {
      for (let query = 0; query < 20; query += 1) {
        await throttle.enter(never)
        inside += 1
        most = Math.max(most, inside)
        await Promise.resolve()
        inside -= 1
        throttle.leave()
      }
    }
    await Promise.all([reader(), reader(), reader(), reader()])
    expect(most).toBe(4)
    most = 0
    expect(throttle.observe(900)).toBeUndefined()
    expect(throttle.observe(900)).toBe(900)
    expect(throttle.observe(900)).toBeUndefined()
    expect(throttle.observe(900)).toBe(900)
    expect(throttle.pace).toEqual({ readers: 1, pauseMs: 0 })
    await Promise.all([reader(), reader(), reader(), reader()])
    expect(most).toBe(1)
  })

  it('isn’t moved by a single slow answer', () => {
    const throttle = new Throttle({ mostReaders: 4, limitMs: 400 }, new FakeClock())
    for (const ms of [100, 100, 5000, 100, 100]) throttle.observe(ms)
    expect(throttle.pace.readers).toBe(4)
  })

  it('pauses before each query, and lets go of its turn when stopped meanwhile', async () => {
    const clock = new FakeClock(0, { automatic: false })
    const throttle = new Throttle({ mostReaders: 1, limitMs: 400 }, clock)
    throttle.observe(900)
    throttle.observe(900)
    expect(throttle.pace.pauseMs).toBe(250)
    const stop = new AbortController()
    const stopped = throttle.enter(stop.signal)
    const waiting = throttle.enter(stop.signal)
    stop.abort(new Error('stopped by the test'))
    await expect(stopped).rejects.toThrow('stopped by the test')
    await expect(waiting).rejects.toThrow('stopped by the test')
    let entered = false
    const next = throttle.enter(never).then(() => {
      entered = true
    })
    await clock.advance(249)
    expect(entered).toBe(false)
    await clock.advance(1)
    await next
    expect(entered).toBe(true)
  })
})
