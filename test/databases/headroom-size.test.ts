import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isUsedUp, measureRate, nearItsEnd, positionOf, sizeHeadroom } from '../../src/databases/plan/headroom.ts'
import { isBeyond } from '../../src/databases/plan/restore.ts'
import type { IdentityState } from '../../src/databases/schema.ts'
import { headroomUse } from '../../src/steps/headroom.ts'

const DAY = { windowMs: 86_400_000, safety: 3, minimum: 1000 }
const BIGINT = { minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n }

const at = (last: bigint | null, increment = 1n, range = BIGINT): IdentityState => ({
  identity: {
    kind: 'column',
    table: { schema: '', name: 'Orders' },
    column: 'OrderID',
    sequence: null,
    seed: String(increment),
    increment: String(increment),
    minimum: String(range.minimum),
    maximum: String(range.maximum),
  },
  last,
  next: last === null ? increment : last + increment,
})

const INT = { minimum: -(2n ** 31n), maximum: 2n ** 31n - 1n }
const TINYINT = { minimum: 0n, maximum: 255n }

describe('how far an identity is raised', () => {
  it('is exactly the number that the playbook gives, from where the old host stands now', () => {
    const rate = { perMinute: 0.9, overMs: 600_000 }
    const sized = sizeHeadroom('Orders.OrderID', at(10_248n), 1500, { ...rate, perMinute: 0.09 }, DAY)
    expect(sized).toMatchObject({ from: 10_248n, to: 11_748n, finding: undefined })
    expect(sized.reason).toBe('headroom 1,500: given in the playbook; measured 0.090 rows a minute')
  })

  it('is more than the playbook gives when a measurement says that it would run out, and says so', () => {
    const sized = sizeHeadroom('Orders.OrderID', at(10_248n), 1500, { perMinute: 10, overMs: 600_000 }, DAY)
    expect(sized.to).toBe(10_248n + 43_200n)
    expect(sized.finding).toMatchObject({ severity: 'warning', code: 'identity-headroom-changed' })
  })

  it('keeps in step with the number given for another table: two items for each order want twice the headroom', () => {
    const named = [{ name: 'Orders.OrderID', given: 1500, used: 300n }]
    const sized = sizeHeadroom('OrderItems.OrderItemID', at(600n), 'auto', null, DAY, named)
    expect(sized).toMatchObject({ from: 600n, to: 600n + 2n * 1500n * 3n, finding: undefined })
    expect(sized.reason).toContain('in step with the number given for Orders.OrderID')
    expect(sizeHeadroom('Customers.CustomerID', at(60n), 'auto', null, DAY, named).to).toBe(1060n)
  })

  it('reckons with whole stores of numbers where each connection takes one, however few rows it writes', () => {
    const state = at(1000n)
    const cached = { ...state, identity: { ...state.identity, jump: '1032', batch: '1000' } }
    const sized = sizeHeadroom('Orders.OrderID', cached, 'auto', null, DAY)
    expect([sized.to, sized.finding]).toEqual([1000n + 1_000_000n + 1032n, undefined])
    expect(sized.reason).toContain('each connection takes 1,000 numbers at once')
    const given = sizeHeadroom('Orders.OrderID', cached, 2500, null, DAY)
    expect(given.to).toBe(3500n)
    expect(given.finding).toMatchObject({
      code: 'headroom-less-than-cache',
      message: expect.stringContaining('2 connections use it up'),
      hint: 'Give it headroom: 1000000 or more.',
    })
    expect(sizeHeadroom('Orders.OrderID', cached, 1_000_000, null, DAY).finding).toBeUndefined()
  })

  it('does not let a glance of a few seconds overrule the playbook', () => {
    expect(sizeHeadroom('Orders.OrderID', at(10n), 1500, { perMinute: 600, overMs: 5000 }, DAY).to).toBe(1510n)
  })

  it('is rate, times window, times safety by itself, and a least number where nothing was measured', () => {
    expect(sizeHeadroom('Orders.OrderID', at(100n), 'auto', { perMinute: 2, overMs: 600_000 }, DAY).to).toBe(100n + 8640n)
    expect(sizeHeadroom('Orders.OrderID', at(100n), 'auto', null, DAY).to).toBe(1100n)
    expect(sizeHeadroom('Orders.OrderID', at(null), 'auto', null, DAY)).toMatchObject({ from: 0n, to: 1000n })
  })

  it('is refused by name and number where the type ends before it', () => {
    const sized = sizeHeadroom('Orders.OrderID', at(2n ** 31n - 500n, 1n, INT), 1500, null, DAY)
    expect(sized.finding).toMatchObject({ severity: 'error', code: 'identity-overflow' })
    expect(sized.finding?.message).toContain('Orders.OrderID stands at 2,147,483,148')
    expect(sized.finding?.message).toContain('2,147,483,647')
    expect(sized.finding?.message).toContain('498 would fit')
  })

  it('takes half of what a small type has left when nothing was measured that needs more', () => {
    const sized = sizeHeadroom('States.StateID', at(51n, 1n, TINYINT), 'auto', null, DAY)
    expect(sized).toMatchObject({ to: 51n + 101n, finding: { severity: 'warning' } })
    expect(
      sizeHeadroom('States.StateID', at(51n, 1n, TINYINT), 'auto', { perMinute: 1, overMs: 600_000 }, DAY).finding?.severity,
    ).toBe('error')
  })

  it('goes by the next value where the numbering was started anew by hand, and by the column where that is further on', () => {
    expect(sizeHeadroom('T.id', { ...at(4n), next: 5000n }, 1500, null, DAY)).toMatchObject({ from: 4999n, to: 6499n })
    expect(sizeHeadroom('T.id', { ...at(null), next: 5000n }, 1500, null, DAY).from).toBe(4999n)
    expect(sizeHeadroom('T.id', { ...at(4000n), next: 2n }, 1500, null, DAY).from).toBe(4000n)
  })

  it('leaves an identity alone that has no value left on either host', () => {
    expect(isUsedUp(at(255n, 1n, TINYINT))).toBe(true)
    expect(isUsedUp(at(254n, 1n, TINYINT))).toBe(false)
    expect(isUsedUp(at(0n, -1n, TINYINT))).toBe(true)
  })

  it('measures the rate in rows, whatever the increment, and knows when it cannot', () => {
    const since = (position: bigint, peak = 0) => ({ first: { at: 0, position }, last: { at: 0, position }, peak })
    expect(measureRate(since(100n), at(200n, 10n), 60_000)).toEqual({ perMinute: 10, overMs: 60_000 })
    expect(measureRate(since(-10n), at(-40n, -1n), 60_000)).toEqual({ perMinute: 30, overMs: 60_000 })
    expect(measureRate(since(0n), at(5n), 60_000)).toEqual({ perMinute: 5, overMs: 60_000 })
    expect(measureRate(undefined, at(5n), 60_000)).toBeNull()
    expect(measureRate(since(1n), at(5n), 0)).toBeNull()
  })

  it('goes by the busiest stretch, not by the average: the hour before the move may be the one that counts', () => {
    const first = { at: 0, position: 0n }
    const quietThenBusy = { first, last: { at: 3_600_000, position: 60n }, peak: 1 }
    expect(measureRate(quietThenBusy, at(660n), 3_720_000)).toEqual({ perMinute: 300, overMs: 3_720_000 })
    const busyThenQuiet = { first, last: { at: 3_600_000, position: 660n }, peak: 300 }
    expect(measureRate(busyThenQuiet, at(661n), 3_720_000)).toEqual({ perMinute: 300, overMs: 3_720_000 })
    // A glance of a few seconds is no stretch.
    expect(measureRate({ first, last: { at: 3_600_000, position: 60n }, peak: 1 }, at(70n), 3_601_000)?.perMinute).toBeLessThan(2)
  })

  const jumping = (last: bigint, jump: string): IdentityState => {
    const state = at(last, 1n, INT)
    return { ...state, identity: { ...state.identity, jump } }
  }

  it('reckons with the numbers that a restart of the old server skips, and says so', () => {
    const sized = sizeHeadroom('Orders.OrderID', jumping(100n, '1000'), 'auto', { perMinute: 2, overMs: 600_000 }, DAY)
    expect(sized.to).toBe(100n + 8640n + 1000n)
    expect(sized.reason).toBe(
      'headroom 9,640: measured 2.0 rows a minute over 24 h 00 min, times 3, plus 1,000 that a restart may skip',
    )
    expect(sizeHeadroom('T.id', jumping(100n, '1000'), 'auto', null, { ...DAY, restarts: 2 }).to).toBe(3100n)
    expect(sizeHeadroom('T.id', jumping(100n, '1000'), 'auto', null, { ...DAY, restarts: 0 }).to).toBe(1100n)
  })

  it('leaves a number from the playbook as it is, and warns where a restart could skip past it', () => {
    expect(sizeHeadroom('Orders.OrderID', jumping(100n, '1000'), 1500, null, DAY)).toMatchObject({
      to: 1600n,
      finding: undefined,
    })
    const small = sizeHeadroom('Orders.OrderID', jumping(100n, '1000'), 500, null, DAY)
    expect(small.to).toBe(600n)
    expect(small.finding).toMatchObject({ severity: 'warning', code: 'headroom-less-than-jump' })
    expect(small.finding?.message).toContain('may skip 1,000 numbers at once')
    const busy = sizeHeadroom('Orders.OrderID', jumping(100n, '1000'), 1500, { perMinute: 0.2, overMs: 600_000 }, DAY)
    expect(busy).toMatchObject({ to: 1600n, finding: { code: 'headroom-less-than-jump' } })
  })

  it('tells early of an identity that is near the end of its type, with how much is left', () => {
    expect(nearItsEnd('Orders.OrderID', at(1_900_000_000n, 1n, INT), 1_900_001_000n)?.message).toContain(
      '247,482,647 numbers left',
    )
    expect(nearItsEnd('Orders.OrderID', at(1_000_000_000n, 1n, INT), 1_000_001_000n)).toBeUndefined()
    expect(nearItsEnd('Down.id', at(-2_000_000_000n, -1n, INT), -2_000_001_000n)?.code).toBe('identity-near-its-end')
  })

  const increments = fc.oneof(fc.bigInt({ min: 1n, max: 1000n }), fc.bigInt({ min: -1000n, max: -1n }))
  const options = fc.record({
    windowMs: fc.integer({ min: 1, max: 1e9 }),
    safety: fc.integer({ min: 1, max: 10 }),
    minimum: fc.integer({ min: 1, max: 1e6 }),
  })
  const rates = fc.option(
    fc.record({ perMinute: fc.double({ min: 0, max: 1e9, noNaN: true }), overMs: fc.integer({ min: 1, max: 1e9 }) }),
  )
  const lasts = fc.option(fc.bigInt({ min: BIGINT.minimum, max: BIGINT.maximum }))
  const given = fc.oneof(fc.constant('auto' as const), fc.nat({ max: 1e9 }))

  it('leaves both hosts room that never overlaps, within the type, or is refused', () => {
    fc.assert(
      fc.property(increments, lasts, rates, given, options, (increment, last, rate, number, how) => {
        const old = at(last, increment)
        fc.pre(!isUsedUp(old))
        const { from, to, finding } = sizeHeadroom('T.id', old, number, rate, how)
        expect(from).toBe(positionOf(old))
        if (finding?.severity === 'error') return
        expect(isBeyond(from, to, old.identity.increment)).toBe(false)
        expect((to - from) % increment).toBe(0n)
        const first = to + increment
        expect(first >= BIGINT.minimum && first <= BIGINT.maximum).toBe(true)
        if (number !== 'auto') expect((to - from) / increment).toBeGreaterThanOrEqual(BigInt(number))
      }),
      { numRuns: 2000 },
    )
  })

  it('is counted down as the old host uses it, in either direction', () => {
    fc.assert(
      fc.property(
        increments,
        fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
        fc.integer({ min: 0, max: 1000 }),
        (increment, last, used) => {
          const old = at(last, increment)
          const { from, to, reason } = sizeHeadroom('T.id', old, 1000, null, DAY)
          const record = { identity: old.identity, from: String(from), to: String(to), ratePerMinute: null, reason, at: '' }
          const use = headroomUse(record, { old: { ...old, last: last + increment * BigInt(used) } })
          expect(BigInt(use.used) + BigInt(use.left)).toBe(BigInt(use.raisedBy))
          expect(BigInt(use.left) >= 0n).toBe(true)
        },
      ),
    )
  })
})
