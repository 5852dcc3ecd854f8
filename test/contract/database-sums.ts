import { expect, it } from 'vitest'
import type { Database, KeyCells, PackedPrints, PrintedRow, ReadOptions } from '../../src/databases/port.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'
import { packedLeaf, packLeaf } from '../../src/reconcile/baseline-leaf.ts'
import { Printer } from '../../src/reconcile/printing.ts'
import { fillRanges, keyOf } from './database-blocks-kit.ts'
import type { ShopDatabase, ShopTable } from './database-host.ts'
import { type Contract, describeWhen, fillShop, PARENTS_FIRST, readAll, rowsOf, tableOf } from './database-kit.ts'
import { added, collectPrints, printing, printingOf, printsOf, sumOf } from './database-prints-kit.ts'

/** Keys that count down below 0, of 64 bits, of two columns, of text in the server's collation, of GUIDs. */
const KEYED: readonly ShopTable[] = ['countdown', 'customers', 'orders', 'order_items', 'words', 'tokens']

export function sumContract(contract: Contract): void {
  describeWhen(contract.abilities.fingerprints ?? true, 'checksums of fingerprints', () => {
    it('are what the rows’ fingerprints add up to', async () => {
      const { shop, database, schema } = await filled(contract)
      for (const visitor of ['ada', 'ada', null, '']) await shop.insert('visits', { page: '/', visitor })
      for (const name of [...PARENTS_FIRST, 'tokens'] as const) {
        const table = tableOf(schema, name)
        const prints = await printsOf(database, table)
        expect(prints).toHaveLength((await shop.rows(name)).length)
        expect(await sumOf(database, table), name).toEqual(added(prints))
      }
      expect(await sumOf(database, tableOf(schema, 'categories'))).toEqual({ rows: 0, sum: 0n })
    })

    it('count a row as often as it is there', async () => {
      const { shop, database, schema } = await contract.shop()
      const visits = tableOf(schema, 'visits')
      await shop.insert('visits', { page: '/', visitor: 'ada' })
      const one = await sumOf(database, visits)
      await shop.insert('visits', { page: '/', visitor: 'ada' })
      expect(await sumOf(database, visits)).toEqual({ rows: 2, sum: BigInt.asUintN(64, one.sum * 2n) })
    })

    it('change when two rows swap their cells', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const before = await sumOf(database, table)
      await shop.update('customers', { id: customers[0] ?? null }, { name: null, note: null })
      await shop.update('customers', { id: customers[1] ?? null }, { name: 'Ada', note: '' })
      const after = await sumOf(database, table)
      expect([after.rows, after.sum === before.sum]).toEqual([before.rows, false])
    })

    it.each([1, 3, 50])('of ranges of %i rows are those of the rows in them, and add up', async (size) => {
      const { database, schema } = await filled(contract)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const prints = await collectPrints(reader, table)
          const keys = prints.map(({ key }) => key)
          for (let from = 0; from < keys.length; from += size) {
            const range = between(from === 0 ? undefined : keys[from - 1], keys[from + size - 1])
            const sum = await printing(reader).sum(table, printingOf(table), range)
            expect(sum, `${name} ${JSON.stringify(range)}`).toEqual(added(prints.slice(from, from + size)))
          }
          const [first, last] = [keys[0] ?? [], keys.at(-1) ?? []]
          expect(await printing(reader).sum(table, printingOf(table), { after: last })).toEqual({ rows: 0, sum: 0n })
          expect(await printing(reader).sum(table, printingOf(table), { upTo: first })).toEqual(added(prints.slice(0, 1)))
        }
      })
    })

    it.each([1, 3, 50])('of many ranges of %i rows at once are those of each, open ends and empty ones too', async (size) => {
      const { database, schema } = await filled(contract)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const prints = await collectPrints(reader, table)
          const keys = prints.map(({ key }) => key)
          const starts = keys.flatMap((_, at) => (at % size === 0 ? [at] : []))
          const last = keys.at(-1) ?? []
          const ranges = [
            ...starts.map((from) => between(keys[from - 1], from + size < keys.length ? keys[from + size - 1] : undefined)),
            { after: last },
            { after: last, upTo: last },
          ]
          const expected = [...starts.map((from) => added(prints.slice(from, from + size))), NOTHING, NOTHING]
          expect(await printing(reader).sums(table, printingOf(table), ranges), name).toEqual(expected)
        }
        expect(await printing(reader).sums(tableOf(schema, 'words'), printingOf(tableOf(schema, 'words')), [])).toEqual([])
      })
    })

    it.each([1, 3])('go with the fingerprints of many ranges at once: of every row in them, and no other', async (size) => {
      const { database, schema } = await filled(contract)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const what = { ...printingOf(table), apart: tableOf(schema, name).key.length > 1 ? [] : apartOf(table) }
          const prints = await collectPrints(reader, table, what)
          const keys = prints.map(({ key }) => key)
          // Every other range: the first, with an open end, among them, and one beyond the last row.
          const starts = keys.flatMap((_, at) => (at % (2 * size) === 0 ? [at] : []))
          const ranges = [
            ...starts.map((from) => between(keys[from - 1], keys[from + size - 1] ?? keys.at(-1))),
            { after: keys.at(-1) ?? [] },
          ]
          const expected = starts.flatMap((from) => prints.slice(from, from + size))
          const found: PrintedRow[] = []
          const printer = new Printer((await database.fingerprintMethod?.(table)) ?? '')
          for await (const batch of printer.printsWithin(reader, table, what, ranges)) found.push(...batch)
          expect(sorted(found), name).toEqual(sorted(expected))
        }
      })
    })

    it('of a thousand ranges are asked for together', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(1200)
      const table = tableOf(schema, 'words')
      await database.read(1, async ([reader]) => {
        const prints = await collectPrints(reader, table)
        const some = prints.slice(0, 1000)
        const ranges = some.map(({ key }, at) => between(some[at - 1]?.key, key))
        expect(await printing(reader).sums(table, printingOf(table), ranges)).toEqual(some.map((print) => added([print])))
      })
    })

    it('are asked for no longer than the signal says', async () => {
      const { database, schema } = await filled(contract)
      const reason = new Error('stopped by the test')
      const table = tableOf(schema, 'words')
      const asking = database.read(1, ([reader]) =>
        printing(reader).sum(table, printingOf(table), { signal: AbortSignal.abort(reason) }),
      )
      await expect(asking).rejects.toBe(reason)
      expect((await sumOf(database, table)).rows).toBeGreaterThan(10)
    })
  })

  describeWhen(contract.abilities.fingerprints ?? true, 'fingerprints as they are read', () => {
    it('come in the order of the rows, after a key, up to one, and no more than the limit', async () => {
      const { database, schema } = await filled(contract)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const keys = (await readAll(reader, table)).map((row) => keyOf(table, row))
          const [first, second, third] = keys
          if (first === undefined || second === undefined || third === undefined) throw new Error(`${name} is too small`)
          const whole = await collectPrints(reader, table)
          expect(whole.map(({ key }) => key)).toEqual(keys)
          const read = (options: ReadOptions) => collectPrints(reader, table, printingOf(table), options)
          expect(await read({ after: first })).toEqual(whole.slice(1))
          expect(await read({ upTo: second })).toEqual(whole.slice(0, 2))
          expect(await read({ after: first, upTo: third })).toEqual(whole.slice(1, 3))
          expect(await read({ after: first, limit: 1 })).toEqual(whole.slice(1, 2))
          expect(await read({ limit: 2 })).toEqual(whole.slice(0, 2))
          expect(await read({ upTo: third, limit: 1 })).toEqual(whole.slice(0, 1))
          expect(await read({ after: keys.at(-1) ?? [] })).toEqual([])
        }
      })
    })

    it('are the same where they come packed, so many rows at a time', async () => {
      const { shop, database, schema } = await filled(contract)
      for (const visitor of ['ada', 'ada', null, '']) await shop.insert('visits', { page: '/', visitor })
      await database.read(1, async ([reader]) => {
        if (reader.packedPrints === undefined) return
        for (const name of [...KEYED, 'visits'] as const) {
          const table = tableOf(schema, name)
          const whole = await collectPrints(reader, table)
          const keys = whole.map(({ key }) => key)
          const ranges: readonly ReadOptions[] =
            table.key.length === 0 ? [{}] : [{}, between(keys[0], keys.at(-2)), { after: keys.at(-1) ?? [] }]
          for (const range of ranges) {
            const expected = table.key.length === 0 ? whole : await collectPrints(reader, table, printingOf(table), range)
            const packed = reader.packedPrints(table, printingOf(table), 3, range)
            if (packed === undefined) continue
            const leaves: PackedPrints[] = []
            for await (const leaf of packed) leaves.push(leaf)
            expect(leaves.map(({ rows }) => rows)).toEqual(portionsOf(expected, 3).map(({ length }) => length))
            // Rows of a table without a key come in no set order.
            if (table.key.length === 0) continue
            expect(leaves.map(packedLeaf), `${name} ${JSON.stringify(range)}`).toEqual(portionsOf(expected, 3).map(packLeaf))
          }
        }
      })
    })

    it('of a table without a key come whole, doubles too', async () => {
      const { shop, database, schema } = await contract.shop()
      for (const visitor of ['ada', 'ada', null, '']) await shop.insert('visits', { page: '/', visitor })
      const prints = await printsOf(database, tableOf(schema, 'visits'))
      expect(prints.map(({ key }) => key)).toEqual([[], [], [], []])
      expect(new Set(prints.map(({ print }) => print)).size).toBe(3)
    })

    it('come in bounded batches', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(12_000)
      const table = tableOf(schema, 'words')
      const batches = await database.read(1, async ([reader]) => {
        const sizes: number[] = []
        for await (const batch of printing(reader).prints(table, printingOf(table))) sizes.push(batch.length)
        return sizes
      })
      expect(batches.reduce((sum, size) => sum + size, 0)).toBe(12_000)
      expect(Math.max(...batches)).toBeLessThanOrEqual(5000)
    })

    it('may be left midway: the reader goes on with another table', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(20_000)
      await fillShop(shop)
      const words = tableOf(schema, 'words')
      await database.read(1, async ([reader]) => {
        for await (const batch of printing(reader).prints(words, printingOf(words))) {
          expect(batch.length).toBeGreaterThan(0)
          break
        }
        expect(await readAll(reader, tableOf(schema, 'customers'))).toHaveLength(3)
        expect((await printing(reader).sum(words, printingOf(words))).rows).toBe(20_000)
      })
    })

    it('stop with the signal’s reason', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(20_000)
      const words = tableOf(schema, 'words')
      const stop = new AbortController()
      const reason = new Error('stopped by the test')
      const reading = database.read(1, async ([reader]) => {
        for await (const batch of printing(reader).prints(words, printingOf(words), { signal: stop.signal }))
          if (batch.length > 0) stop.abort(reason)
      })
      // A reader that had fetched everything by then may also end in peace.
      const end = await reading.catch((error: unknown) => error)
      expect([reason, undefined]).toContain(end)
      expect(await rowsOf(database, words, { limit: 3 })).toHaveLength(3)
    })
  })
}

/** The last column that isn't the key's. */
const apartOf = (table: Table): readonly string[] =>
  printingOf(table)
    .columns.filter((name) => !table.key.includes(name))
    .slice(-1)

const sorted = (rows: readonly PrintedRow[]): readonly string[] => rows.map((row) => JSON.stringify(row)).sort()

const portionsOf = <T>(all: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))

const NOTHING = { rows: 0, sum: 0n }

const between = (after: KeyCells | undefined, upTo: KeyCells | undefined): Pick<ReadOptions, 'after' | 'upTo'> => ({
  ...(after === undefined ? {} : { after }),
  ...(upTo === undefined ? {} : { upTo }),
})

async function filled(
  contract: Contract,
): Promise<{ readonly shop: ShopDatabase; readonly database: Database; readonly schema: Schema }> {
  const made = await contract.further()
  await fillRanges(made.shop)
  for (const [at, start] of ['00', 'ff', '7f', '80', '10', 'a0'].entries()) {
    const token = `${start}000000-0000-4000-8000-0000000000${['ff', '00', '01', 'a0', '0a', '10'][at]}`
    await made.shop.insert('tokens', { token, note: `n${at}` })
  }
  return made
}
