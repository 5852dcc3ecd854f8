import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import type { Table } from '../../src/databases/schema.ts'
import {
  type Contract,
  changed,
  copyTable,
  describeWhen,
  failureOf,
  fillShop,
  itWhen,
  rowOf,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'

export function faultContract(contract: Contract): void {
  describeWhen(contract.abilities.accounts, 'a connection that can’t be made', () => {
    const faults = [
      ['wrong-password', 'database-login-failed'],
      ['unreachable', 'database-unreachable'],
      ['missing-database', 'database-missing'],
    ] as const
    it.each(faults)('for %s ends as %s, without the password', async (fault, code) => {
      const { shop } = await contract.empty()
      const made = await shop.openFaulty?.(fault)
      if (made === undefined) throw new Error('This host cannot make a faulty connection.')
      const { database, secret } = made
      contract.track(database)
      const failure = await failureOf(database.info())
      expect(failure.code).toBe(code)
      expect(failure.hint).toBeDefined()
      expect(failure.message).toContain(database.label)
      expect(inspect(failure, { depth: 5 })).not.toContain(secret)
      expect(inspect(database, { depth: 5 })).not.toContain(secret)
    })
  })

  describeWhen(contract.abilities.accounts, 'an account that may only read', () => {
    it('can do everything that a check, a plan and a snapshot do', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const reader = await readOnly(contract, shop)
      const seen = await reader.schema()
      expect(seen.tables.map(withoutTriggers)).toEqual(schema.tables.map(withoutTriggers))
      expect(seen.foreignKeys).toEqual(schema.foreignKeys)
      expect((await reader.info()).fingerprint).toBe((await database.info()).fingerprint)
      expect(await reader.sizes()).toHaveLength(schema.tables.length)
      expect(await reader.identities(seen)).toEqual(await database.identities(schema))
      expect(await reader.marks('run')).toEqual(new Set())
      expect(await reader.ledgerEntries('run', 'customers')).toEqual([])
      for (const table of schema.tables) expect(await rowsOf(reader, table)).toEqual(await rowsOf(database, table))
      expect(await reader.rowsByKey(tableOf(schema, 'customers'), [[customers[0] ?? '']])).toHaveLength(1)
    })

    itWhen(contract.abilities.definitions !== false, 'sees every trigger and object, and lacks no right to read', async () => {
      const { shop, schema } = await contract.shop()
      const reader = await readOnly(contract, shop)
      const seen = await reader.schema()
      expect(seen.tables).toEqual(schema.tables)
      expect(seen.objects).toEqual(schema.objects)
      expect(seen.findings).toEqual(schema.findings)
      expect(await reader.missingRights('read')).toEqual([])
    })

    it('is refused whatever writes, and each missing right is named with what grants it', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const reader = await readOnly(contract, shop)
      const table = tableOf(schema, 'customers')
      const row = await rowOf(database, table, customers[0] ?? '')
      const before = {
        rows: sorted(await shop.rows('customers')),
        tables: await shop.tables(),
        identities: await database.identities(schema),
      }
      const [identity] = schema.identities
      const mark = { run: 'run', name: 'x' }
      const attempts = [
        () => reader.execute('CREATE TABLE t1 (a int)', mark),
        () => reader.load(table, rowsOnce(changed(table, row, { id: '5000', email: 'x@example.com' })), mark),
        () => reader.transaction([table], (transaction) => transaction.update(table, changed(table, row, { name: 'x' }))),
        () => (identity === undefined ? Promise.resolve() : reader.raiseIdentity(identity, 5000n)),
      ]
      for (const attempt of attempts) expect((await failureOf(attempt())).code).toBe('database-permission-denied')
      const missing = await reader.missingRights('write')
      expect(missing.length).toBeGreaterThan(0)
      for (const finding of missing) {
        expect(finding.severity).toBe('error')
        expect(finding.hint).toMatch(/GRANT|ALTER/)
      }
      expect(await database.missingRights('write')).toEqual([])
      expect(sorted(await shop.rows('customers'))).toEqual(before.rows)
      expect(await shop.tables()).toEqual(before.tables)
      expect(await database.identities(schema)).toEqual(before.identities)
    })
  })

  describeWhen(contract.abilities.network, 'a connection that breaks', () => {
    it('in the middle of a read ends as retrySafe, and reading goes on after the cause is mended', async () => {
      const { shop, schema } = await contract.shop()
      await shop.insertWords(20_000)
      const words = tableOf(schema, 'words')
      const { database, cut, mend } = await proxied(contract, shop)
      await database.info()
      let seen = 0
      const reading = database.read(1, async ([reader]) => {
        // Told before the first row: what the line had brought by then could be all of them.
        cut(150_000)
        for await (const batch of reader.rows(words)) seen += batch.length
      })
      const failure = await failureOf(reading)
      expect([failure.code, failure.retrySafe]).toEqual(['database-connection-lost', true])
      expect(seen).toBeLessThan(20_000)
      mend()
      expect(await rowsOf(database, words)).toHaveLength(20_000)
    })

    it('in the middle of a load leaves nothing, and the same load goes through afterwards', async () => {
      const { from, to } = await contract.pair()
      await from.shop.insertWords(20_000)
      const words = tableOf(from.schema, 'words')
      const { database, cut, mend } = await proxied(contract, to.shop)
      await database.info()
      async function* rows() {
        cut(100_000)
        yield* await oneByOne()
      }
      const all = await rowsOf(from.database, words)
      const oneByOne = async () => [all.slice(0, 10_000), all.slice(10_000)]
      const failure = await failureOf(database.load(words, rows(), { run: 'copy', name: 'words' }))
      expect([failure.code, failure.retrySafe]).toEqual(['database-connection-lost', true])
      expect(await to.shop.rows('words')).toEqual([])
      expect(await to.database.marks('copy')).toEqual(new Set())
      mend()
      expect(await copyTable(from.database, database, words)).toBe(20_000)
    })

    it('in the middle of a transaction leaves nothing', async () => {
      const { shop, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const before = sorted(await shop.rows('customers'))
      const table = tableOf(schema, 'customers')
      const { database, cut, mend } = await proxied(contract, shop)
      const row = await rowOf(database, table, customers[0] ?? '')
      const work = database.transaction([table], async (transaction) => {
        await transaction.update(table, changed(table, row, { name: 'half done' }))
        cut(0)
        await transaction.update(table, changed(table, row, { name: 'done' }))
      })
      const failure = await failureOf(work)
      expect([failure.code, failure.retrySafe]).toEqual(['database-connection-lost', true])
      expect(sorted(await shop.rows('customers'))).toEqual(before)
      mend()
      await database.transaction([table], (transaction) => transaction.update(table, changed(table, row, { name: 'done' })))
      expect((await shop.rows('customers')).find((each) => each.id === customers[0])?.name).toBe('done')
    })
  })
}

const withoutTriggers = (table: Table): Table => ({ ...table, triggers: [] })

async function* rowsOnce<T>(row: T): AsyncGenerator<readonly T[]> {
  yield [row]
}

async function readOnly(contract: Contract, shop: { openReadOnly?(): Promise<Parameters<Contract['track']>[0]> }) {
  const database = await shop.openReadOnly?.()
  if (database === undefined) throw new Error('This host has no read-only account.')
  return contract.track(database)
}

async function proxied(
  contract: Contract,
  shop: {
    openThroughProxy?(): Promise<{
      readonly database: Parameters<Contract['track']>[0]
      cut(afterBytes: number): void
      mend(): void
    }>
  },
) {
  const made = await shop.openThroughProxy?.()
  if (made === undefined) throw new Error('This host has no proxy.')
  contract.track(made.database)
  return made
}
