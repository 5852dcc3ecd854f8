import { describe, expect, it } from 'vitest'
import { parkedFinding } from '../../src/steps/reconcile-findings.ts'

const row = (key: string) => ({
  table: 'Customers',
  key,
  targetKey: key,
  reason: 'Changed on both hosts',
  refused: false,
  born: false,
  collision: null,
  baseRow: null,
  baseNote: null,
  sourceRow: null,
  targetRow: null,
  source: null,
  target: null,
})

describe('what a founder is told of parked rows', () => {
  it('names the first few as people write them, counts the rest, and says how to decide', () => {
    const finding = parkedFinding(['["7"]', '["8","2"]', '[null]', '["9"]', '["10"]', '["11"]'].map(row), 'old')
    expect(finding).toMatchObject({ severity: 'warning', code: 'rows-parked' })
    expect(finding.message).toMatch(
      /^6 rows are parked for you to decide: Customers 7 \(Changed on both hosts\); Customers 8, 2 \(/,
    )
    expect(finding.message).toMatch(/; and 1 more\.$/)
    expect(finding.hint).toContain('--resolve')
  })
})
