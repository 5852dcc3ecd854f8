import { describe, expect, it } from 'vitest'
import { parkedFinding } from '../../src/reconcile/reconciler.ts'

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
  it('names the first few as people write them, counts the rest, and says where both versions are', () => {
    const finding = parkedFinding(['["7"]', '["8","2"]', '[null]', '["9"]', '["10"]'].map(row), '/state/parked.json')
    expect(finding).toMatchObject({ severity: 'warning', code: 'rows-parked' })
    expect(finding.message).toBe(
      '5 rows are parked for you to decide: Customers 7 (Changed on both hosts); Customers 8, 2 (Changed on both hosts); Customers NULL (Changed on both hosts); and 2 more.',
    )
    expect(finding.hint).toContain('/state/parked.json')
  })
})
