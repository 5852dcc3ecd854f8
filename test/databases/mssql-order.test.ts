import { describe, expect, it, vi } from 'vitest'
import { ddl } from '../../src/databases/mssql/ddl.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { inOrder, type Module, moduleObjects } from '../../src/databases/mssql/modules.ts'
import { neededByTables } from '../../src/databases/mssql/order.ts'
import type { Schema, SchemaObject, Table } from '../../src/databases/schema.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'
import { column, orders } from './mssql-tables.ts'

vi.setConfig({ testTimeout: 300_000 })

const made = (kind: Module['kind'], name: string, definition: string): Module => ({
  kind,
  name: { schema: 'dbo', name },
  definition,
  ansiNulls: true,
  quotedIdentifier: true,
  on: null,
  disabled: false,
})
const scalar = (name: string, body: string, bound = false): Module =>
  made(
    'function',
    name,
    `CREATE FUNCTION dbo.${name}(@a int) RETURNS int ${bound ? 'WITH SCHEMABINDING ' : ''}AS BEGIN RETURN ${body} END`,
  )
const table = (name: string, formula?: string): Table => ({
  ...orders,
  name: { schema: 'dbo', name },
  columns: [
    column('a', 'int'),
    ...(formula === undefined ? [] : [column('b', 'int', { computed: { sql: formula, stored: true } })]),
  ],
  primaryKey: null,
  key: [],
})
const check = (on: Table, sql: string): SchemaObject => ({
  kind: 'check',
  name: `dbo.${on.name.name}.CK_${on.name.name}`,
  stage: 'after',
  sql,
  undo: null,
})

/** The names of a schema's statements in their order, from its modules as the catalog gives them. */
function order(tables: readonly Table[], modules: readonly Module[], others: readonly SchemaObject[] = []): readonly string[] {
  const early = neededByTables(tables, modules)
  const objects = [
    ...others.filter(({ kind }) => kind !== 'synonym'),
    ...others.filter(({ kind }) => kind === 'synonym'),
    ...inOrder(modules).flatMap((module) => moduleObjects(module, early.has(module))),
  ]
  const schema: Schema = { tables, foreignKeys: [], identities: [], objects, principals: [], findings: [] }
  return ddl(schema).map(({ name }) => name)
}

describe('a table that computes with a function', () => {
  it('comes after it, and after the functions that this calls in turn', () => {
    const modules = [
      scalar('f1', 'dbo.f2(@a)', true),
      scalar('f2', 'dbo.f3(@a)', true),
      scalar('f3', '@a', true),
      scalar('f4', '1'),
    ]
    expect(order([table('t', '([dbo].[f1]([a]))')], modules)).toEqual([
      'function dbo.f3',
      'function dbo.f2',
      'function dbo.f1',
      'table dbo.t',
      'function dbo.f4',
    ])
  })

  it('comes after the tables that a bound function names, and what gives rows stays behind them where it isn’t bound', () => {
    const rate = scalar('rate', '(SELECT MAX(a) FROM dbo.rates)', true)
    const listed = made('function', 'listed', 'CREATE FUNCTION dbo.listed() RETURNS TABLE AS RETURN SELECT a FROM dbo.sales')
    const loose = scalar('loose', '(SELECT COUNT(*) FROM dbo.listed())')
    const tables = [table('sales', '([dbo].[rate]([a])+[dbo].[loose]([a]))'), table('rates')]
    expect(order(tables, [listed, loose, rate])).toEqual([
      'function dbo.loose',
      'table dbo.rates',
      'function dbo.rate',
      'table dbo.sales',
      'function dbo.listed',
    ])
  })

  it('in a circle with it is made all the same', () => {
    const bound = scalar('f', '(SELECT MAX(a) FROM dbo.t)', true)
    expect(order([table('t', '([dbo].[f]([a]))')], [bound]).toSorted()).toEqual(['function dbo.f', 'table dbo.t'])
  })
})

