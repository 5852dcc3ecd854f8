import { expect, it } from 'vitest'
import { type Contract, changed, describeWhen, failureOf, fillShop, itWhen, rowOf, rowsOf, tableOf } from './database-kit.ts'
import { copiesPowers, lockPrinted, printingOf, printingPowers, printsOf } from './database-prints-kit.ts'

export function lookupContract(contract: Contract): void {
  describeWhen(contract.abilities.fingerprints ?? true, 'rows with their fingerprints', () => {
    it('are found by key, those that aren’t there left out', async () => {
      const { shop, database, schema } = await contract.shop()
      const { orders } = await fillShop(shop)
      const items = tableOf(schema, 'order_items')
      const what = printingOf(items, { apart: ['quantity'] })
      const expected = new Map((await printsOf(database, items, what)).map((each) => [JSON.stringify(each.key), each]))
      const [first = '', second = ''] = orders
      const { printedByKey } = printingPowers(database)
      const found = await printedByKey(items, what, [
        [first, '1'],
        [second, '2'],
        [second, '99'],
      ])
      expect(found.map(({ key }) => JSON.stringify(key)).sort()).toEqual(
        [JSON.stringify([first, '1']), JSON.stringify([second, '2'])].sort(),
      )
      for (const { row, ...printed } of found) {
        expect(printed).toEqual(expected.get(JSON.stringify(printed.key)))
        expect(row).toEqual(await rowOf(database, items, ...printed.key))
      }
      expect(await printedByKey(items, what, [])).toEqual([])
    })

    it('are found by fingerprint, every copy of a row without a key', async () => {
      const { shop, database, schema } = await contract.shop()
      for (const visitor of ['ada', 'ada', 'ADA', null, '']) await shop.insert('visits', { page: '/', visitor })
      const visits = tableOf(schema, 'visits')
      const what = printingOf(visits, { apart: ['visitor'] })
      const rows = await rowsOf(database, visits)
      const prints = await printsOf(database, visits, what)
      const { printedByPrint } = printingPowers(database)
      for (const [at, { print }] of prints.entries()) {
        const copies = prints.filter((each) => each.print === print).length
        const found = await printedByPrint(visits, what, [print, '0123456789abcdef'])
        expect(found).toHaveLength(copies)
        for (const each of found) expect(each).toEqual({ ...prints[at], row: rows[at] })
      }
      const all = await printedByPrint(visits, what, [...new Set(prints.map(({ print }) => print))])
      expect(all.map(({ row }) => JSON.stringify(row)).sort()).toEqual(rows.map((row) => JSON.stringify(row)).sort())
      expect(await printedByPrint(visits, what, [])).toEqual([])
    })

    it('are counted by fingerprint within a transaction, with what it did itself', async () => {
      const { shop, database, schema } = await contract.shop()
      for (const visitor of ['ada', 'ada', 'ADA', null, '']) await shop.insert('visits', { page: '/', visitor })
      const visits = tableOf(schema, 'visits')
      const what = printingOf(visits)
      const row = changed(visits, [], { page: '/', visitor: 'ada' })
      await database.transaction([visits], async (transaction) => {
        const { countPrints, printOf } = copiesPowers(transaction)
        const prints: string[] = []
        for (const visitor of ['ada', 'ADA', null, '']) {
          const print = await printOf(visits, what, changed(visits, row, { visitor }))
          prints.push(print ?? 'none')
        }
        const [ada = '', upper = '', none = '', empty = ''] = prints
        expect(await printOf(visits, what, changed(visits, row, { visitor: 'eve' }))).toBeUndefined()
        const before = await countPrints(visits, what, [...prints, '0123456789abcdef'])
        expect(Object.fromEntries(before)).toEqual({ [ada]: 2, [upper]: 1, [none]: 1, [empty]: 1 })
        await transaction.insert(visits, [row])
        expect(await transaction.removeCopies(visits, changed(visits, row, { visitor: 'ADA' }), 1)).toBe(1)
        expect(Object.fromEntries(await countPrints(visits, what, [ada, upper]))).toEqual({ [ada]: 3 })
        expect(await countPrints(visits, what, [])).toEqual(new Map())
      })
      const prints = (await printsOf(database, visits, what)).map(({ print }) => print)
      expect(new Set(prints).size).toBe(3)
    })

    it('are locked as they stand, with what the transaction did itself', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const what = printingOf(table, { apart: ['note'] })
      const [ada = '', bob = ''] = customers
      const before = await printsOf(database, table, what)
      const row = await rowOf(database, table, bob)
      const [locked, rewritten] = await database.transaction([table], async (transaction) => {
        const first = await lockPrinted(transaction)(table, what, [[ada], ['9999']])
        await transaction.update(table, changed(table, row, { note: 'rewritten' }))
        return [first, await lockPrinted(transaction)(table, what, [[bob]])]
      })
      expect(locked).toEqual([{ ...before.find(({ key }) => key[0] === ada), row: await rowOf(database, table, ada) }])
      const after = (await printsOf(database, table, what)).find(({ key }) => key[0] === bob)
      expect(rewritten).toEqual([{ ...after, row: await rowOf(database, table, bob) }])
      const was = before.find(({ key }) => key[0] === bob)
      expect([after?.rest, after?.print === was?.print]).toEqual([was?.rest, false])
    })

    itWhen(contract.abilities.locks, 'aren’t waited for long when somebody else holds them', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const release = await shop.holdLock?.('customers', { id: customers[0] ?? null })
      const failure = await failureOf(
        database.transaction([table], (transaction) =>
          lockPrinted(transaction)(table, printingOf(table), [[customers[0] ?? '']]),
        ),
      )
      await release?.()
      expect([failure.code, failure.retrySafe]).toEqual(['database-busy', true])
    })
  })
}
