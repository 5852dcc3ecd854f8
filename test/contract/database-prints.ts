import { expect, it } from 'vitest'
import type { Database, Row } from '../../src/databases/port.ts'
import { keyPositions, readableColumns, type Schema, type Table } from '../../src/databases/schema.ts'
import { fillRanges } from './database-blocks-kit.ts'
import type { ShopDatabase } from './database-host.ts'
import {
  type Contract,
  changed,
  copyTable,
  createAll,
  describeWhen,
  fillShop,
  itWhen,
  ODD_TEXTS,
  PARENTS_FIRST,
  rowOf,
  rowsOf,
  tableOf,
} from './database-kit.ts'
import { byKey, printingOf, printingPowers, printsOf, sumOf, variantsOf } from './database-prints-kit.ts'

/** What a careless framing of cells, or a comparison by collation, would take for one another. */
const TEXTS: readonly (string | null)[] = [
  null,
  '',
  ' ',
  '  ',
  'a',
  'A',
  'á',
  'a\u0301',
  'a ',
  ' a',
  'ab',
  'b',
  'a|bc',
  'bc',
  '|',
  ',',
  'a,b',
  '"',
  '""',
  '\\',
  '\\N',
  'NULL',
  '(a,b)',
  '1:a',
  '0',
  '\t',
  'a\tb',
  '\n',
  'ß',
  'ss',
  '😀',
  '😁',
  '\u0001',
]

