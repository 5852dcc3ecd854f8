import { describe, expect, it } from 'vitest'
import { nextQueryRows } from '../../src/databases/snapshot/query-size.ts'
import { workRules } from '../../src/databases/snapshot/work.ts'

/** Milliseconds that queries of rows of 100 bytes take, one after the other, on a host that gives so many rows a second. */
function timesAt(rowsPerSecond: number, consistent: boolean): readonly number[] {
  const rules = workRules(consistent)
  let asked = rules.firstRows
  return Array.from({ length: 12 }, () => {
    const [rows, ms] = [asked, (asked / rowsPerSecond) * 1000]
    asked = nextQueryRows(asked, { rows, bytes: rows * 100, ms }, rules)
    return ms
  })
}

describe.each([
  ['of one instant', true],
  ['of several moments', false],
] as const)('what a snapshot %s asks of the old host at once', (_name, consistent) => {
  it.each([3000, 20_000, 200_000])('comes to take half a second where it gives %i rows a second', (rowsPerSecond) => {
    for (const ms of timesAt(rowsPerSecond, consistent).slice(6)) expect(ms).toBeCloseTo(500, -1)
  })

  it('is no more than 32 MiB where that takes less', () => {
    const { mostBytes, targetMs } = workRules(consistent)
    expect(targetMs).toBe(500)
    for (const ms of timesAt(10_000_000, consistent)) expect(ms).toBeLessThanOrEqual((mostBytes / 100 / 10_000_000) * 1000 + 1)
  })
})