describe('a check that calls a function', () => {
  const f1 = scalar('f1', 'dbo.f2(@a)')
  const f2 = scalar('f2', '(SELECT COUNT(*) FROM dbo.v JOIN dbo.s ON 1 = 1)')
  const v = made('view', 'v', 'CREATE VIEW dbo.v AS SELECT a FROM dbo.t')
  const s: SchemaObject = { kind: 'synonym', name: 'dbo.s', stage: 'after', sql: 'CREATE SYNONYM', undo: null }

  it('comes after all that the function may read: functions, views and synonyms', () => {
    const t = table('t')
    const plain = check(table('u'), 'ALTER TABLE [dbo].[u] ADD CONSTRAINT x CHECK ([a]>(0))')
    const calling = check(t, 'ALTER TABLE [dbo].[t] ADD CONSTRAINT x CHECK ([dbo].[f1]([a])=(1))')
    const names = order([t, table('u')], [f1, f2, v], [plain, calling, s])
    expect(names.slice(0, 3)).toEqual(['table dbo.t', 'table dbo.u', 'check dbo.u.CK_u'])
    expect(names.at(-1)).toBe('check dbo.t.CK_t')
    expect(names.slice(3, -1).toSorted()).toEqual(['function dbo.f1', 'function dbo.f2', 'synonym dbo.s', 'view dbo.v'])
  })

  it('does so too by way of a computed column', () => {
    const t = table('t', '([dbo].[f1]([a]))')
    const calling = check(t, 'ALTER TABLE [dbo].[t] ADD CONSTRAINT x CHECK ([b]=(1))')
    expect(order([t], [f1, f2, v], [calling, s]).at(-1)).toBe('check dbo.t.CK_t')
  })
})

describe.skipIf(MSSQL_URL === undefined)(
  mssqlTitle('a shop whose check calls a function that calls another that reads a view'),
  () => {
    it('is made anew with its rows in it', async () => {
      const server = await connectTestMssql()
      const [from, to] = [await server.database(), await server.database()]
      for (const sql of [
        'CREATE TABLE dbo.allowed (a int NOT NULL PRIMARY KEY)',
        'INSERT INTO dbo.allowed VALUES (1), (2)',
        'CREATE VIEW dbo.allowed_now AS SELECT a FROM dbo.allowed',
        'CREATE FUNCTION dbo.is_listed(@a int) RETURNS int AS BEGIN RETURN (SELECT COUNT(*) FROM dbo.allowed_now WHERE a = @a) END',
        'CREATE FUNCTION dbo.is_allowed(@a int) RETURNS int AS BEGIN RETURN dbo.is_listed(@a) END',
        'CREATE TABLE dbo.choices (id int NOT NULL PRIMARY KEY, a int NOT NULL)',
        'ALTER TABLE dbo.choices ADD CONSTRAINT CK_choices CHECK (dbo.is_allowed(a) = 1)',
        'INSERT INTO dbo.choices VALUES (7, 2), (8, 1)',
      ])
        await from.use((session) => session.batch(sql))
      const [source, target] = [openMssql(from.options()), openMssql(to.options())]
      try {
        const schema = await source.schema()
        const statements = target.ddl(schema)
        const run = async (stage: 'before' | 'after'): Promise<void> => {
          for (const { name, sql } of statements.filter((each) => each.stage === stage))
            await target.execute(sql, { run: 'create', name })
        }
        await run('before')
        for (const each of schema.tables)
          await source.read(1, ([reader]) => target.load(each, reader.rows(each), { run: 'copy', name: each.name.name }))
        await run('after')
        expect((await target.schema()).objects.map(({ name }) => name).toSorted()).toEqual(
          schema.objects.map(({ name }) => name).toSorted(),
        )
        await expect(target.runStatements(['INSERT INTO dbo.choices VALUES (9, 3)'])).rejects.toThrow(
          /CK_choices|check constraint/i,
        )
      } finally {
        await source.close()
        await target.close()
        await server.close()
      }
    })
  },
)
