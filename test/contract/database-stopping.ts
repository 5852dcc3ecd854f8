import { expect, it, vi } from 'vitest'
import { underStop } from '../../src/base/stop.ts'
import type { Database } from '../../src/databases/port.ts'
import { type Contract, describeWhen, fillShop, rowOf, rowsOf, sorted, tableOf } from './database-kit.ts'

const ASKED = new Error('stopped, as asked')

/** A call's end under a stop that comes as soon as `ready` says so; what it ended with. */
async function stopped(work: () => Promise<unknown>, ready: () => Promise<void>): Promise<unknown> {
  const stop = new AbortController()
  const ended = underStop(stop.signal, work).then(
    (result) => ({ result }),
    (error: unknown) => error,
  )
  await ready()
  stop.abort(ASKED)
  return await ended
}

/** Calls of an adapter end soon after the stop of the step that makes them (base/stop.ts). */
export function stoppingContract(contract: Contract): void {
  describeWhen(contract.abilities.locks, 'a call that waits for a row of somebody else', () => {
    it('ends with the stop’s own reason, everything of it rolled back, and the database goes on', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const key = customers[0] ?? ''
      const before = sorted(await shop.rows('customers'))
      const release = await shop.holdLock?.('customers', { id: key })
      const begun = Promise.withResolvers<void>()

      const end = await stopped(
        () =>
          database.transaction([table], async (transaction) => {
            await transaction.insert(table, [await newCustomer(database, table, key)])
            begun.resolve()
            await transaction.lock(table, [[key]])
          }),
        () => begun.promise,
      )

      expect(end).toBe(ASKED)
      await release?.()
      expect(sorted(await shop.rows('customers'))).toEqual(before)
      expect(await rowsOf(database, table)).toHaveLength(3)
      await database.transaction([table], async (transaction) => {
        expect(await transaction.lock(table, [[key]])).toHaveLength(1)
      })
    })
  })

  describeWhen(contract.abilities.network, 'a call under a stop', () => {
    it('isn’t begun when the stop has come already', async () => {
      const { database } = await contract.shop()
      const stop = new AbortController()
      stop.abort(ASKED)
      await expect(underStop(stop.signal, () => database.schema())).rejects.toBe(ASKED)
      await expect(underStop(stop.signal, () => database.read(1, async () => 'read'))).rejects.toBe(ASKED)
    })

    it('ends while rows are read and nobody takes them, and the database goes on', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(20_000)
      const words = tableOf(schema, 'words')
      const taken = vi.fn()

      const end = await stopped(
        () =>
          database.read(1, async ([reader]) => {
            for await (const batch of reader.rows(words)) taken(batch.length)
          }),
        () => vi.waitFor(() => expect(taken).toHaveBeenCalled(), { timeout: 30_000, interval: 1 }),
      )

      // It may have been read to its end before the stop came: then it is whole.
      if (end !== ASKED) expect(taken.mock.calls.reduce((sum, [rows]) => sum + Number(rows), 0)).toBe(20_000)
      expect(await rowsOf(database, words)).toHaveLength(20_000)
    })
  })
}

/** Another customer, with an id of its own. */
async function newCustomer(database: Database, table: Parameters<typeof rowOf>[1], like: string) {
  const row = await rowOf(database, table, like)
  return row.map((cell) => (cell === like ? '900' : cell === 'ada@example.com' ? 'new@example.com' : cell))
}
