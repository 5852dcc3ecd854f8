import type { LedgerEntry } from '../../src/databases/port.ts'

/** What a ledger holds of a row without a key that was carried into a table. */
export const carriedInto = (table: string): LedgerEntry => ({
  run: 'run-1',
  table,
  sourceKey: '["/"]',
  targetKey: '["/"]',
  action: 'inserted',
  sourceState: '1',
  targetState: '1',
  at: '2026-11-20T07:00:00.000Z',
})
