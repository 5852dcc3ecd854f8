import { describe, expect, it } from 'vitest'
import type { IdentityState, Table } from '../../src/databases/schema.ts'
import { identityName } from '../../src/steps/headroom.ts'
import { ordersIdentities } from '../../src/steps/watch-traffic.ts'

const tableWith = (name: string, key: readonly string[] | null): Table => ({
  name: { schema: 'public', name },
  columns: [],
  primaryKey: key && { name: `${name}_pkey`, columns: key, sql: '' },
  uniqueKeys: [],
  key: key ?? [],
  triggers: [],
})

const numbered = (table: Table, column: string): IdentityState => ({
  identity: {
    kind: 'column',
    table: table.name,
    column,
    sequence: null,
    seed: '1',
    increment: '1',
    minimum: '1',
    maximum: '2147483647',
  },
  last: null,
  next: 1n,
})

const statesOf = (...states: readonly IdentityState[]) => new Map(states.map((state) => [identityName(state.identity), state]))

describe('the numbers by which orders are counted', () => {
  const orders = tableWith('orders', ['id'])
  const customers = tableWith('customers', ['id'])

  it('are the key’s of a table whose rows get an invoice’s number, too: each order counts once', () => {
    const states = statesOf(numbered(orders, 'invoice'), numbered(orders, 'id'), numbered(customers, 'id'))
    for (const named of [undefined, 'orders'])
      expect(ordersIdentities([customers, orders], states, named)).toEqual([identityName(numbered(orders, 'id').identity)])
  })

  it('are the first of a table whose key isn’t numbered', () => {
    const keyless = tableWith('orders', null)
    const states = statesOf(numbered(keyless, 'invoice'), numbered(keyless, 'parcel'))
    expect(ordersIdentities([keyless], states, undefined)).toEqual([identityName(numbered(keyless, 'invoice').identity)])
  })
})
