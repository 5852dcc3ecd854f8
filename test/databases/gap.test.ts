import { describe, expect, it } from 'vitest'
import { gapOf, isLeapDue, leapTarget, timeLeft, useOf } from '../../src/databases/plan/gap.ts'
import type { IdentityState } from '../../src/databases/schema.ts'

const state = (last: bigint, increment = 1n, next = last + increment): IdentityState => ({
  identity: {
    kind: 'column',
    table: { schema: '', name: 'Orders' },
    column: 'OrderID',
    sequence: null,
    seed: String(increment),
    increment: String(increment),
    minimum: '-2147483648',
    maximum: '2147483647',
  },
  last,
  next,
})
const { identity } = state(1n)
const record = { identity, from: '1000', to: '2500' }
const before = { last: '2400', next: '2401' }
const leapOfOld = { moved: 'old', from: '2600', to: '4100', before, at: '' } as const
const leapOfNew = { moved: 'new', from: '4300', to: '5800', before, at: '' } as const

describe('the gap between the numbers of two hosts', () => {
  it('is what the raise of the new host left the old one', () => {
    const states = { old: state(2393n), new: state(2501n) }
    expect(gapOf(record, states)).toEqual({ behind: 'old', from: 1000n, to: 2500n })
    expect(useOf(gapOf(record, states), '1', states.old)).toEqual({ size: 1500n, used: 1393n, left: 107n })
  })

  it('is the new host’s once the old one was moved past it, and the old one’s again after the next leap', () => {
    const leapt = { ...record, leaps: [leapOfOld] }
    const states = { old: state(4100n), new: state(2700n) }
    expect(gapOf(leapt, states)).toEqual({ behind: 'new', from: 2600n, to: 4100n })
    expect(useOf(gapOf(leapt, states), '1', states.new)).toEqual({ size: 1500n, used: 100n, left: 1400n })
    const twice = { ...record, leaps: [leapOfOld, leapOfNew] }
    expect(gapOf(twice, { old: state(4400n), new: state(5800n) })).toEqual({ behind: 'old', from: 4300n, to: 5800n })
  })

  it('does not count a leap that was written down and never happened', () => {
    expect(gapOf({ ...record, leaps: [leapOfOld] }, { old: state(2450n), new: state(2700n) }).behind).toBe('old')
    expect(gapOf({ ...record, leaps: [leapOfOld, leapOfNew] }, { old: state(4200n), new: state(2700n) }).behind).toBe('new')
  })

  it('counts on the new host only what it numbered itself, not the rows that were carried there', () => {
    const gap = { behind: 'new', from: 2600n, to: 4100n } as const
    expect(useOf(gap, '1', state(4150n, 1n, 2611n))).toEqual({ size: 1500n, used: 10n, left: 1490n })
  })

  it('works downwards too, and in steps', () => {
    const gap = { behind: 'old', from: -100n, to: -1100n } as const
    expect(useOf(gap, '-10', state(-600n, -10n))).toEqual({ size: 1000n, used: 500n, left: 500n })
    expect(timeLeft({ size: 1000n, used: 500n, left: 500n }, '-10', 25)).toBe(120_000)
    expect(leapTarget(state(-1500n, -10n), 20n)).toEqual({ from: -1500n, to: -1700n })
  })

  it('is made no wider than half of what the type has left, and not at all at its end', () => {
    expect(leapTarget(state(2_147_483_000n), 1000n)?.to).toBe(2_147_483_000n + 323n)
    expect(leapTarget(state(2_147_483_646n), 1000n)).toBeUndefined()
  })
})

describe('a leap', () => {
  const rules = { aheadMs: 3_600_000, reactionMs: 50 }
  const idle = { peak: 0, steady: 0 }
  const use = (used: bigint, left: bigint) => ({ size: used + left, used, left })

  it('is due when nearly all is used, however slowly', () => {
    expect(isLeapDue(use(1450n, 50n), '1', idle, rules)).toBe(true)
    expect(isLeapDue(use(1393n, 107n), '1', idle, rules)).toBe(false)
    expect(isLeapDue(use(3n, 1n), '1', idle, rules)).toBe(true)
    expect(isLeapDue(use(0n, 1n), '1', idle, rules)).toBe(false)
    expect(isLeapDue(use(40n, -2n), '1', idle, rules)).toBe(true)
  })

  it('is due before a connection could take more numbers at once than are left', () => {
    expect(isLeapDue(use(1500n, 900n), '1', idle, { ...rules, batch: 1000n })).toBe(true)
    expect(isLeapDue(use(1500n, 900n), '1', idle, rules)).toBe(false)
    expect(isLeapDue(use(1500n, 1900n), '2', idle, { ...rules, batch: 1000n })).toBe(true)
    expect(isLeapDue(use(1500n, 1001n), '1', idle, { ...rules, batch: 1000n })).toBe(false)
  })

  it('is due when the next look could come too late, and when a steady pace ends it within the hour', () => {
    expect(isLeapDue(use(1000n, 500n), '1', { peak: 600_000, steady: null }, rules)).toBe(true)
    expect(isLeapDue(use(1000n, 500n), '1', { peak: 60_000, steady: null }, rules)).toBe(false)
    expect(isLeapDue(use(1000n, 500n), '1', { peak: 60, steady: 10 }, rules)).toBe(true)
    expect(isLeapDue(use(1000n, 500n), '1', { peak: 60, steady: 5 }, rules)).toBe(false)
  })
})
