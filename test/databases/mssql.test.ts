import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Column, Schema, Table } from '../../src/databases/schema.ts'
import { ALL_ABILITIES, databaseContract } from '../contract/database.ts'
import { blocksOf, buffers, loaderOf, moveBlocks } from '../contract/database-blocks-kit.ts'
import { failureOf, readAll } from '../contract/database-kit.ts'
import { startBulkJudge } from '../servers/bulk-judge.ts'
import type { TestMssql, TestMssqlDatabase } from '../servers/mssql.ts'
import { mssqlSuite } from '../servers/mssql-suite.ts'
import { SALES, SALES_ROWS, SALES_TABLE } from './mssql-sales.ts'
import { mssqlHost } from './mssql-shop.ts'
import { column } from './mssql-tables.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const suite = mssqlSuite('databases')
const server = suite.skipped ? undefined : await suite.connect()

// No two sessions of SQL Server share a snapshot: there is one consistent reader, or several plain ones.
const abilities = {
  ...ALL_ABILITIES,
  consistentReads: false,
  layout: false,
  network: !suite.recorded,
  locks: !suite.recorded && server?.gaps.locks === false,
  sequences: server?.gaps.sequences === false,
  definitions: server?.gaps.definitions === false,
}

describe.skipIf(suite.skipped)(suite.title('mssql'), () => {
  databaseContract('mssql', async () => mssqlHost(server ?? (await suite.connect())), abilities)

  describe('SQL Server’s own', () => {
    let own: TestMssql
    let from: TestMssqlDatabase
    let to: TestMssqlDatabase
    let source: Database
    let target: Database
    let schema: Schema

    beforeAll(async () => {
      own = await suite.connect()
      from = await own.database()
      to = await own.database()
      for (const sql of oddShop(own)) await from.use((session) => session.batch(sql))
      source = openMssql(from.options())
      target = openMssql(to.options())
      schema = await source.schema()
      for (const { name, sql } of target.ddl(schema)) await target.execute(sql, { run: 'create', name })
    })
    afterAll(async () => {
      await source?.close()
      await target?.close()
      await own?.close()
    })

    const tableNamed = (name: string): Table => {
      // Some servers list names in lower case.
      const table = schema.tables.find((each) => each.name.name.toLowerCase() === name.toLowerCase())
      if (table === undefined) throw new Error(`no table ${name}`)
      return table
    }

    it('what a shop sees of its settings is told, each as the server has it', async () => {
      const { facts = {}, collation } = await source.info()
      const silent = Object.keys(facts).filter((name) => facts[name] === '')
      expect(silent).toEqual([])
      expect(['readCommittedSnapshot', 'recursiveTriggers', 'serviceBroker'].map((name) => facts[name])).toEqual(
        await from.use(async (session) => {
          const { rows } = await session.query(
            'SELECT is_read_committed_snapshot_on, is_recursive_triggers_on, is_broker_enabled FROM sys.databases WHERE name = DB_NAME()',
          )
          return (rows[0] ?? []).map((on) => (on === true ? '1' : '0'))
        }),
      )
      expect(facts.dateFormat).toMatch(/^(?:dmy|mdy|ymd|ydm|myd|dym)$/)
      expect(facts.temporaryCollation?.toLowerCase()).toBe(collation.toLowerCase())
    })

    it('odd names, composite and descending keys, alias types, modules and disabled triggers arrive', async () => {
      const copy = await target.schema()
      expect(copy.tables).toEqual(schema.tables)
      expect(await target.tables?.()).toEqual(schema.tables)
      expect(copy.foreignKeys).toEqual(schema.foreignKeys)
      expect(copy.objects.map((each) => `${each.kind} ${each.name}`)).toEqual(
        schema.objects.map((each) => `${each.kind} ${each.name}`),
      )
      expect(tableNamed(oddTable(own)).primaryKey?.sql).toContain('DESC')
      const key = schema.foreignKeys.find((each) => each.columns.length === 2)
      expect([key?.columns, key?.parentColumns]).toEqual([
        ['year no', 'no'],
        ['year no', 'no'],
      ])
    })

    it('values of more than a MiB travel in pieces, with empty and absent ones beside them', async () => {
      const table = tableNamed('papers')
      const blocks = await blocksOf(source, table)
      expect(blocks.filter(({ continues }) => continues !== undefined).length).toBeGreaterThan(10)
      expect(Math.max(...blocks.map(({ bytes }) => bytes.length))).toBeLessThan(2 ** 20)
      expect(await moveBlocks(source, target, table)).toBe(4)
      expect(await target.read(1, async ([reader]) => reader.count?.(table))).toBe(4)
      const read = (database: Database) => database.read(1, ([reader]) => readAll(reader, table))
      const arrived = await read(target)
      expect(arrived).toEqual(await read(source))
      expect(arrived.map((row) => row.slice(2).map((cell) => cell?.length ?? null))).toEqual([
        [3_200_000, 1_200_000, null],
        [2, 4, 3],
        [0, 0, 1_600_000],
        [null, 1_200_000, 0],
      ])
    })

    it.each([
      { refusing: false, how: 'as they came, described as SQL Server asks' },
      { refusing: true, how: 'by way of a temporary table where the server refuses them so' },
    ])('many rows arrive $how', async ({ refusing }) => {
      const table = tableNamed('sales')
      const nullable = new Map(table.columns.map((each) => [each.name, each.nullable]))
      const judge = await startBulkJudge(own, { nullable, refusing })
      const there = openMssql(to.options({ host: judge.host, port: judge.port }))
      try {
        await to.use((session) => session.batch('DELETE FROM dbo.sales'))
        const load = async (name: string) =>
          loaderOf(there)(table, buffers(...(await blocksOf(source, table))), { run: 'copy', name: `sales, ${name}` })
        if (refusing) {
          expect(await failureOf(load('refused'))).toMatchObject({ code: 'bulk-load-refused', retrySafe: true })
          expect(await target.read(1, ([reader]) => readAll(reader, table))).toEqual([])
        }
        expect(await load(refusing ? 'staged' : 'as they came')).toBe(SALES)
        expect([judge.statements.length, judge.refusals.length]).toEqual(refusing ? [1, 1] : [1, 0])
        const read = (database: Database) => database.read(1, ([reader]) => readAll(reader, table))
        expect(await read(target)).toEqual(await read(source))
      } finally {
        await there.close()
        await judge.close()
      }
    })

    it('rows under odd names, with keys of several columns, arrive', async () => {
      for (const name of [oddTable(own), 'parts']) {
        const table = tableNamed(name)
        const read = (database: Database) =>
          database.read(1, async ([reader]) => {
            const rows = []
            for await (const batch of reader.rows(table)) rows.push(...batch)
            return rows
          })
        const before = await read(source)
        expect(await source.read(1, ([reader]) => target.load(table, reader.rows(table), { run: 'copy', name }))).toBe(
          before.length,
        )
        expect(before.length).toBeGreaterThan(0)
        expect(await read(target)).toEqual(before)
        expect(
          await target.rowsByKey(table, [
            table.key.map((column) => before[0]?.[table.columns.findIndex((each) => each.name === column)] ?? null),
          ]),
        ).toEqual([before[0]])
      }
    })

    it('an account from which definitions are hidden sees the tables without them, and is told so', async () => {
      const shop = await own.database()
      await shop.use((session) => session.batch('CREATE TABLE dbo.plain (id int IDENTITY(1,1) NOT NULL PRIMARY KEY)'))
      await shop.use((session) => session.batch('CREATE PROCEDURE dbo.nothing AS SELECT 1 AS one'))
      const account = await shop.readOnlyAccount({ definitions: false })
      const reader = openMssql(shop.options({ account }))
      try {
        const seen = await reader.schema()
        expect([seen.tables.map((table) => table.name.name), seen.objects]).toEqual([['plain'], []])
        expect(await reader.missingRights('read')).toEqual([
          {
            severity: 'error',
            code: 'database-right-missing',
            message: expect.stringContaining(`${account.user} may not see definitions`),
            hint: `GRANT VIEW DEFINITION TO [${account.user}];`,
          },
        ])
      } finally {
        await reader.close()
      }
    })

    it('an account that may not read a table is told which, with the statement that grants it', async () => {
      const shop = await own.database()
      await shop.use((session) => session.batch('CREATE TABLE dbo.seen (id int NOT NULL PRIMARY KEY)'))
      const account = await shop.readOnlyAccount()
      await shop.use((session) => session.batch('CREATE TABLE dbo.[kept back] (id int NOT NULL PRIMARY KEY)'))
      // It may see the table, but no row.
      await shop.use((session) => session.batch(`GRANT INSERT ON dbo.[kept back] TO [${account.user}]`))
      const reader = openMssql(shop.options({ account }))
      try {
        const missing = await reader.missingRights('read')
        expect(missing.filter(({ hint }) => hint?.includes('SELECT'))).toEqual([
          {
            severity: 'error',
            code: 'database-right-missing',
            message: expect.stringContaining(`${account.user} may not read dbo.kept back`),
            hint: `GRANT SELECT ON [dbo].[kept back] TO [${account.user}];`,
          },
        ])
      } finally {
        await reader.close()
      }
    })

    it('what the new server doesn’t know of collations and types is named before anything is made', async () => {
      expect(await target.unmet?.(schema)).toEqual([])
      const [table] = schema.tables
      if (table === undefined) throw new Error('no table')
      const columns = [
        { ...column('text', 'varchar(9)'), collation: 'Nothing_CI_AS' },
        { ...column('other', 'nvarchar(9)'), collation: 'Nothing_CI_AS' },
        column('shape', 'nothing(3)'),
      ]
      const found = await target.unmet?.({ ...schema, tables: [{ ...table, name: { schema: 'dbo', name: 'odd' }, columns }] })
      expect(found?.map(({ severity, code, message }) => [severity, code, message])).toEqual([
        ['error', 'collation-unknown', expect.stringMatching(/Nothing_CI_AS of dbo\.odd\.text, dbo\.odd\.other: /)],
        ['error', 'type-unknown', expect.stringMatching(/type nothing of dbo\.odd\.shape: /)],
      ])
    })

    it('text of alias types, whose collation is the database’s, is refused where that has another code page', async () => {
      const [table] = schema.tables
      if (table === undefined) throw new Error('no table')
      const phone = (name: string, change: Partial<Column>): Column => ({
        ...column(name, 'varchar(9)'),
        type: '[dbo].[phone]',
        ...change,
      })
      const columns = [
        phone('lost', { collation: 'Cyrillic_General_CI_AS' }),
        phone('kept', { collation: 'Latin1_General_CI_AS' }),
        phone('wide', { codec: 'nvarchar(9)', collation: 'Cyrillic_General_CI_AS' }),
        phone('own', { type: 'varchar(9)', collation: 'Cyrillic_General_CI_AS' }),
      ]
      const found = await target.unmet?.({ ...schema, tables: [{ ...table, name: { schema: 'dbo', name: 'odd' }, columns }] })
      expect(found).toEqual([
        {
          severity: 'error',
          code: 'alias-type-code-page',
          message: expect.stringMatching(/^dbo\.odd\.lost has a type .* characters of Cyrillic_General_CI_AS would be lost/),
          hint: expect.stringContaining('COLLATE Cyrillic_General_CI_AS'),
        },
      ])
    })

    it('procedures run, functions compute, and a disabled trigger stays silent on the new host', async () => {
      const answers = await to.use(
        async (session) => (await session.query('SELECT dbo.twice(21), (SELECT COUNT(*) FROM dbo.all_parts)')).rows,
      )
      expect(answers[0]?.[0]).toBe(42)
      const disabled = await to.use(
        async (session) => (await session.query('SELECT COUNT(*) FROM sys.triggers WHERE is_disabled = 1')).rows,
      )
      expect(disabled[0]?.[0]).toBe(1)
      const described = await to.use(
        async (session) => (await session.query('SELECT CONVERT(nvarchar(100), value) FROM sys.extended_properties')).rows,
      )
      expect(described).toEqual([["the shop's parts"]])
    })
  })
})

