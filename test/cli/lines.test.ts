import { describe, expect, it } from 'vitest'
import { clip, wrap } from '../../src/cli/display/frame.ts'
import { Meter } from '../../src/cli/display/meter.ts'

describe('lines', () => {
  it('are cut to the width with colours left whole', () => {
    expect(clip('abcdef', 4)).toBe('abc…')
    expect(clip('\u001b[31mabcdef\u001b[0m', 4)).toBe('\u001b[31mabc…\u001b[0m')
  })

  it('are broken between words, longer words where they must be', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrap('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij'])
    expect(wrap('one\n  two three', 7)).toEqual(['one', '  two', '  three'])
  })
})

describe('a rate', () => {
  it('is measured over the last seconds, and begins anew with the counter', () => {
    const meter = new Meter()
    expect(meter.rate).toBeUndefined()
    for (let second = 0; second <= 60; second += 1)
      meter.add(second * 1000, second < 30 ? second * 100 : 3000 + (second - 30) * 10)
    expect(meter.rate).toBeCloseTo(10)
    expect(meter.millisecondsLeft(3400)).toBeCloseTo(10_000)
    meter.add(61_000, 0)
    expect(meter.rate).toBeUndefined()
  })
})
