import { describe, expect, it } from 'vitest'
import { allAtOnce, inTurns } from '../../src/base/turns.ts'

describe('work in turns', () => {
  it('is done one at a time, in the order asked for, and goes on after what failed', async () => {
    const inTurn = inTurns()
    const told: string[] = []
    const work =
      (name: string, fails = false) =>
      async (): Promise<string> => {
        told.push(`begins ${name}`)
        await new Promise((resolve) => setImmediate(resolve))
        told.push(`ends ${name}`)
        if (fails) throw new Error(name)
        return name
      }
    const ends = await Promise.allSettled([inTurn(work('a')), inTurn(work('b', true)), inTurn(work('c'))])
    expect(ends.map((end) => (end.status === 'fulfilled' ? end.value : String(end.reason)))).toEqual(['a', 'Error: b', 'c'])
    expect(told).toEqual(['begins a', 'ends a', 'begins b', 'ends b', 'begins c', 'ends c'])
  })
})

describe('work at once', () => {
  it('stops the others at the first failure, waits for them, and throws what failed first', async () => {
    const told: string[] = []
    const failure = new Error('b')
    const work = async (name: string, signal: AbortSignal): Promise<void> => {
      told.push(`begins ${name}`)
      await new Promise((resolve) => setImmediate(resolve))
      if (name === 'b') throw failure
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await new Promise((resolve) => setImmediate(resolve))
      told.push(`ends ${name}`)
      throw new Error(name)
    }
    await expect(allAtOnce(['a', 'b', 'c'], undefined, work)).rejects.toBe(failure)
    expect(told).toEqual(['begins a', 'begins b', 'begins c', 'ends a', 'ends c'])
  })

  it('is stopped by the signal that it was given', async () => {
    const stop = new AbortController()
    const stopped = new Error('stopped')
    const work = async (_name: string, signal: AbortSignal): Promise<void> => {
      stop.abort(stopped)
      signal.throwIfAborted()
    }
    await expect(allAtOnce(['a'], stop.signal, work)).rejects.toBe(stopped)
  })
})
