import { describe, expect, it } from 'vitest'
import type { LedgerEntry, Row } from '../../src/databases/port.ts'
import { fullName, readableColumns, type Table } from '../../src/databases/schema.ts'
import {
  batchesOf,
  type Contract,
  copyTable,
  createAll,
  describeWhen,
  failureOf,
  fillShop,
  PARENTS_FIRST,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'

export function writingContract(contract: Contract): void {
  describe('a load', () => {
    it('happens exactly once under its mark, identity values kept', async () => {
      const { from, to } = await contract.pair()
      await fillShop(from.shop)
      await from.shop.remove('orders', { id: '1' })
      const table = tableOf(from.schema, 'customers')
      expect(await copyTable(from.database, to.database, table)).toBe(3)
      expect(await copyTable(from.database, to.database, table)).toBe(0)
      expect(await to.shop.rows('customers')).toHaveLength(3)
      expect(sorted(await to.shop.rows('customers'))).toEqual(sorted(await from.shop.rows('customers')))
      expect(await to.database.marks('copy')).toEqual(new Set(['customers']))
      expect(await to.database.marks('another run')).toEqual(new Set())
    })

    it('of no rows sets its mark', async () => {
      const { from, to } = await contract.pair()
      expect(await copyTable(from.database, to.database, tableOf(from.schema, 'words'))).toBe(0)
      expect(await to.database.marks('copy')).toEqual(new Set(['words']))
    })

    it('that fails midway leaves nothing, not even its mark, and passes the source’s error on', async () => {
      const { from, to } = await contract.pair()
      await from.shop.insertWords(1500)
      const table = tableOf(from.schema, 'words')
      const rows = await rowsOf(from.database, table)
      const fault = new Error('the source broke')
      async function* breaking() {
        yield rows.slice(0, 1000)
        throw fault
      }
      await expect(to.database.load(table, breaking(), { run: 'copy', name: 'words' })).rejects.toBe(fault)
      const twice = batchesOf(rows.slice(0, 1000), rows.slice(999))
      expect((await failureOf(to.database.load(table, twice, { run: 'copy', name: 'words' }))).code).toBe(
        'database-statement-failed',
      )
      expect(await to.shop.rows('words')).toEqual([])
      expect((await to.database.marks('copy')).size).toBe(0)
      expect(await copyTable(from.database, to.database, table)).toBe(1500)
    })
  })

  describe('a statement under a mark', () => {
    it('runs exactly once and is taken back exactly once', async () => {
      const { schema } = await contract.shop()
      const { shop, database } = await contract.empty()
      const statements = database.ddl(schema)
      const table = statements.find((statement) => statement.name.startsWith('table ') && statement.name.endsWith('words'))
      for (const statement of statements) {
        if (statement.stage === 'before' && !statement.name.startsWith('table ')) {
          await database.execute(statement.sql, { run: 'create', name: statement.name })
        }
      }
      const mark = { run: 'create', name: 'words' }
      await database.execute(table?.sql ?? '', mark)
      await database.execute(table?.sql ?? '', mark)
      expect(await shop.tables()).toContain('words')
      expect(await database.marks('create')).toContain('words')
      await database.retract(table?.undo ?? null, mark)
      await database.retract(table?.undo ?? null, mark)
      expect(await shop.tables()).not.toContain('words')
      expect(await database.marks('create')).not.toContain('words')
    })

    it('runs together with others, in their order, each exactly once', async () => {
      const { schema } = await contract.shop()
      const { shop, database } = await contract.empty()
      if (database.executeTogether === undefined) return
      const marked = (stage: 'before' | 'after') =>
        database
          .ddl(schema)
          .filter((statement) => statement.stage === stage)
          .map(({ name, sql }) => ({ sql, mark: { run: 'create', name } }))
      const [before, after] = [marked('before'), marked('after')]
      await database.execute(before[0]?.sql ?? '', before[0]?.mark ?? { run: '', name: '' })
      await database.executeTogether(before)
      await database.executeTogether(before)
      await database.executeTogether(after)
      await database.executeTogether([...before, ...after])
      expect(await database.marks('create')).toEqual(new Set([...before, ...after].map(({ mark }) => mark.name)))
      expect(await shop.tables()).toContain('words')
      expect((await database.schema()).tables).toEqual(schema.tables)
    })

    it('that fails among others is the one that is named, and nothing after it was run', async () => {
      const { schema } = await contract.shop()
      const { shop, database } = await contract.empty()
      if (database.executeTogether === undefined) return
      const before = database
        .ddl(schema)
        .filter(({ stage }) => stage === 'before')
        .map(({ name, sql }) => ({ sql, mark: { run: 'create', name } }))
      const bad = { sql: 'CREATE GARBAGE once', mark: { run: 'create', name: 'garbage' } }
      const last = before.at(-1)
      if (last === undefined) throw new Error('no statement')
      const failure = await failureOf(database.executeTogether([...before.slice(0, -1), bad, last]))
      expect(failure.code).toBe('database-statement-failed')
      expect(failure.message).toContain('CREATE GARBAGE once')
      const marks = await database.marks('create')
      expect(marks).not.toContain('garbage')
      expect(marks).not.toContain(last.mark.name)
      const standing = await shop.tables()
      for (const table of schema.tables)
        expect(standing.includes(table.name.name)).toBe(marks.has(`table ${fullName(table.name)}`))
      await database.executeTogether(before)
      expect(await database.marks('create')).toEqual(new Set(before.map(({ mark }) => mark.name)))
    })

    it('that fails leaves no mark and says which statement it was', async () => {
      const { database } = await contract.empty()
      const failure = await failureOf(database.execute('CREATE GARBAGE once', { run: 'create', name: 'garbage' }))
      expect(failure.code).toBe('database-statement-failed')
      expect(failure.message).toContain('CREATE GARBAGE once')
      expect(await database.marks('create')).toEqual(new Set())
    })

    it('leaves no trace in a database that migrate never wrote to', async () => {
      const { shop, database } = await contract.empty()
      expect(await database.marks('create')).toEqual(new Set())
      expect(await database.ledgerEntries('run', 'words')).toEqual([])
      expect(await shop.tables()).toEqual([])
    })
  })

  describe('the ledger', () => {
    it('is kept with the rows, newest last, by run and table', async () => {
      const { shop, database, schema } = await contract.shop()
      const table = tableOf(schema, 'words')
      await database.transaction([table], async (transaction) => {
        await transaction.insert(table, [wordRow(table, 'one'), wordRow(table, 'two')])
        await transaction.ledger([entry('one'), { ...entry('two'), action: 'remapped', targetKey: '["zwei"]' }])
      })
      await database.transaction([table], (transaction) =>
        transaction.ledger([{ ...entry('one'), action: 'deleted', sourceState: '', targetState: '' }]),
      )
      await database.transaction([table], (transaction) => transaction.ledger([{ ...entry('x'), run: 'other' }]))
      expect(await database.ledgerEntries('run', 'customers')).toEqual([
        entry('one'),
        { ...entry('two'), action: 'remapped', targetKey: '["zwei"]' },
        { ...entry('one'), action: 'deleted', sourceState: '', targetState: '' },
      ])
      expect(await database.ledgerEntries('run', 'orders')).toEqual([])
      expect(await shop.tables()).toContain('migrate_ledger')
      const about = async (...keys: readonly string[]): Promise<readonly string[]> =>
        (await database.ledgerEntries('run', 'customers', keys)).map(({ sourceKey, action }) => `${sourceKey} ${action}`)
      expect(await about('["one"]')).toEqual(['["one"] inserted', '["one"] deleted'])
      expect(await about('["zwei"]', '["x"]', '["ONE"]')).toEqual(['["two"] remapped'])
      expect(await about('["one"]', '["zwei"]')).toEqual(['["one"] inserted', '["two"] remapped', '["one"] deleted'])
      expect(await about()).toEqual([])
      await database.removeOwnTables()
      await database.removeOwnTables()
      expect((await shop.tables()).filter((name) => name.startsWith('migrate'))).toEqual([])
    })
  })

  describe('a long ledger', () => {
    it('comes whole and in its order, in bounded pages', async () => {
      const { database, schema } = await contract.shop()
      const keys = Array.from({ length: 5001 }, (_, at) => `n${at}`)
      await database.transaction([tableOf(schema, 'words')], (transaction) => transaction.ledger(keys.map(entry)))
      const pages: (readonly LedgerEntry[])[] = []
      for await (const page of database.ledgerPages('run', 'customers')) pages.push(page)
      expect(pages.flat()).toEqual(keys.map(entry))
      expect(pages.every((page) => page.length <= 5000)).toBe(true)
    })
  })

  describe('rows without a parent', () => {
    it('are removed, those with NULL stay', async () => {
      const { shop, database: from, schema } = await contract.shop()
      await fillShop(shop)
      await shop.insert('categories', { parent_id: null, title: 'Others' })
      const parent = await shop.insert('categories', { parent_id: null, title: 'All' })
      const child = await shop.insert('categories', { parent_id: parent, title: 'Shirts' })
      await shop.insert('categories', { parent_id: child, title: 'Red shirts' })
      const { shop: target, database } = await contract.empty()
      await createAll(database, schema, ['before'])
      for (const name of PARENTS_FIRST) await copyTable(from, database, tableOf(schema, name))
      await target.remove('customers', { email: 'ada@example.com' })
      await target.remove('categories', { id: parent })
      const orphansOf = (name: string): Promise<number> => {
        const key = schema.foreignKeys.find((each) => each.table.name === name && each.parent.name !== 'products')
        if (key === undefined) throw new Error(`${name} has no foreign key`)
        return database.deleteOrphans({
          child: key.table,
          columns: key.columns,
          parent: key.parent,
          parentColumns: key.parentColumns,
        })
      }
      expect(await orphansOf('orders')).toBe(1)
      expect(await orphansOf('order_items')).toBe(2)
      // The child of a child goes too: nothing may be left without a parent.
      expect(await orphansOf('categories')).toBe(2)
      expect((await target.rows('categories')).map((row) => row.title)).toEqual(['Others'])
      expect(await orphansOf('orders')).toBe(0)
    })
  })

  describeWhen(contract.abilities.statements, 'statements of a playbook', () => {
    it('run together or not at all', async () => {
      const { shop, database } = await contract.shop()
      await fillShop(shop)
      const { send, broken } = shop.statements ?? { send: '', broken: '' }
      expect((await failureOf(database.runStatements([send, broken]))).code).toBe('database-statement-failed')
      expect((await shop.rows('orders')).map((row) => row.status)).toEqual(['open', 'open'])
      expect(await database.runStatements([send])).toEqual([2])
      expect((await shop.rows('orders')).map((row) => row.status)).toEqual(['sent', 'sent'])
    })
  })
}

const entry = (key: string): LedgerEntry => ({
  run: 'run',
  table: 'customers',
  sourceKey: JSON.stringify([key]),
  targetKey: JSON.stringify([key]),
  action: 'inserted',
  sourceState: '{"print":"ab12"}',
  targetState: '{"print":"ab12"}',
  at: '2026-11-20T07:00:00.000Z',
})

const wordRow = (table: Table, word: string): Row =>
  readableColumns(table).map((column) => (column.name === 'word' ? word : null))
