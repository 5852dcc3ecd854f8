// A plan of so many rows as the first argument says, made and gone through as a run does it, in a process whose memory the test bounds.
// Rows that were met, each once, go to stdout.
import type { Table } from '../../src/databases/schema.ts'
import { inOrder } from '../../src/reconcile/plan-order.ts'
import { PlanStore } from '../../src/reconcile/plan-store.ts'
import { PlanSummary } from '../../src/reconcile/plan-summary.ts'

const orders: Table = {
  name: { schema: '', name: 'orders' },
  columns: [],
  primaryKey: { name: 'pk', columns: ['id'], sql: '' },
  uniqueKeys: [],
  key: ['id'],
  triggers: [],
}

const rows = Number(process.argv[2])
const store = new PlanStore()
for (let at = 0; at < rows; at += 1) {
  const print = at.toString(16).padStart(16, '0')
  const state = JSON.stringify([print, print, []])
  const key = JSON.stringify([String(at)])
  const action = (['insert', 'update', 'delete'] as const)[at % 3] ?? 'insert'
  store.put({ table: 'orders', key, targetKey: key, action, found: print, expect: print, base: [state, state] })
}
const changes = inOrder(store, [orders], [])
const plan = new PlanSummary(3)
for (const change of changes) plan.add(change)
let met = 0
// Deletions are tried at the beginning too, where they may make room.
for (const change of changes) if (change.kind === 'carry' && !change.early) met += change.items.length
if (plan.lines.reduce((sum, line) => sum + line.rows, 0) !== met) throw new Error('it was told otherwise than it is carried')
console.log(met)
