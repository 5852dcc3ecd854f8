import { describe, expect, it } from 'vitest'
import type { ParkedRow } from '../../src/reconcile/parked.ts'
import type { ColumnSum, Proof, TableTally } from '../../src/reconcile/proof.ts'
import { parkedFinding, remappedFinding, sumsApart, unaccounted } from '../../src/steps/reconcile-findings.ts'

const row = (key: string): ParkedRow => ({
  ...{ table: 'Customers', key, targetKey: key, reason: 'Changed on both hosts', refused: false, born: false, collision: null },
  ...{ baseRow: null, baseNote: null, sourceRow: null, targetRow: null, source: null, target: null },
})

const tally = (change: Partial<TableTally>): TableTally => ({
  ...{
    rows: 9,
    same: 9,
    inserted: 0,
    updated: 0,
    merged: 0,
    remapped: 0,
    skipped: 0,
    kept: 0,
    parked: 0,
    unaccounted: 0,
    deleted: 0,
  },
  target: { rows: 9, same: 9, carried: 0, changed: 0, born: 0, conflicts: 0, unaccounted: 0 },
  sums: [],
  ...change,
})
const proof = (tables: Readonly<Record<string, Partial<TableTally>>>): Proof => {
  const all = Object.entries(tables).map(([name, change]) => [name, tally(change)] as const)
  const missing = all.reduce((sum, [, each]) => sum + each.unaccounted, 0)
  return { totals: { rows: 9, accounted: 9 - missing, unaccounted: missing }, tables: new Map(all) }
}

describe('what a founder is told of a pass', () => {
  it('names the first few parked rows as people write them, counts the rest, and says how to go on', () => {
    const finding = parkedFinding(['["7"]', '["8","2"]', '[null]', '["9"]', '["10"]'].map(row), 'old')
    expect(finding).toMatchObject({ severity: 'warning', code: 'rows-parked' })
    expect(finding.message).toBe(
      '5 rows are parked for you to decide: Customers 7 (Changed on both hosts); Customers 8, 2 (Changed on both hosts); Customers NULL (Changed on both hosts); and 2 more.',
    )
    expect(finding.hint).toContain('--resolve')
    expect(finding.hint).toContain('on the new host nothing of them was overwritten')
  })

  it('names both numbers of a row whose number changed, in either direction', () => {
    const moved = { remapped: [{ table: 'Orders', from: '10499', to: '11502' }], remappedRows: 1, merged: [], mergedRows: 0 }
    expect(remappedFinding(moved, 'old')).toMatchObject([
      {
        severity: 'warning',
        code: 'rows-remapped',
        message: '1 row of the old host has another number on the new one: Orders 10499 is now 11502.',
      },
    ])
    expect(remappedFinding({ ...moved, remappedRows: 1393 }, 'new')[0]?.message).toBe(
      '1,393 rows of the new host have another number on the old one: Orders 10499 is now 11502, and 1,392 more.',
    )
    expect(remappedFinding({ ...moved, remapped: [], remappedRows: 0 }, 'old')).toEqual([])
  })

  it('ends in an error when rows are missing, with the command that carries them', () => {
    expect(unaccounted(proof({ Orders: { unaccounted: 2 }, Customers: {} }), 'old')).toMatchObject([
      { severity: 'error', message: expect.stringContaining('(Orders: 2)'), hint: expect.stringContaining('migrate reconcile') },
    ])
    expect(unaccounted(proof({ Orders: { unaccounted: 1 } }), 'new')[0]?.hint).toContain('migrate rollback')
    expect(unaccounted(proof({ Orders: {} }), 'old')).toEqual([])
  })

  it('warns when sums differ and nothing explains it, or can’t be known', () => {
    const none = { born: '0', changed: '0', carried: '0', setAside: '0' }
    const sum = (unexplained: string): ColumnSum => ({ column: 'Total', source: '1', target: '2', because: none, unexplained })
    expect(sumsApart(proof({ Orders: { sums: [sum('0.0000')] } }), 'old')).toEqual([])
    expect(sumsApart(proof({ Orders: { sums: [{ ...sum('0'), source: '?' }] } }), 'old')).toMatchObject([
      { severity: 'warning', code: 'sums-unknown', message: expect.stringContaining('Orders.Total') },
    ])
    expect(sumsApart(proof({ Orders: { sums: [sum('-1.5000')] } }), 'old')).toMatchObject([
      { severity: 'warning', code: 'sums-unexplained', message: expect.stringContaining('Orders.Total by -1.5000') },
    ])
  })
})
