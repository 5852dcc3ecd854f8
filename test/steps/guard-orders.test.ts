import { describe, expect, it } from 'vitest'
import { guardOptionsSchema, type OrderOptions } from '../../src/steps/guard-options.ts'
import { OrderRate, type OrderSight } from '../../src/steps/guard-orders.ts'

const MINUTE = 60_000
const options = guardOptionsSchema.parse({}).orders as OrderOptions

/** Orders of each minute, one after the other; `share` of the world that is sent here. Returns what each minute's look saw. */
function minutesOf(orders: readonly number[], measured: number | null, share: (minute: number) => number = () => 1) {
  const rate = new OrderRate(options, measured, 0)
  let sum = 10_000_000_000_000_000_000n
  return orders.map((count, at): OrderSight => {
    sum += BigInt(count)
    return rate.add(at * MINUTE, sum, share(at))
  })
}
const faults = (sights: readonly OrderSight[]): readonly number[] =>
  sights.flatMap(({ fault }, at) => (fault === undefined ? [] : [at]))
const same = (count: number, minutes: number): readonly number[] => Array(minutes).fill(count)

describe('the orders that are expected', () => {
  it('are those of before the cutover: where hardly any comes, that is a fault, said with both numbers', () => {
    const sights = minutesOf([0, ...same(0, 12)], 6)
    expect(faults(sights)).toEqual([10, 11, 12])
    expect(sights[10]?.fault).toBe('0 orders came within 10 min 00 s, where about 60 are expected')
    expect(faults(minutesOf([0, ...same(6, 30)], 6))).toEqual([])
    // Fewer than before are no fault, as long as they come.
    expect(faults(minutesOf([0, ...same(1, 60)], 6))).toEqual([])
  })

  it('are only those of the customers who are sent here by now', () => {
    // A twentieth of the world is sent here: three orders would be awaited within the window, too few to say anything.
    expect(faults(minutesOf([0, ...same(0, 30)], 6, () => 0.05))).toEqual([])
    expect(faults(minutesOf([0, ...same(0, 30)], 6, () => 0.5))).toEqual([...Array(21).keys()].map((at) => at + 10))
  })

  it('fall with the evening: a quiet night is no fault', () => {
    const evening = Array.from({ length: 600 }, (_, minute) => Math.round(20 * 0.5 ** (minute / 60)))
    expect(faults(minutesOf(evening, 20))).toEqual([])
    expect(faults(minutesOf(same(0, 600), 1.9))).toEqual([])
  })

  it('stay as they were while they fail to come', () => {
    const sights = minutesOf([...same(10, 60), ...same(0, 240)], null)
    expect(faults(sights)[0]).toBe(69)
    expect(faults(sights)).toHaveLength(231)
  })

  it('aren’t known before anything was measured', () => {
    expect(minutesOf(same(0, 60), null).every(({ expected, fault }) => (expected ?? 0) === 0 && fault === undefined)).toBe(true)
  })
})