export function printContract(contract: Contract): void {
  describeWhen(contract.abilities.fingerprints ?? true, 'fingerprints', () => {
    it('of equal rows are equal on two databases, by the same method', async () => {
      const { from, to } = await contract.pair()
      await fillRanges(from.shop)
      for (const [at, note] of ODD_TEXTS.entries())
        await from.shop.insert('customers', { email: `odd${at}@example.com`, name: note?.slice(0, 9) ?? null, note })
      for (const visitor of ['ada', 'ada', null, '']) await from.shop.insert('visits', { page: '/', visitor })
      for (const name of PARENTS_FIRST) {
        const table = tableOf(from.schema, name)
        await copyTable(from.database, to.database, table)
        const method = await printingPowers(from.database).fingerprintMethod(table)
        expect(method, name).toMatch(/^\S+$/)
        expect(await printingPowers(to.database).fingerprintMethod(table)).toBe(method)
        const prints = await printsOf(from.database, table)
        expect(prints).toHaveLength((await from.shop.rows(name)).length)
        for (const { print, rest } of prints) {
          expect(print).toMatch(/^[0-9a-f]{16}$/)
          expect(rest).toBe(print)
        }
        const there = await printsOf(to.database, table)
        expect(there.map((each) => JSON.stringify(each)).sort()).toEqual(prints.map((each) => JSON.stringify(each)).sort())
      }
    })

    it('tell texts apart to the byte, and on which side of a column’s border they stand', async () => {
      const { database, schema, table } = await customers(contract)
      const template = (await rowsOf(database, table))[0] ?? []
      const pairs = TEXTS.flatMap((name) => TEXTS.map((note) => ({ name, note })))
      const rows = pairs.map((pair, at) =>
        changed(table, template, { ...pair, id: String(5000 + at), email: `p${at}@example.com` }),
      )
      await database.transaction([table], (transaction) => transaction.insert(table, rows))
      expect(schema.tables).toContain(table)
      const two = { columns: ['name', 'note'], apart: [] }
      const found = byKey(await printsOf(database, table, two))
      const seen = new Map<string, unknown>()
      for (const [at, pair] of pairs.entries()) {
        const print = found.get(JSON.stringify([String(5000 + at)])) ?? ''
        expect(seen.get(print), JSON.stringify(pair)).toBeUndefined()
        seen.set(print, pair)
      }
      expect(seen.size).toBe(TEXTS.length ** 2)
    })

    it('tell long texts apart by their last character', async () => {
      const { shop, database, table } = await customers(contract)
      const long = 'long text, longer than any buffer. '.repeat(100_000)
      const one = await shop.insert('customers', { email: 'one@example.com', name: null, note: `${long}a` })
      const two = await shop.insert('customers', { email: 'two@example.com', name: null, note: `${long}b` })
      const three = await shop.insert('customers', { email: 'three@example.com', name: null, note: `${long}a` })
      const prints = byKey(await printsOf(database, table, { columns: ['name', 'note'], apart: [] }))
      const of = (id: string) => prints.get(JSON.stringify([id]))
      expect(of(one)).toBe(of(three))
      expect(of(one)).not.toBe(of(two))
    })

    it('tell letters of either case apart where the collation doesn’t', async () => {
      const { shop, database, schema } = await contract.further()
      await shop.insert('coupons', { code: 'Summer', used: null })
      const table = tableOf(schema, 'coupons')
      const before = await printsOf(database, table)
      const sum = await sumOf(database, table)
      await shop.update('coupons', { code: 'Summer' }, { code: 'SUMMER' })
      expect((await printsOf(database, table))[0]?.print).not.toBe(before[0]?.print)
      expect((await sumOf(database, table)).sum).not.toBe(sum.sum)
    })

    it('take in every column of a wide table', async () => {
      const { shop, database, schema } = await contract.further()
      const table = tableOf(schema, 'wide')
      const names = readableColumns(table)
        .map((column) => column.name)
        .slice(1)
      const full = Object.fromEntries(names.map((name) => [name, `${name} ${'😀'.repeat(5)}`]))
      await shop.insert('wide', { id: '1', ...full })
      const row = await rowOf(database, table, '1')
      const rows = names.flatMap((name, at) => [
        changed(table, row, { id: String(1000 + at), [name]: null }),
        changed(table, row, { id: String(2000 + at), [name]: '' }),
      ])
      await database.transaction([table], (transaction) => transaction.insert(table, rows))
      const prints = await printsOf(database, table, printingOf(table, { without: ['id'] }))
      expect(new Set(prints.map(({ print }) => print)).size).toBe(rows.length + 1)
    })

    it('don’t mind columns that are left out, nor what the server sets itself', async () => {
      const { shop, database, table, schema } = await customers(contract)
      const [id = ''] = (await rowsOf(database, table))[0] ?? []
      const what = printingOf(table, { without: ['note'] })
      const before = await printsOf(database, table, what)
      await shop.update('customers', { id }, { note: 'another note' })
      expect(await printsOf(database, table, what)).toEqual(before)
      await shop.update('customers', { id }, { name: 'another name' })
      expect(await printsOf(database, table, what)).not.toEqual(before)
      const orders = tableOf(schema, 'orders')
      const placed = await printsOf(database, orders)
      for (const row of await shop.rows('orders')) await shop.update('orders', { id: row.id ?? null }, { status: 'open' })
      expect(await printsOf(database, orders)).toEqual(placed)
    })

    it('keep the columns apart, and take them out of the rest', async () => {
      const { shop, database, table, schema } = await customers(contract)
      const apart = ['note', 'name']
      const whole = printingOf(table, { apart })
      const prints = await printsOf(database, table, whole)
      const rows = await rowsOf(database, table)
      const at = (name: string) => readableColumns(table).findIndex((column) => column.name === name)
      expect(prints.map((each) => each.apart)).toEqual(rows.map((row) => apart.map((name) => row[at(name)] ?? null)))
      expect(prints.map(({ print }) => print)).toEqual((await printsOf(database, table)).map(({ print }) => print))
      const rest = (await printsOf(database, table, printingOf(table, { without: apart }))).map(({ print }) => print)
      expect(prints.map((each) => each.rest)).toEqual(rest)
      await shop.update('customers', { id: rows[0]?.[0] ?? null }, { note: 'changed' })
      const later = await printsOf(database, table, whole)
      expect(later.map((each) => each.rest)).toEqual(rest)
      expect(later[0]?.print).not.toBe(prints[0]?.print)
      const products = tableOf(schema, 'products')
      const [product] = await printsOf(database, products, printingOf(products, { apart: ['stock', 'price'] }))
      expect(product?.apart).toEqual(['10', '19.9900'])
    })

    itWhen(contract.abilities.accounts, 'are taken by an account that may only read', async () => {
      const { shop, database, table } = await customers(contract)
      const reader = await shop.openReadOnly?.()
      if (reader === undefined) throw new Error('the shop has no account that may only read')
      contract.track(reader)
      const prints = await printsOf(reader, table)
      expect(prints).toEqual(await printsOf(database, table))
      expect(await sumOf(reader, table)).toEqual(await sumOf(database, table))
      const [first] = prints
      expect(await printingPowers(reader).fingerprintMethod(table)).toBe(await printingPowers(database).fingerprintMethod(table))
      const what = printingOf(table)
      expect(await printingPowers(reader).printedByKey(table, what, [first?.key ?? []])).toMatchObject([{ ...first }])
      expect(await printingPowers(reader).printedByPrint(table, what, [first?.print ?? ''])).toMatchObject([{ ...first }])
    })

    describeWhen(contract.abilities.samples, 'of every type the engine has', () => {
      it('change with every cell, NULL too, and are the same on another database', async () => {
        const from = await contract.empty()
        const to = await contract.empty()
        await from.shop.createSamples?.()
        const schema = await from.database.schema()
        await createAll(to.database, schema)
        const table = tableOf(schema, 'samples')
        const method = await printingPowers(from.database).fingerprintMethod(table)
        expect(method).toMatch(/^\S+$/)
        expect(await printingPowers(to.database).fingerprintMethod(table)).toBe(method)
        const [key = ''] = table.key
        const variants = variantsOf(table, await rowsOf(from.database, table), key)
        await insertAll(
          from.database,
          table,
          variants.map(({ row }) => row),
        )
        await copyTable(from.database, to.database, table)
        const what = printingOf(table, { without: [key] })
        const prints = byKey(await printsOf(from.database, table, what))
        const keyAt = keyPositions(table)[0] ?? 0
        const seen = new Map<string, string>()
        for (const { column, row } of variants) {
          const print = prints.get(JSON.stringify([row[keyAt]])) ?? ''
          expect(
            seen.get(print),
            `${column} ${row[readableColumns(table).findIndex((each) => each.name === column)]}`,
          ).toBeUndefined()
          seen.set(print, column)
        }
        expect(seen.size).toBe(variants.length)
        expect(byKey(await printsOf(to.database, table, what))).toEqual(prints)
        expect(await sumOf(to.database, table)).toEqual(await sumOf(from.database, table))
      })
    })
  })
}

async function insertAll(database: Database, table: Table, rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += 100) {
    const batch = rows.slice(from, from + 100)
    await database.transaction([table], (transaction) => transaction.insert(table, batch))
  }
}

async function customers(
  contract: Contract,
): Promise<{ readonly shop: ShopDatabase; readonly database: Database; readonly schema: Schema; readonly table: Table }> {
  const made = await contract.shop()
  await fillShop(made.shop)
  return { ...made, table: tableOf(made.schema, 'customers') }
}
