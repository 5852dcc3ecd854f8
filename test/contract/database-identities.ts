import { describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import type { Identity, IdentityState, Schema } from '../../src/databases/schema.ts'
import type { ShopTable } from './database-host.ts'
import { type Contract, changed, copyTable, failureOf, fillShop, itWhen, rowOf, tableOf } from './database-kit.ts'

export function identityContract(contract: Contract): void {
  describe('an identity', () => {
    it('that never gave a number says so, and begins beyond what it is raised to', async () => {
      const { shop, database, schema } = await contract.shop()
      const before = await stateOf(database, schema, 'never_used')
      expect([before.last, before.next]).toEqual([null, 1n])
      await database.raiseIdentity(before.identity, 1500n)
      expect((await stateOf(database, schema, 'never_used')).next).toBe(1501n)
      expect(await shop.insert('never_used', { note: 'first' })).toBe('1501')
    })

    it('that gave numbers goes on beyond', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillShop(shop)
      const before = await stateOf(database, schema, 'orders')
      expect([before.last, before.next]).toEqual([2n, 3n])
      await database.raiseIdentity(before.identity, 1502n)
      const [customer] = await shop.rows('customers')
      expect(await shop.insert('orders', { customer_id: customer?.id ?? null, placed: '2026-03-01 09:00:00' })).toBe('1503')
      expect((await stateOf(database, schema, 'orders')).last).toBe(1503n)
    })

    it('of a table whose rows were deleted, or that was emptied, goes on beyond', async () => {
      const { shop, database, schema } = await contract.shop()
      const id = await shop.insert('never_used', { note: 'x' })
      await shop.remove('never_used', { id })
      const deleted = await stateOf(database, schema, 'never_used')
      expect([deleted.last, deleted.next]).toEqual([1n, 2n])
      await shop.truncate('never_used')
      await database.raiseIdentity(deleted.identity, 40n)
      expect(await shop.insert('never_used', { note: 'y' })).toBe('41')
      await shop.truncate('never_used')
      await database.raiseIdentity(deleted.identity, 90n)
      expect(await shop.insert('never_used', { note: 'z' })).toBe('91')
    })

    it('knows of rows that were carried with greater numbers', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const row = await rowOf(database, table, customers[0] ?? '')
      await database.transaction([table], (transaction) =>
        transaction.insert(table, [changed(table, row, { id: '900', email: 'far@example.com' })]),
      )
      const state = await stateOf(database, schema, 'customers')
      expect(state.last).toBe(900n)
      await database.raiseIdentity(state.identity, 900n)
      expect(Number(await shop.insert('customers', { email: 'next@example.com', name: null, note: null }))).toBeGreaterThan(900)
    })

    it('of a loaded table lies, once raised, beyond every loaded row', async () => {
      const { from, to } = await contract.pair()
      await fillShop(from.shop)
      await copyTable(from.database, to.database, tableOf(from.schema, 'customers'))
      const state = await stateOf(to.database, from.schema, 'customers')
      expect(state.last).toBe(3n)
      await to.database.raiseIdentity(state.identity, state.last ?? 0n)
      expect(await to.shop.insert('customers', { email: 'next@example.com', name: null, note: null })).toBe('4')
    })

    it('is never moved back', async () => {
      const { shop, database, schema } = await contract.shop()
      const { identity } = await stateOf(database, schema, 'never_used')
      await database.raiseIdentity(identity, 1500n)
      await database.raiseIdentity(identity, 10n)
      await database.raiseIdentity(identity, 1500n)
      expect(await shop.insert('never_used', { note: 'x' })).toBe('1501')
      await database.raiseIdentity(identity, 1500n)
      await database.raiseIdentity(identity, -5n)
      expect(await shop.insert('never_used', { note: 'y' })).toBe('1502')
    })

    itWhen(contract.abilities.countsDown !== false, 'that counts down is lowered, never moved up', async () => {
      const { shop, database, schema } = await contract.shop()
      const unused = await stateOf(database, schema, 'countdown')
      expect([unused.last, unused.next]).toEqual([null, -1n])
      await database.raiseIdentity(unused.identity, -20n)
      expect(await shop.insert('countdown', { note: 'x' })).toBe('-21')
      await database.raiseIdentity(unused.identity, -5n)
      expect(await shop.insert('countdown', { note: 'y' })).toBe('-22')
      const used = await stateOf(database, schema, 'countdown')
      expect([used.last, used.next]).toEqual([-22n, -23n])
      await database.raiseIdentity(used.identity, -100n)
      expect(await shop.insert('countdown', { note: 'z' })).toBe('-101')
    })

    it.each([
      ['one by one', 'never_used', 1n],
      ['down', 'countdown', -1n],
      ['by tens', 'tens', 10n],
    ] as const)(
      'that counts %s goes on beyond what it is raised to, on a table that is empty, used, emptied or has rows far off',
      async (_how, name, increment) => {
        const { shop, database } = await contract.shop()
        if (name === 'tens') await shop.createTens?.()
        const schema = await database.schema()
        const found = (await database.identities(schema)).find(({ identity }) => identity.table.name === name)
        // An engine without such increments has no such table, or no such identity on it.
        if (found === undefined || found.identity.increment !== String(increment)) return
        const insert = (): Promise<string> => shop.insert(name, { note: 'x' })
        /** Raises by a hundred rows from where it stands, or from a row that is further on; the next number, by inserting. */
        const raisedFrom = async (position: bigint): Promise<readonly [bigint, bigint]> => {
          const value = position + increment * 100n
          await database.raiseIdentity(found.identity, value)
          expect((await stateOf(database, schema, name)).next * increment).toBeGreaterThan(value * increment)
          return [value, BigInt(await insert())]
        }
        const [unused, first] = await raisedFrom(found.next - increment)
        expect(first, 'never used').toBe(unused + increment)
        expect(BigInt(await insert()), 'goes on in its steps').toBe(first + increment)

        const [used, second] = await raisedFrom(first + increment)
        expect(second, 'used').toBe(used + increment)

        for (const { id } of await shop.rows(name)) await shop.remove(name, { id: id ?? null })
        const [emptied, third] = await raisedFrom(second)
        // A server that doesn't tell a table that was emptied from one that was never used may leave one number out.
        expect([emptied + increment, emptied + 2n * increment], 'rows deleted').toContain(third)

        await shop.truncate(name)
        const [truncated, fourth] = await raisedFrom((await stateOf(database, schema, name)).next - increment)
        expect(fourth, 'truncated').toBe(truncated + increment)

        const far = fourth + increment * 500n
        const table = tableOf(schema, name)
        const row = await rowOf(database, table, String(fourth))
        await database.transaction([table], (transaction) =>
          transaction.insert(table, [changed(table, row, { id: String(far) })]),
        )
        expect((await stateOf(database, schema, name)).last, 'rows far off').toBe(far)
        const [beyond, fifth] = await raisedFrom(far)
        expect(fifth, 'rows far off').toBe(beyond + increment)
        await database.raiseIdentity(found.identity, far)
        expect(BigInt(await insert()), 'never back').toBe(fifth + increment)
      },
    )

    itWhen(contract.abilities.sequences !== false, 'that is a sequence of its own is raised alike', async () => {
      const { shop, database, schema } = await contract.shop()
      const unused = await sequenceOf(database, schema)
      expect([unused.last, unused.next]).toEqual([null, 1000n])
      expect(await shop.nextInvoice()).toBe('1000')
      const used = await sequenceOf(database, schema)
      expect([used.last, used.next]).toEqual([1000n, 1001n])
      await database.raiseIdentity(used.identity, 2500n)
      expect(await shop.nextInvoice()).toBe('2501')
    })

    it('can be set back to where it stood', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillShop(shop)
      const down = contract.abilities.countsDown === false ? [] : (['countdown'] as const)
      for (const name of ['never_used', 'orders', ...down] as const) {
        const before = await stateOf(database, schema, name)
        const away = BigInt(before.identity.increment) * 1500n
        await database.raiseIdentity(before.identity, before.next + away)
        await database.resetIdentity(before.identity, before)
        expect(await stateOf(database, schema, name)).toEqual(before)
      }
      expect(await shop.insert('never_used', { note: 'x' })).toBe('1')
      if (contract.abilities.sequences === false) return
      const before = await sequenceOf(database, schema)
      await database.raiseIdentity(before.identity, 5000n)
      await database.resetIdentity(before.identity, before)
      expect(await shop.nextInvoice()).toBe('1000')
    })

    it('isn’t raised past its end', async () => {
      const { shop, database, schema } = await contract.shop()
      const { identity } = await stateOf(database, schema, 'never_used')
      const failure = await failureOf(database.raiseIdentity(identity, BigInt(identity.maximum) + 1n))
      expect(failure.hint).toBeDefined()
      expect(await shop.insert('never_used', { note: 'x' })).toBe('1')
    })
  })
}

async function stateOf(database: Database, schema: Schema, table: ShopTable): Promise<IdentityState> {
  return find(await database.identities(schema), (identity) => identity.table.name === table && identity.column !== '')
}

async function sequenceOf(database: Database, schema: Schema): Promise<IdentityState> {
  return find(await database.identities(schema), (identity) => identity.column === '')
}

function find(states: readonly IdentityState[], wanted: (identity: Identity) => boolean): IdentityState {
  const state = states.find((each) => wanted(each.identity))
  if (state === undefined) throw new Error('The identity is missing.')
  return state
}
