import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Column, type ForeignKey, ORDINARY, type Table } from '../../src/databases/schema.ts'
import type { CarryItem, ReconcileChange } from '../../src/reconcile/plan-items.ts'
import { inOrder } from '../../src/reconcile/plan-order.ts'
import { PlanStore } from '../../src/reconcile/plan-store.ts'
import { summary } from '../../src/reconcile/plan-summary.ts'

const column = (name: string, nullable: boolean): Column => ({
  name,
  type: 'bigint',
  codec: 'integer',
  ...ORDINARY,
  nullable,
})

const table = (name: string): Table => ({
  name: { schema: '', name },
  columns: [column('id', false), column('parent', true)],
  primaryKey: { name: `${name}_pkey`, columns: ['id'], sql: '' },
  uniqueKeys: [],
  key: ['id'],
  triggers: [],
})

const reference = (child: string, parent: string): ForeignKey => ({
  name: `${child}_${parent}`,
  table: { schema: '', name: child },
  columns: ['parent'],
  parent: { schema: '', name: parent },
  parentColumns: ['id'],
  enforced: true,
  sql: '',
})

const item = (name: string, key: number, action: CarryItem['action'] = 'insert'): CarryItem => ({
  table: name,
  key: JSON.stringify([String(key)]),
  targetKey: null,
  action,
  found: 'a',
  expect: null,
  base: ['', ''],
})

const items = (name: string, count: number, action?: CarryItem['action']): readonly CarryItem[] =>
  Array.from({ length: count }, (_, key) => item(name, key, action))

const storeOf = (all: Iterable<CarryItem>): PlanStore => {
  const store = new PlanStore()
  for (const each of all) store.put(each)
  return store
}

const told = (changes: readonly ReconcileChange[]): readonly string[] =>
  changes.flatMap((change) =>
    change.kind === 'carry'
      ? [
          `${change.early ? 'early ' : ''}${change.cyclic ? 'circle ' : ''}${change.items[0]?.action} ${change.items[0]?.table} ${change.items.length}`,
        ]
      : [],
  )

describe('the order of a plan', () => {
  it('carries parents first, changes before births, deletions last, and at first where they make room', () => {
    const tables = [table('orders'), table('customers')]
    const carry = storeOf([
      ...[item('orders', 1), item('orders', 2, 'update'), item('orders', 3, 'delete')],
      ...[item('customers', 1), item('customers', 2, 'delete')],
    ])
    expect(told(inOrder(carry, tables, [reference('orders', 'customers')]))).toEqual([
      'early delete orders 1',
      'early delete customers 1',
      'insert customers 1',
      'update orders 1',
      'insert orders 1',
      'delete orders 1',
      'delete customers 1',
    ])
  })

  it('takes copies away before it adds others, which may have the same unique value', () => {
    const copies = (key: number, base: number, source: number): CarryItem => ({
      ...item('words', key, 'copies'),
      copies: { base, source, target: base },
    })
    const store = storeOf([copies(1, 0, 1), copies(2, 1, 0), copies(3, 2, 3), copies(4, 3, 1)])
    const rows = inOrder(store, [{ ...table('words'), key: [] }], []).flatMap((change) =>
      change.kind === 'carry' ? change.items.map(({ key }) => key) : [],
    )
    expect(rows).toEqual(['["2"]', '["4"]', '["1"]', '["3"]'])
  })

  it('goes through a circle twice where one change doesn’t hold it', () => {
    const tables = [table('a')]
    const keys = [reference('a', 'a')]
    expect(told(inOrder(storeOf(items('a', 10_000)), tables, keys))).toEqual(['circle insert a 10000'])
    expect(told(inOrder(storeOf(items('a', 10_001)), tables, keys))).toEqual([
      'circle insert a 10000',
      'circle insert a 1',
      'circle insert a 10000',
      'circle insert a 1',
    ])
  })

  it('goes from one table of a circle to the next within a change, and reads its rows whenever they are asked for', () => {
    const tables = [table('a'), table('b')]
    const keys = [reference('a', 'b'), reference('b', 'a')]
    const store = storeOf([...items('a', 7000), ...items('b', 7000, 'update'), ...items('b', 1, 'delete')])
    const changes = inOrder(store, tables, keys)
    const [early, ...carried] = changes.flatMap((change) => (change.kind === 'carry' ? [change] : []))
    expect([early?.early, early?.items]).toEqual([true, [item('b', 0, 'delete')]])
    expect(carried.map(({ items: rows }) => rows.length)).toEqual([10_000, 4000, 10_000, 4000, 1])
    expect(new Set(carried[0]?.items.map(({ table: name }) => name)).size).toBe(2)
    const all = carried.slice(0, 2).flatMap(({ items: rows }) => rows.map((each) => `${each.table} ${each.key}`))
    expect(new Set(all).size).toBe(14_000)
    expect(carried[1]?.items).toEqual(carried[1]?.items)
    expect(JSON.parse(JSON.stringify(carried[4]))).toEqual({
      kind: 'carry',
      cyclic: true,
      early: false,
      items: [item('b', 0, 'delete')],
    })
  })

  it('loses no row and carries none before what it belongs to', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 10 }),
        fc.array(fc.nat(1200), { minLength: 6, maxLength: 6 }),
        (edges, counts) => {
          const tables = counts.map((_, at) => table(`t${at}`))
          const keys = edges.map(([child, parent]) => reference(`t${Math.max(child, parent)}`, `t${Math.min(child, parent)}`))
          const carry = storeOf(counts.flatMap((count, at) => items(`t${at}`, count)))
          const changes = inOrder(carry, tables, keys)
          const rows = changes.flatMap((change) => (change.kind === 'carry' ? change.items : []))
          expect(new Set(rows.map((each) => `${each.table} ${each.key}`)).size).toBe(
            counts.reduce((sum, count) => sum + count, 0),
          )
          const place = new Map<string, number>()
          for (const [at, each] of rows.entries()) if (!place.has(each.table)) place.set(each.table, at)
          const last = new Map(rows.map((each, at) => [each.table, at]))
          for (const { table: child, parent } of keys) {
            if (child.name === parent.name || !place.has(child.name) || !last.has(parent.name)) continue
            expect(last.get(parent.name)).toBeLessThan(place.get(child.name) ?? 0)
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('what a plan is told as', () => {
  it('counts rows by table and action, with three examples at most, each row once', () => {
    const changes: ReconcileChange[] = [
      { kind: 'carry', cyclic: false, early: true, items: items('orders', 1, 'delete') },
      {
        kind: 'park',
        items: [
          {
            table: 'orders',
            key: '["7"]',
            targetKey: '["7"]',
            reason: 'Changed on both hosts',
            born: false,
            source: 'a',
            target: 'b',
          },
        ],
        settled: [],
      },
      { kind: 'carry', cyclic: false, early: false, items: items('orders', 4) },
      { kind: 'carry', cyclic: false, early: false, items: items('orders', 1, 'delete') },
      {
        kind: 'carry',
        cyclic: false,
        early: false,
        items: [{ ...item('visits', 1, 'copies'), key: '["#0123"]', copies: { base: 1, source: 3, target: 1 } }],
      },
    ]
    expect(summary(changes)).toMatchObject([
      { table: 'orders', action: 'park', rows: 1, examples: ['7 (Changed on both hosts)'] },
      { table: 'orders', action: 'insert', rows: 4, examples: ['0', '1', '2'] },
      { table: 'orders', action: 'delete', rows: 1 },
      { table: 'visits', action: 'copies', rows: 2 },
    ])
  })
})
