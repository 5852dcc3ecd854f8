import { describe, expect, it } from 'vitest'
import { ddl } from '../../src/databases/mssql/ddl.ts'
import { type CatalogColumn, columnOf } from '../../src/databases/mssql/introspect-columns.ts'
import { propertySql } from '../../src/databases/mssql/introspect-descriptions.ts'
import {
  type CatalogIndex,
  indexSql,
  keySql,
  spatialExtra,
  typeIndexClause,
  xmlExtra,
} from '../../src/databases/mssql/introspect-indexes.ts'
import { constraintSql, indexObjects, readChecks } from '../../src/databases/mssql/introspect-tables.ts'
import { type Module, moduleObjects } from '../../src/databases/mssql/modules.ts'
import type { Schema, SchemaObject } from '../../src/databases/schema.ts'
import { answered } from './mssql-answers.ts'
import { column, orders } from './mssql-tables.ts'

const index = (change: Partial<CatalogIndex> = {}): CatalogIndex => ({
  name: 'IX',
  kind: 2,
  unique: false,
  primaryKey: false,
  constraint: false,
  filter: null,
  disabled: false,
  ignoreDuplicates: false,
  fillFactor: 0,
  padded: false,
  rowLocks: true,
  pageLocks: true,
  columns: [
    { name: 'a', descending: false, included: false },
    { name: 'b', descending: true, included: false },
    { name: 'c', descending: false, included: true },
  ],
  ...change,
})

describe('a column', () => {
  const row: CatalogColumn = {
    table: 1,
    name: 'c',
    type: 'int',
    typeSchema: 'sys',
    base: 'int',
    userType: false,
    length: 4,
    precision: 10,
    scale: 0,
    nullable: false,
    collation: null,
    identity: false,
    seed: null,
    increment: null,
    notForReplication: false,
    rowguid: false,
    sparse: false,
    xmlSchema: null,
    xmlName: null,
    xmlDocument: false,
    defaultName: null,
    defaultSql: null,
    defaultNamedBySystem: null,
    computed: null,
    persisted: null,
  }

  it('keeps what belongs to its type', () => {
    const type = (change: Partial<CatalogColumn>): string => columnOf({ ...row, ...change }).type
    expect(type({ identity: true, notForReplication: true })).toBe('int NOT FOR REPLICATION')
    expect(type({ type: 'uniqueidentifier', base: 'uniqueidentifier', rowguid: true })).toBe('uniqueidentifier ROWGUIDCOL')
    expect(type({ type: 'xml', base: 'xml', xmlSchema: 's', xmlName: 'x]y', sparse: true })).toBe(
      'xml(CONTENT [s].[x]]y]) SPARSE',
    )
    expect(type({ type: 'Phone', typeSchema: 'dbo', base: 'nvarchar', userType: true, length: 40 })).toBe('[dbo].[Phone]')
    expect(type({ type: 'timestamp', base: 'timestamp', length: 8 })).toBe('rowversion')
  })

  it('has a default’s name only where a person gave it', () => {
    const named = { defaultName: 'DF__x__1', defaultSql: '((1))' }
    expect(columnOf({ ...row, ...named, defaultNamedBySystem: true }).default).toEqual({ name: null, sql: '((1))' })
    expect(columnOf({ ...row, ...named, defaultNamedBySystem: false }).default).toEqual({ name: 'DF__x__1', sql: '((1))' })
  })
})

