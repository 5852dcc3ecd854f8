import { describe, expect, it } from 'vitest'
import type { Database, KeyCells, Row } from '../../src/databases/port.ts'
import { keyPositions, type Table } from '../../src/databases/schema.ts'
import {
  type Contract,
  copyTable,
  describeWhen,
  fillShop,
  itWhen,
  named,
  ODD_TEXTS,
  PARENTS_FIRST,
  readAll,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'

export function readingContract(contract: Contract): void {
  describe('rows as they are read', () => {
    it('come once each, in key order, in bounded batches', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(2500)
      const words = tableOf(schema, 'words')
      const batches = await database.read(1, async ([reader]) => {
        const lengths: number[] = []
        for await (const batch of reader.rows(words)) lengths.push(batch.length)
        return lengths
      })
      expect(Math.max(...batches)).toBeLessThanOrEqual(5000)
      const rows = await rowsOf(database, words)
      expect(new Set(rows.map((row) => row[0])).size).toBe(2500)
      expect(rows).toHaveLength(2500)
    })

    it('come the same by pages as at once, in the server’s own order', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(120)
      for (const word of ['Zebra', 'apple', 'Äpfel', 'étude', 'a b', 'a-b', '_x', '9', '10', "o'hara", 'ß', '😀']) {
        await shop.insert('words', { word, meaning: word.slice(0, 3) })
      }
      await fillShop(shop)
      for (const name of ['words', 'order_items', 'orders'] as const) {
        const table = tableOf(schema, name)
        const whole = await rowsOf(database, table)
        expect(await pages(database, table, 7)).toEqual(whole)
        expect(whole.length).toBe((await shop.rows(name)).length)
      }
    })

    it('of a table without a key come whole, doubles too', async () => {
      const { shop, database, schema } = await contract.shop()
      for (const visitor of ['ada', 'ada', null, '']) await shop.insert('visits', { page: '/', visitor })
      const table = tableOf(schema, 'visits')
      const rows = (await rowsOf(database, table)).map((row) => named(table, row))
      expect(sorted(rows)).toEqual(sorted(await shop.rows('visits')))
    })

    it('are found by their keys; a key that isn’t there is left out', async () => {
      const { shop, database, schema } = await contract.shop()
      const { orders } = await fillShop(shop)
      const items = tableOf(schema, 'order_items')
      const [first = '', second = ''] = orders
      const rows = await database.rowsByKey(items, [
        [first, '1'],
        [second, '2'],
        [second, '99'],
      ])
      expect(sorted(rows.map((row) => named(items, row))).map((row) => [row.order_id, row.line])).toEqual([
        [first, '1'],
        [second, '2'],
      ])
      const words = tableOf(schema, 'words')
      await shop.insert('words', { word: 'space ', meaning: '' })
      expect(await database.rowsByKey(words, [['space ']])).toHaveLength(1)
      expect(await database.rowsByKey(words, [["it's"], ['']])).toEqual([])
      expect(await database.rowsByKey(words, [])).toEqual([])
    })

    it('may be left midway: the reader goes on with another table', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(5000)
      await fillShop(shop)
      const seen = await database.read(1, async ([reader]) => {
        for await (const batch of reader.rows(tableOf(schema, 'words'))) {
          expect(batch.length).toBeGreaterThan(0)
          break
        }
        return await readAll(reader, tableOf(schema, 'customers'))
      })
      expect(seen).toHaveLength(3)
      expect(await rowsOf(database, tableOf(schema, 'words'))).toHaveLength(5000)
    })

    it('stop with the signal’s reason', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(5000)
      const stop = new AbortController()
      const reason = new Error('stopped by the test')
      const reading = database.read(1, async ([reader]) => {
        for await (const batch of reader.rows(tableOf(schema, 'words'), { signal: stop.signal })) {
          if (batch.length > 0) stop.abort(reason)
        }
      })
      // A reader that had fetched everything by then may also end in peace.
      const end = await reading.catch((error: unknown) => error)
      expect([reason, undefined]).toContain(end)
      expect(await rowsOf(database, tableOf(schema, 'words'), { limit: 3 })).toHaveLength(3)
    })

    it('pass an error of the reading code on', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillShop(shop)
      const fault = new Error('a fault in the reading code')
      await expect(database.read(2, () => Promise.reject(fault))).rejects.toBe(fault)
      expect(await rowsOf(database, tableOf(schema, 'customers'))).toHaveLength(3)
    })
  })

  describe('rows that are read while the shop writes', () => {
    it('don’t keep the shop from writing', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      await database.read(2, async ([reader]) => {
        await readAll(reader, tableOf(schema, 'customers'))
        await shop.insert('customers', { email: 'new@example.com', name: 'New', note: null })
        await shop.update('customers', { id: customers[0] ?? null }, { name: 'Ada L.' })
        await readAll(reader, tableOf(schema, 'orders'))
      })
      expect(await shop.rows('customers')).toHaveLength(4)
    })

    itWhen(contract.abilities.consistentReads, 'are of one instant through every reader', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      await database.read(3, async (readers) => {
        expect(readers.length).toBeGreaterThan(1)
        const [reader] = readers
        const before = await readAll(reader, table)
        await shop.insert('customers', { email: 'late@example.com', name: 'Late', note: null })
        await shop.update('customers', { id: customers[0] ?? null }, { name: 'changed' })
        for (const each of readers) {
          expect(each.consistent).toBe(true)
          expect(await readAll(each, table)).toEqual(before)
        }
      })
      expect(await rowsOf(database, table)).toHaveLength(4)
    })
  })

  describe('values', () => {
    it('of text arrive as they left: NULL, empty, spaces, control characters, four bytes', async () => {
      const { from, to } = await contract.pair()
      for (const [at, note] of ODD_TEXTS.entries())
        await from.shop.insert('customers', { email: `c${at}@example.com`, name: null, note })
      const table = tableOf(from.schema, 'customers')
      expect(await copyTable(from.database, to.database, table)).toBe(ODD_TEXTS.length)
      const arrived = await to.shop.rows('customers')
      expect(sorted(arrived)).toEqual(sorted(await from.shop.rows('customers')))
      expect(arrived.map((row) => row.note ?? null).sort()).toEqual([...ODD_TEXTS].sort())
      expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
    })

    it('of the whole shop arrive, computed ones computed again', async () => {
      const { from, to } = await contract.pair()
      await fillShop(from.shop)
      await from.shop.insert('products', { title: 'Big', stock: '0', price: '99999999.9999' })
      for (const name of PARENTS_FIRST) await copyTable(from.database, to.database, tableOf(from.schema, name))
      for (const name of PARENTS_FIRST) expect(sorted(await to.shop.rows(name))).toEqual(sorted(await from.shop.rows(name)))
    })

    describeWhen(contract.abilities.samples, 'of every type the engine has', () => {
      it('arrive as they left, to the last digit, by the server’s own word', async () => {
        const from = await contract.empty()
        const to = await contract.empty()
        await from.shop.createSamples?.()
        const schema = await from.database.schema()
        for (const { name, sql } of to.database.ddl(schema)) await to.database.execute(sql, { run: 'create', name })
        const table = tableOf(schema, 'samples')
        await copyTable(from.database, to.database, table)
        const expected = await from.shop.samples?.()
        expect(expected?.length).toBeGreaterThan(1)
        expect(await to.shop.samples?.()).toEqual(expected)
        expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
      })

      it('are written by an insert and an update as by a load', async () => {
        const from = await contract.empty()
        const to = await contract.empty()
        await from.shop.createSamples?.()
        const schema = await from.database.schema()
        for (const { name, sql } of to.database.ddl(schema)) await to.database.execute(sql, { run: 'create', name })
        const table = tableOf(schema, 'samples')
        const rows = await rowsOf(from.database, table)
        const id = keyPositions(table)[0] ?? 0
        const first = rows[0] ?? []
        await to.database.transaction([table], async (transaction) => {
          for (const row of rows)
            await transaction.insert(table, [first.map((cell, at) => (at === id ? (row[id] ?? null) : cell))])
          for (const row of rows) await transaction.update(table, row)
          expect(await transaction.lock(table, [[first[id] ?? null]])).toEqual([first])
        })
        expect(await to.shop.samples?.()).toEqual(await from.shop.samples?.())
        expect(
          await to.database.rowsByKey(
            table,
            rows.map((row) => [row[id] ?? null]),
          ),
        ).toHaveLength(rows.length)
      })
    })
  })
}

/** A table read page by page, each after the last key of the one before. */
async function pages(database: Database, table: Table, limit: number): Promise<readonly Row[]> {
  const rows: Row[] = []
  const positions = keyPositions(table)
  let after: KeyCells | undefined
  for (;;) {
    const page = await rowsOf(database, table, after === undefined ? { limit } : { after, limit })
    rows.push(...page)
    const last = page.at(-1)
    if (last === undefined) return rows
    after = positions.map((at) => last[at] ?? null)
  }
}
