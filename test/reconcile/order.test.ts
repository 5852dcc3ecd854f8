import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ForeignKey, Table } from '../../src/databases/schema.ts'
import { isCyclic, parentsFirst } from '../../src/reconcile/order.ts'

const table = (name: string): Table => ({
  name: { schema: '', name },
  columns: [],
  primaryKey: null,
  uniqueKeys: [],
  key: [],
  triggers: [],
})
const reference = (child: string, parent: string): ForeignKey => ({
  name: `${child}_${parent}`,
  table: { schema: '', name: child },
  columns: [],
  parent: { schema: '', name: parent },
  parentColumns: [],
  enforced: true,
  sql: '',
})
const names = (groups: readonly (readonly Table[])[]): string[][] =>
  groups.map((group) => group.map((each) => each.name.name).sort())

describe('the order in which rows are carried', () => {
  it('puts customers before their orders and orders before their items', () => {
    const tables = ['items', 'orders', 'customers'].map(table)
    expect(names(parentsFirst(tables, [reference('orders', 'customers'), reference('items', 'orders')]))).toEqual([
      ['customers'],
      ['orders'],
      ['items'],
    ])
  })

  it('keeps tables that refer to each other together, and knows them as a circle', () => {
    const tables = ['a', 'b', 'c'].map(table)
    const keys = [reference('a', 'b'), reference('b', 'a'), reference('c', 'a')]
    const groups = parentsFirst(tables, keys)
    expect(names(groups)).toEqual([['a', 'b'], ['c']])
    expect(groups.map((group) => isCyclic(group, keys))).toEqual([true, false])
  })

  it('knows a table that refers to itself as a circle', () => {
    const keys = [reference('categories', 'categories')]
    expect(parentsFirst([table('categories')], keys).map((group) => isCyclic(group, keys))).toEqual([true])
  })

  it('never puts a child before its parent, in any schema, and loses no table', () => {
    const graph = fc.integer({ min: 1, max: 8 }).chain((count) =>
      fc.record({
        count: fc.constant(count),
        edges: fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 16 }),
      }),
    )
    fc.assert(
      fc.property(graph, ({ count, edges }) => {
        const tables = Array.from({ length: count }, (_, index) => table(`t${index}`))
        const groups = parentsFirst(
          tables,
          edges.map(([child, parent]) => reference(`t${child}`, `t${parent}`)),
        )
        const place = new Map(groups.flatMap((group, at) => group.map((each) => [each.name.name, at] as const)))
        expect(place.size).toBe(count)
        for (const [child, parent] of edges) expect(place.get(`t${parent}`)).toBeLessThanOrEqual(place.get(`t${child}`) ?? -1)
      }),
    )
  })
})
