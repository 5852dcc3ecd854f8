import { describe, expect, it } from 'vitest'
import type { Block, KeyCells, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import {
  blocksFrom,
  blocksOf,
  boundaryOf,
  buffers,
  collect,
  fillRanges,
  keyOf,
  loaderOf,
  moveBlocks,
  rangesOf,
} from './database-blocks-kit.ts'
import {
  type Contract,
  createAll,
  describeWhen,
  failureOf,
  fillShop,
  ODD_TEXTS,
  PARENTS_FIRST,
  readAll,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'
import { unpacker } from './database-prints-kit.ts'

/** Tables whose keys are numbers, negative numbers, several columns, and text in the server's collation. */
const KEYED = ['orders', 'countdown', 'order_items', 'words'] as const

/** Ranges of keys and blocks of bulk text: optional powers, each skipped by name where an adapter hasn't got it. */
export function blockContract(contract: Contract): void {
  const { ranges = true, blocks = true } = contract.abilities

  describeWhen(ranges, 'ranges of keys', () => {
    it('are bounded by the key of the nth row after another, until fewer are left', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillRanges(shop)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const keys = (await readAll(reader, table)).map((row) => keyOf(table, row))
          const bound = (rows: number, after?: KeyCells) => boundaryOf(reader)(table, rows, after)
          expect(keys.length, name).toBeGreaterThan(3)
          expect(await bound(1)).toEqual(keys[0])
          expect(await bound(keys.length)).toEqual(keys.at(-1))
          expect(await bound(keys.length + 1)).toBeUndefined()
          expect(await bound(2, keys[0])).toEqual(keys[2])
          expect(await bound(1, keys.at(-1))).toBeUndefined()
          expect(await bound(keys.length - 1, keys[0])).toEqual(keys.at(-1))
        }
        const empty = tableOf(schema, 'categories')
        expect(await boundaryOf(reader)(empty, 1)).toBeUndefined()
      })
    })

    it('hold the row that bounds them at their end and not the one at their beginning', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillRanges(shop)
      for (const name of KEYED) {
        const table = tableOf(schema, name)
        const rows = await rowsOf(database, table)
        const [first, second, third] = rows.map((row) => keyOf(table, row))
        if (first === undefined || second === undefined || third === undefined) throw new Error(`${name} is too small`)
        expect(await rowsOf(database, table, { after: first, upTo: third })).toEqual(rows.slice(1, 3))
        expect(await rowsOf(database, table, { upTo: second })).toEqual(rows.slice(0, 2))
        expect(await rowsOf(database, table, { after: second, upTo: second })).toEqual([])
        expect(await rowsOf(database, table, { upTo: third, limit: 1 })).toEqual(rows.slice(0, 1))
      }
    })

    it.each([1, 3, 50])('of %i rows each add up to exactly the table', async (size) => {
      const { shop, database, schema } = await contract.shop()
      await fillRanges(shop)
      await database.read(1, async ([reader]) => {
        for (const name of KEYED) {
          const table = tableOf(schema, name)
          const rows: Row[] = []
          for (const range of await rangesOf(reader, table, size)) rows.push(...(await readAll(reader, table, range)))
          expect(rows).toEqual(await readAll(reader, table))
        }
      })
    })

    it('are asked for no longer than the signal says', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(100)
      const reason = new Error('stopped by the test')
      const asking = database.read(1, ([reader]) =>
        boundaryOf(reader)(tableOf(schema, 'words'), 10, undefined, AbortSignal.abort(reason)),
      )
      await expect(asking).rejects.toBe(reason)
      expect(await rowsOf(database, tableOf(schema, 'words'))).toHaveLength(100)
    })
  })

  describeWhen(blocks, 'blocks of bulk text', () => {
    it('carry the same values as rows do, from every table', async () => {
      const { from, to } = await contract.pair()
      await fillRanges(from.shop)
      for (const [at, note] of ODD_TEXTS.entries())
        await from.shop.insert('customers', { email: `odd${at}@example.com`, name: note?.slice(0, 9) ?? null, note })
      for (const visitor of ['ada', 'ada', null, '']) await from.shop.insert('visits', { page: '/', visitor })
      for (const name of PARENTS_FIRST) {
        const table = tableOf(from.schema, name)
        const moved = await moveBlocks(from.database, to.database, table)
        expect(moved).toBe((await from.shop.rows(name)).length)
        expect(sorted(await to.shop.rows(name))).toEqual(sorted(await from.shop.rows(name)))
        if (table.key.length > 0) expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
      }
    })

    describeWhen(contract.abilities.samples, 'with every type the engine has', () => {
      it('carry them to the last digit, by the server’s own word', async () => {
        const from = await contract.empty()
        const to = await contract.empty()
        await from.shop.createSamples?.()
        const schema = await from.database.schema()
        await createAll(to.database, schema)
        const table = tableOf(schema, 'samples')
        await moveBlocks(from.database, to.database, table)
        const held = await blocksOf(from.database, table)
        const unpacked = held.flatMap(({ bytes }) => unpacker(from.database)(table, bytes))
        const inPieces = held.reduce((rows, block) => rows + (block.continues === undefined ? 0 : block.rows), 0)
        const all = await rowsOf(from.database, table)
        // Each unpacked row is one of the table's, none of them twice; rows in pieces, and they alone, are missing.
        const left = all.map((row) => JSON.stringify(row))
        for (const row of unpacked.map((each) => JSON.stringify(each))) {
          expect(left).toContain(row)
          left.splice(left.indexOf(row), 1)
        }
        expect(left).toHaveLength(inPieces)
        const expected = await from.shop.samples?.()
        expect(expected?.length).toBeGreaterThan(1)
        expect(await to.shop.samples?.()).toEqual(expected)
        expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
      })
    })

    it('are unpacked into the rows that they hold', async () => {
      const { from } = await contract.pair()
      await fillRanges(from.shop)
      for (const [at, note] of ODD_TEXTS.entries())
        await from.shop.insert('customers', { email: `odd${at}@example.com`, name: note?.slice(0, 9) ?? null, note })
      for (const visitor of ['ada', 'ada', null, '']) await from.shop.insert('visits', { page: '/', visitor })
      for (const name of PARENTS_FIRST) {
        const table = tableOf(from.schema, name)
        const unpacked = (await blocksOf(from.database, table)).flatMap(({ bytes }) => unpacker(from.database)(table, bytes))
        expect(unpacked.toSorted(byText)).toEqual((await rowsOf(from.database, table)).toSorted(byText))
      }
    })

    it('hold whole rows: each can be loaded by itself', async () => {
      const { from, to } = await contract.pair()
      await from.shop.insertWords(12_000)
      const table = tableOf(from.schema, 'words')
      const held = await blocksOf(from.database, table)
      for (const [at, block] of held.entries()) {
        const loaded = await loaderOf(to.database)(table, buffers(block), { run: 'copy', name: `block ${at}` })
        expect(loaded).toBe(block.rows)
      }
      expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
    })

    describeWhen(ranges, 'of ranges of keys', () => {
      it('add up to exactly the table', async () => {
        const { from, to } = await contract.pair()
        await fillRanges(from.shop, 2500)
        const table = tableOf(from.schema, 'words')
        const held = await from.database.read(1, async ([reader]) => {
          const all: Block[] = []
          for (const range of await rangesOf(reader, table, 400)) all.push(...(await collect(blocksFrom(reader)(table, range))))
          return all
        })
        const rows = await loaderOf(to.database)(table, buffers(...held), { run: 'copy', name: 'words' })
        expect(rows).toBe((await from.shop.rows('words')).length)
        expect(await rowsOf(to.database, table)).toEqual(await rowsOf(from.database, table))
      })
    })

    it('may be left midway: the reader goes on with another table', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(60_000)
      await fillShop(shop)
      await database.read(1, async ([reader]) => {
        for await (const block of blocksFrom(reader)(tableOf(schema, 'words'))) {
          expect(block.rows).toBeGreaterThan(0)
          break
        }
        expect(await readAll(reader, tableOf(schema, 'customers'))).toHaveLength(3)
        const words = await collect(blocksFrom(reader)(tableOf(schema, 'words')))
        expect(words.reduce((rows, block) => rows + block.rows, 0)).toBe(60_000)
      })
    })

    it('stop with the signal’s reason', async () => {
      const { shop, database, schema } = await contract.shop()
      await shop.insertWords(60_000)
      const stop = new AbortController()
      const reason = new Error('stopped by the test')
      const reading = database.read(1, async ([reader]) => {
        for await (const block of blocksFrom(reader)(tableOf(schema, 'words'), { signal: stop.signal }))
          if (block.rows > 0) stop.abort(reason)
      })
      // A reader that had fetched everything by then may also end in peace.
      const end = await reading.catch((error: unknown) => error)
      expect([reason, undefined]).toContain(end)
      expect(await rowsOf(database, tableOf(schema, 'words'), { limit: 3 })).toHaveLength(3)
    })

    it('are loaded exactly once under their mark, or not at all', async () => {
      const { from, to } = await contract.pair()
      await from.shop.insertWords(1500)
      const table = tableOf(from.schema, 'words')
      const held = await blocksOf(from.database, table)
      const load = loaderOf(to.database)
      const fault = new Error('the source broke')
      async function* breaking() {
        yield* buffers(...held)
        throw fault
      }
      await expect(load(table, breaking(), { run: 'copy', name: 'words' })).rejects.toBe(fault)
      const twice = load(table, buffers(...held, ...held), { run: 'copy', name: 'words' })
      expect((await failureOf(twice)).code).toBe('database-statement-failed')
      expect(await to.shop.rows('words')).toEqual([])
      expect((await to.database.marks('copy')).size).toBe(0)
      expect(await load(table, buffers(...held), { run: 'copy', name: 'words' })).toBe(1500)
      expect(await load(table, buffers(...held), { run: 'copy', name: 'words' })).toBe(0)
      expect(await to.shop.rows('words')).toHaveLength(1500)
      expect(await load(tableOf(from.schema, 'categories'), buffers(), { run: 'copy', name: 'nothing' })).toBe(0)
      expect(await to.database.marks('copy')).toEqual(new Set(['words', 'nothing']))
    })
  })

  describeWhen(blocks, 'several small loads in one transaction', () => {
    it('are done exactly once each, or none of them', async () => {
      const { from, to } = await contract.pair()
      await fillShop(from.shop)
      await from.shop.insertWords(5)
      const { database } = to
      if (database.loadTogether === undefined) return
      const tables = (['customers', 'products', 'words', 'categories'] as const).map((name) => tableOf(from.schema, name))
      const held = new Map<Table, readonly Block[]>()
      for (const table of tables) held.set(table, await blocksOf(from.database, table))
      const loads = (twice?: Table) =>
        tables.map((table) => ({
          table,
          mark: { run: 'copy', name: table.name.name },
          blocks: buffers(...(held.get(table) ?? []), ...(table === twice ? (held.get(table) ?? []) : [])),
        }))
      const failure = await failureOf(Promise.resolve(database.loadTogether(loads(tables[2]))))
      expect(failure.code).toBe('database-statement-failed')
      expect(await to.shop.rows('customers')).toEqual([])
      expect((await database.marks('copy')).size).toBe(0)
      await loaderOf(database)(tableOf(from.schema, 'products'), buffers(...(held.get(tableOf(from.schema, 'products')) ?? [])), {
        run: 'copy',
        name: 'products',
      })
      expect(await database.loadTogether(loads())).toEqual([3, 0, 5, 0])
      expect(await database.loadTogether(loads())).toEqual([0, 0, 0, 0])
      for (const name of ['customers', 'products', 'words'] as const)
        expect(sorted(await to.shop.rows(name))).toEqual(sorted(await from.shop.rows(name)))
      expect(await database.marks('copy')).toEqual(new Set(['customers', 'products', 'words', 'categories']))
      await database.analyse?.(tables)
    })
  })

  describe('an adapter', () => {
    it('has the powers that its abilities name, those of blocks all together', async () => {
      const { database } = await contract.empty()
      await database.read(1, async ([reader]) => {
        expect(reader.boundary !== undefined).toBe(ranges)
        const ofBlocks = [reader.blocks, database.loadBlocks, database.blockFormat, database.unpackBlock]
        expect(ofBlocks.map((power) => power !== undefined)).toEqual(ofBlocks.map(() => blocks))
        const { fingerprintMethod, printedByKey, printedByPrint } = database
        const ofPrints = [reader.sum, reader.prints, fingerprintMethod, printedByKey, printedByPrint]
        const fingerprints = contract.abilities.fingerprints ?? true
        expect(ofPrints.map((power) => power !== undefined)).toEqual(ofPrints.map(() => fingerprints))
      })
    })
  })
}

const byText = (a: Row, b: Row): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
