import { describe, expect, it } from 'vitest'
import { settle, template } from '../../src/cli/decide.ts'
import { parseDecisions } from '../../src/playbook/decisions.ts'
import type { ParkedRow } from '../../src/reconcile/parked.ts'

const parked = (table: string, key: readonly string[], collision: ParkedRow['collision'] = null): ParkedRow => ({
  ...{ table, key: JSON.stringify(key), targetKey: null, reason: 'r', refused: false, born: false, collision, sourceRow: null },
  ...{ targetRow: null, baseRow: null, baseNote: null, source: `old of ${key.join()}`, target: null },
})
const PARKED = [
  parked('public.Orders', ['10499']),
  parked('public.OrderItems', ['10', '1']),
  parked('public.Customers', ['12'], { unique: 'Email', key: '["7"]' }),
  parked('public.Words', ['a,b']),
]
const given = (text: string, rows: readonly ParkedRow[] = PARKED) => settle(parseDecisions(text, 'd.yml'), rows, [])

describe('decisions from a file', () => {
  it.each([
    [
      '{ table: orders, key: 10499, take: old }',
      { table: 'public.Orders', key: '["10499"]', take: 'old', source: 'old of 10499' },
    ],
    ['{ table: public.OrderItems, key: "10, 1", take: new }', { key: '["10","1"]', take: 'new' }],
    ['{ table: OrderItems, key: [10, 1], take: skip }', { key: '["10","1"]', take: 'skip' }],
    ['{ table: Words, key: "a,b", take: old }', { key: '["a,b"]', take: 'old' }],
    ['{ table: Customers, key: 12, take: merge }', { key: '["12"]', take: { merge: '["7"]' } }],
  ])('%s is meant for its row, as it was seen', (line, expected) => {
    const { decisions, problems } = given(`- ${line}`)
    expect(problems).toEqual([])
    expect(decisions).toMatchObject([expected])
  })

  it('name what is not parked, with what is', () => {
    expect(given('- { table: Orders, key: 10499, take: old }\n- { table: Orders, key: 7, take: old }').problems).toEqual([
      {
        ...{ line: 2, column: 3, message: 'No row Orders 7 is parked.' },
        hint: 'Parked: public.Orders 10499; public.OrderItems 10, 1; public.Customers 12; public.Words a,b.',
      },
    ])
    expect(given('- { table: Orders, key: 7, take: old }', []).problems).toMatchObject([{ hint: 'Nothing is parked.' }])
  })

  it('name what was settled before, and leave it', () => {
    const [earlier] = given('- { table: Orders, key: 10499, take: old }').decisions
    const again = settle(parseDecisions('- { table: Orders, key: 10499, take: new }', 'd.yml'), PARKED.slice(1), [
      earlier ?? never(),
    ])
    expect(again).toEqual({ decisions: [], settled: ['Orders 10499'], problems: [] })
  })

  it('refuse to merge where no row is in the way', () => {
    expect(given('- { table: Orders, key: 10499, take: merge }').problems).toMatchObject([
      { message: expect.stringContaining('collides with no row'), hint: 'Take old, new or skip.' },
    ])
  })

  it('ask for the schema where two tables may be meant', () => {
    const rows = [parked('shop.Orders', ['1']), parked('sales.Orders', ['1'])]
    expect(given('- { table: Orders, key: 1, take: old }', rows).problems).toMatchObject([
      { message: 'Orders 1 may be a row of shop.Orders or sales.Orders.' },
    ])
    expect(given('- { table: sales.orders, key: 1, take: old }', rows).decisions).toHaveLength(1)
  })

  it('can begin with the template that is offered', () => {
    const { decisions, problems } = given(template(PARKED))
    expect([decisions.length, problems]).toEqual([4, []])
  })
})

function never(): never {
  throw new Error('no decision')
}