describe('an index', () => {
  it('keeps its options', () => {
    const options = { fillFactor: 80, padded: true, ignoreDuplicates: true, rowLocks: false, pageLocks: false, unique: true }
    expect(indexSql(orders.name, index({ ...options, filter: '([a]>(0))' }))).toBe(
      'CREATE UNIQUE NONCLUSTERED INDEX [IX] ON [dbo].[Orders] ([a] ASC, [b] DESC) INCLUDE ([c]) WHERE ([a]>(0)) WITH (PAD_INDEX = ON, FILLFACTOR = 80, IGNORE_DUP_KEY = ON, ALLOW_ROW_LOCKS = OFF, ALLOW_PAGE_LOCKS = OFF)',
    )
    expect(keySql(orders.name, index({ constraint: true, fillFactor: 70, columns: index().columns.slice(0, 1) }))).toBe(
      'ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [IX] UNIQUE NONCLUSTERED ([a] ASC) WITH (FILLFACTOR = 70)',
    )
  })

  it.each([
    [index({ kind: 5 }), 'CREATE CLUSTERED COLUMNSTORE INDEX [IX] ON [dbo].[Orders]'],
    [
      index({ kind: 6, filter: '([a]>(0))' }),
      'CREATE NONCLUSTERED COLUMNSTORE INDEX [IX] ON [dbo].[Orders] ([a], [b], [c]) WHERE ([a]>(0))',
    ],
    [
      index({ kind: 3, columns: index().columns.slice(0, 1), extra: xmlExtra({ using: null, secondary: null }) }),
      'CREATE PRIMARY XML INDEX [IX] ON [dbo].[Orders] ([a])',
    ],
    [
      index({ kind: 3, columns: index().columns.slice(0, 1), extra: xmlExtra({ using: 'P]X', secondary: 'VALUE' }) }),
      'CREATE XML INDEX [IX] ON [dbo].[Orders] ([a]) USING XML INDEX [P]]X] FOR VALUE',
    ],
    [
      index({
        kind: 4,
        columns: index().columns.slice(0, 1),
        extra: spatialExtra({ scheme: 'GEOMETRY_GRID', box: '0, 0, 9, 9', grids: 'LOW, LOW, HIGH, HIGH', cells: 16 }),
      }),
      'CREATE SPATIAL INDEX [IX] ON [dbo].[Orders] ([a]) USING GEOMETRY_GRID WITH (BOUNDING_BOX = (0, 0, 9, 9), GRIDS = (LOW, LOW, HIGH, HIGH), CELLS_PER_OBJECT = 16)',
    ],
    [
      index({
        kind: 4,
        columns: index().columns.slice(0, 1),
        extra: spatialExtra({ scheme: 'GEOGRAPHY_AUTO_GRID', box: null, grids: null, cells: 12 }),
      }),
      'CREATE SPATIAL INDEX [IX] ON [dbo].[Orders] ([a]) USING GEOGRAPHY_AUTO_GRID WITH (CELLS_PER_OBJECT = 12)',
    ],
  ])('of another kind is spelled as its own statement', (given, sql) => {
    expect(indexSql(orders.name, given)).toBe(sql)
  })

  it('of a table type is a line of it, without a name where a constraint has none', () => {
    expect(typeIndexClause(index({ primaryKey: true, unique: true, columns: index().columns.slice(0, 1), kind: 1 }))).toBe(
      'PRIMARY KEY CLUSTERED ([a] ASC)',
    )
    expect(typeIndexClause(index())).toBe('INDEX [IX] NONCLUSTERED ([a] ASC, [b] DESC) INCLUDE ([c])')
  })

  it('that is disabled is made while its table is empty, whatever rows came in since', () => {
    const [made] = indexObjects(orders.name, [index({ disabled: true, unique: true })], false)
    expect([made?.stage, made?.sql]).toEqual([
      'before',
      'CREATE UNIQUE NONCLUSTERED INDEX [IX] ON [dbo].[Orders] ([a] ASC, [b] DESC) INCLUDE ([c]);\nALTER INDEX [IX] ON [dbo].[Orders] DISABLE',
    ])
  })

  it('of a selective kind is left to its finding', () => {
    expect(indexObjects(orders.name, [index({ kind: 3 })], false)).toEqual([])
  })
})

describe('a foreign key or check', () => {
  const given = { name: 'FK', on: orders.name, clause: 'CHECK ([a]>(0))', broken: 'SELECT 1 FROM t WHERE NOT ([a]>(0))' }

  it('is added with its rows checked, and so trusted', () => {
    expect(constraintSql({ ...given, disabled: false, untrusted: false })).toBe(
      'ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [FK] CHECK ([a]>(0))',
    )
  })

  it('that was disabled stays so', () => {
    expect(constraintSql({ ...given, disabled: true, untrusted: true })).toBe(
      'ALTER TABLE [dbo].[Orders] WITH NOCHECK ADD CONSTRAINT [FK] CHECK ([a]>(0));\nALTER TABLE [dbo].[Orders] NOCHECK CONSTRAINT [FK]',
    )
  })

  it('that the old host doesn’t trust is trusted again unless rows break it', () => {
    expect(constraintSql({ ...given, disabled: false, untrusted: true })).toBe(
      `IF EXISTS (SELECT 1 FROM t WHERE NOT ([a]>(0)))
  ALTER TABLE [dbo].[Orders] WITH NOCHECK ADD CONSTRAINT [FK] CHECK ([a]>(0))
ELSE
  ALTER TABLE [dbo].[Orders] WITH CHECK ADD CONSTRAINT [FK] CHECK ([a]>(0))`,
    )
  })
})