/** The name that needs most quoting of those that this server takes. */
const oddTable = (server: TestMssql): string => (server.gaps.bracketsInNames ? "Order [Lines's" : "Order [Lines]'s")
const odd = (server: TestMssql): string => `[sales ops].[${oddTable(server).replaceAll(']', ']]')}]`

const LARGE_TEXT = "REPLICATE(CONVERT(varchar(max), 'ab c'), 400000)"
const LARGE_BYTES = `CONVERT(varbinary(max), ${LARGE_TEXT})`
/** Some piece of it ends in the middle of a character, and all of it with a space. */
const LARGE_WORDS = "REPLICATE(CONVERT(nvarchar(max), N'é東 😀 '), 200000)"

const oddShop = (server: TestMssql): readonly string[] => [
  'CREATE SCHEMA [sales ops]',
  'CREATE TYPE dbo.phone FROM nvarchar(20) NULL',
  'CREATE TYPE dbo.pairs AS TABLE (a int NOT NULL PRIMARY KEY, b nvarchar(10) NULL)',
  `CREATE TABLE ${odd(server)} ([year no] smallint NOT NULL, no int NOT NULL, phone dbo.phone NULL, [a "quoted" one] money NULL,
  CONSTRAINT [pk odd] PRIMARY KEY NONCLUSTERED ([year no] DESC, no ASC))`,
  `CREATE TABLE dbo.parts (id uniqueidentifier NOT NULL CONSTRAINT pk_parts PRIMARY KEY, [year no] smallint NULL, no int NULL,
  CONSTRAINT fk_parts FOREIGN KEY ([year no], no) REFERENCES ${odd(server)} ([year no], no) ON UPDATE CASCADE)`,
  ...(server.gaps.filteredIndexes ? [] : ['CREATE INDEX ix_filtered ON dbo.parts (no) INCLUDE ([year no]) WHERE no IS NOT NULL']),
  ...(server.gaps.synonyms ? [] : ['CREATE SYNONYM dbo.pieces FOR dbo.parts']),
  `INSERT INTO ${odd(server)} VALUES (2024, 1, N'+49 30', 19.99), (2024, 2, NULL, -0.0001), (2023, 9, N'', NULL)`,
  'INSERT INTO dbo.parts VALUES (NEWID(), 2024, 1), (NEWID(), 2023, 9), (NEWID(), NULL, NULL)',
  'CREATE TABLE dbo.papers (id int NOT NULL PRIMARY KEY, title nvarchar(40) NULL, scan varbinary(max) NULL, words nvarchar(max) NULL, more varchar(max) NULL)',
  `INSERT INTO dbo.papers VALUES (1, N'naïve 😀 ', ${LARGE_BYTES}, ${LARGE_WORDS}, NULL), (2, NULL, 0x61, N'abc ', 'xyz')`,
  `INSERT INTO dbo.papers VALUES (3, N'', 0x, N'', ${LARGE_TEXT}), (4, N'"', NULL, ${LARGE_WORDS}, '')`,
  SALES_TABLE,
  SALES_ROWS,
  'CREATE FUNCTION dbo.twice(@a int) RETURNS int AS BEGIN RETURN 2 * @a END',
  'CREATE VIEW dbo.all_parts AS SELECT id, dbo.twice(no) AS doubled FROM dbo.parts',
  'CREATE PROCEDURE dbo.nothing AS SELECT 1 AS one',
  "EXEC sp_addextendedproperty @name = N'MS_Description', @value = N'the shop''s parts', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'parts'",
  'CREATE TRIGGER dbo.silent ON dbo.parts AFTER INSERT AS BEGIN SET NOCOUNT ON; DELETE FROM dbo.parts END',
  'DISABLE TRIGGER dbo.silent ON dbo.parts',
]
