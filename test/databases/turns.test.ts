import { describe, expect, it } from 'vitest'
import { inTurns } from '../../src/base/turns.ts'

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