describe('a check that the old host trusts', () => {
  const added = async (definition: string): Promise<string> => {
    const row = {
      name: 'CK',
      schema: 'dbo',
      table: 'Orders',
      sql: definition,
      disabled: false,
      untrusted: false,
      notForReplication: false,
    }
    const [check] = await readChecks(answered([/sys\.check_constraints/, [row]]).session)
    return check?.sql ?? ''
  }

  it.each([
    '([delivery]>=getdate())',
    '([delivery]>=CONVERT([date],getdate()))',
    '([dbo].[open_orders]([customer])<(10))',
    "(datename(weekday,[placed])<>'Sunday')",
    '([owner]=suser_sname())',
    '([owner]=CURRENT_USER)',
    '(datepart(weekday,[placed])<>@@DATEFIRST)',
  ])('but whose rows may break it by now, %s, is added without a look at them where they do', async (definition) => {
    const sql = await added(definition)
    expect(sql).toContain(`IF EXISTS (SELECT 1 FROM [dbo].[Orders] WHERE NOT ${definition})`)
    expect(sql).toContain(`ALTER TABLE [dbo].[Orders] WITH NOCHECK ADD CONSTRAINT [CK] CHECK ${definition}\nELSE`)
  })

  it.each([
    '([a]>(0) AND ([b]=(1) OR NOT [b] IN (2)))',
    "(len(rtrim([name]))>(0) AND [note]<>'asked at getdate()')",
    '(datediff(day,[placed],[delivery])>=(0) AND isnull([getdate()],(1))=(1))',
  ])('and whose rows can’t, %s, is added by one look at them', async (definition) => {
    expect(await added(definition)).toBe(`ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [CK] CHECK ${definition}`)
  })
})

describe('the order of statements', () => {
  const object = (kind: string, name: string, sql: string, stage: 'before' | 'after' = 'after'): SchemaObject => ({
    kind,
    name,
    stage,
    sql,
    undo: null,
  })
  const names = (objects: readonly SchemaObject[], tables = [orders]): readonly string[] => {
    const schema: Schema = { tables, foreignKeys: [], identities: [], objects, principals: [], findings: [] }
    return ddl(schema).map((statement) => statement.name)
  }

  it('puts disabled indexes after the empty tables, and a clustered index before the keys', () => {
    expect(
      names([
        object('index', 'dbo.Orders.IX_off', indexSql(orders.name, index({ disabled: true })), 'before'),
        object('index', 'dbo.Orders.IX', indexSql(orders.name, index())),
        object('index', 'dbo.Orders.CX', indexSql(orders.name, index({ name: 'CX', kind: 1 }))),
        object('index', 'dbo.Orders.CCI', indexSql(orders.name, index({ name: 'CCI', kind: 5 }))),
      ]),
    ).toEqual([
      'table dbo.Orders',
      'index dbo.Orders.IX_off',
      'index dbo.Orders.CX',
      'index dbo.Orders.CCI',
      'primary key dbo.Orders.PK_Orders',
      'index dbo.Orders.IX',
    ])
  })

  it('puts a function that is bound to a table after it, one that a column computes with before', () => {
    const bound = object(
      'function',
      'dbo.order_sum',
      'CREATE FUNCTION dbo.order_sum() … WITH SCHEMABINDING … FROM dbo.Orders',
      'before',
    )
    expect(names([bound])).toEqual(['table dbo.Orders', 'function dbo.order_sum', 'primary key dbo.Orders.PK_Orders'])
    const computing = { ...orders, columns: [column('x', 'int', { computed: { sql: '([dbo].[order_sum]())', stored: false } })] }
    expect(names([bound], [computing])[0]).toBe('function dbo.order_sum')
  })
})

describe('beside the text of modules', () => {
  it('a trigger keeps its place as the first or last of its table', () => {
    const trigger: Module = {
      kind: 'trigger',
      name: { schema: 'dbo', name: "t'1" },
      definition: 'CREATE TRIGGER x ON Orders AFTER INSERT AS SELECT 1',
      ansiNulls: true,
      quotedIdentifier: true,
      on: orders.name,
      disabled: false,
      order: [{ place: 'First', event: 'INSERT' }],
    }
    expect(moduleObjects(trigger, false).map((each) => each.sql)).toEqual([
      "CREATE TRIGGER [dbo].[t'1] ON [dbo].[Orders] AFTER INSERT AS SELECT 1",
      "EXEC sp_settriggerorder @triggername = N'[dbo].[t''1]', @order = N'First', @stmttype = N'INSERT'",
    ])
  })

  it('descriptions of tables and columns are carried', () => {
    const property = {
      name: 'MS_Description',
      value: "the shop's orders",
      schema: 'dbo',
      kind: 'U',
      object: 'Orders',
      column: null,
    }
    expect(propertySql(property)).toBe(
      "EXEC sp_addextendedproperty @name = N'MS_Description', @value = N'the shop''s orders', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'Orders'",
    )
    expect(propertySql({ ...property, column: 'Total' })).toContain(", @level2type = N'COLUMN', @level2name = N'Total'")
  })
})
