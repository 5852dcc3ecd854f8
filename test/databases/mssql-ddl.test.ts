import { describe, expect, it } from 'vitest'
import { columnSql, ddl } from '../../src/databases/mssql/ddl.ts'
import { rangeOf, sizedType } from '../../src/databases/mssql/introspect-columns.ts'
import { indexSql, keySql } from '../../src/databases/mssql/introspect-indexes.ts'
import { inOrder, type Module, mentions, moduleObjects, moduleSql, withPresentName } from '../../src/databases/mssql/modules.ts'
import type { Schema } from '../../src/databases/schema.ts'
import { column, orders } from './mssql-tables.ts'

describe('DDL', () => {
  it('spells columns as they were', () => {
    expect(columnSql(column('a', 'int', { nullable: false, identity: 'always' }), { seed: '10', increment: '5' })).toBe(
      '[a] int IDENTITY(10,5) NOT NULL',
    )
    expect(
      columnSql(
        column('b', 'nvarchar(40)', { collation: 'Latin1_General_CS_AS', default: { name: 'DF_b', sql: "(N'x')" } }),
        null,
      ),
    ).toBe("[b] nvarchar(40) COLLATE Latin1_General_CS_AS NULL CONSTRAINT [DF_b] DEFAULT (N'x')")
    expect(columnSql(column('c', 'nvarchar(20)', { type: '[dbo].[Phone]', collation: 'Latin1_General_CS_AS' }), null)).toBe(
      '[c] [dbo].[Phone] NULL',
    )
    expect(columnSql(column('d', 'uniqueidentifier', { type: 'uniqueidentifier ROWGUIDCOL', nullable: false }), null)).toBe(
      '[d] uniqueidentifier ROWGUIDCOL NOT NULL',
    )
    expect(
      columnSql(column('f', 'int', { type: 'int NOT FOR REPLICATION', nullable: false, identity: 'always' }), {
        seed: '1',
        increment: '1',
      }),
    ).toBe('[f] int IDENTITY(1,1) NOT FOR REPLICATION NOT NULL')
    expect(columnSql(column('g', 'xml', { type: 'xml(DOCUMENT [dbo].[orders]) SPARSE' }), null)).toBe(
      '[g] xml(DOCUMENT [dbo].[orders]) SPARSE NULL',
    )
    expect(columnSql(column('e', 'int', { computed: { sql: '([a]+(1))', stored: true }, nullable: false }), null)).toBe(
      '[e] AS ([a]+(1)) PERSISTED NOT NULL',
    )
  })

  it('takes sizes from the catalog’s bytes', () => {
    expect(sizedType('nvarchar', { length: 80, precision: 0, scale: 0 })).toBe('nvarchar(40)')
    expect(sizedType('varchar', { length: -1, precision: 0, scale: 0 })).toBe('varchar(max)')
    expect(sizedType('decimal', { length: 9, precision: 19, scale: 4 })).toBe('decimal(19,4)')
    expect(rangeOf('tinyint', 3)).toEqual(['0', '255'])
    expect(rangeOf('decimal', 5)).toEqual(['-99999', '99999'])
  })

  it('spells keys and indexes: clustered or not, descending, included, filtered, disabled', () => {
    const index = {
      name: 'IX a',
      kind: 2,
      unique: true,
      primaryKey: false,
      constraint: false,
      filter: '([b] IS NOT NULL)',
      disabled: true,
      ignoreDuplicates: false,
      fillFactor: 0,
      padded: false,
      rowLocks: true,
      pageLocks: true,
      columns: [
        { name: 'a', descending: true, included: false },
        { name: 'b', descending: false, included: true },
      ],
    }
    expect(indexSql(orders.name, index)).toBe(
      'CREATE UNIQUE NONCLUSTERED INDEX [IX a] ON [dbo].[Orders] ([a] DESC) INCLUDE ([b]) WHERE ([b] IS NOT NULL);\nALTER INDEX [IX a] ON [dbo].[Orders] DISABLE',
    )
    expect(keySql(orders.name, { ...index, kind: 1, primaryKey: true, columns: index.columns.slice(0, 1) })).toBe(
      'ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [IX a] PRIMARY KEY CLUSTERED ([a] DESC)',
    )
  })

  it('puts tables before the rows, keys and foreign keys after them, and what is compiled last', () => {
    const object = (kind: string, name: string, stage: 'before' | 'after') => ({
      kind,
      name,
      stage,
      sql: `${kind} ${name}`,
      undo: null,
    })
    const schema: Schema = {
      tables: [orders],
      foreignKeys: [
        {
          name: 'FK_self',
          table: orders.name,
          columns: ['OrderID'],
          parent: orders.name,
          parentColumns: ['OrderID'],
          enforced: true,
          sql: 'FK',
        },
      ],
      identities: [],
      objects: [
        object('schema', 'sales', 'before'),
        object('index', 'dbo.Orders.IX', 'after'),
        object('check', 'dbo.Orders.CK', 'after'),
        object('view', 'dbo.V', 'after'),
        object('index', 'dbo.V.IX', 'after'),
      ],
      principals: [],
      findings: [],
    }
    expect(ddl(schema).map((statement) => `${statement.stage} ${statement.name}`)).toEqual([
      'before schema sales',
      'before table dbo.Orders',
      'after primary key dbo.Orders.PK_Orders',
      'after index dbo.Orders.IX',
      'after check dbo.Orders.CK',
      'after foreign key dbo.FK_self',
      'after view dbo.V',
      'after index dbo.V.IX',
    ])
    expect(ddl(schema).find((statement) => statement.name === 'foreign key dbo.FK_self')?.undo).toBe(
      'ALTER TABLE [dbo].[Orders] DROP CONSTRAINT [FK_self]',
    )
  })
})

describe('views, functions, procedures and triggers', () => {
  const module = (kind: Module['kind'], name: string, definition: string, change: Partial<Module> = {}): Module => ({
    kind,
    name: { schema: 'dbo', name },
    definition,
    ansiNulls: true,
    quotedIdentifier: true,
    on: null,
    disabled: false,
    ...change,
  })

  it.each([
    ['create view Old as select 1 a', 'CREATE VIEW [dbo].[New] as select 1 a'],
    [
      '-- create view x\n/* y */ Create  Or Alter\tPROC [dbo] . [Old ]]x] @a int as select 1',
      '-- create view x\n/* y */ CREATE PROC [dbo].[New] @a int as select 1',
    ],
    [
      'CREATE FUNCTION "dbo"."Old"(@a int) returns int as begin return 1 end',
      'CREATE FUNCTION [dbo].[New](@a int) returns int as begin return 1 end',
    ],
    ['CREATE TRIGGER Größe ON t AFTER INSERT AS SELECT 1', 'CREATE TRIGGER [dbo].[New] ON t AFTER INSERT AS SELECT 1'],
  ])('keep their text but for the name, which sp_rename leaves behind: %s', (definition, expected) => {
    expect(withPresentName({ definition, name: { schema: 'dbo', name: 'New' }, on: null })).toBe(expected)
  })

  it('of a table’s trigger name the table with its schema', () => {
    const definition = 'create trigger t\n  on [my table] after insert as select 1'
    expect(withPresentName({ definition, name: { schema: 's', name: 't' }, on: { schema: 's', name: 'my table' } })).toBe(
      'CREATE TRIGGER [s].[t]\n  on [s].[my table] after insert as select 1',
    )
  })

  it('keep the SET options that they were created under', () => {
    expect(moduleSql(module('procedure', 'p', 'CREATE PROC p AS SELECT "it\'s"', { quotedIdentifier: false }))).toBe(
      "EXEC (N'SET QUOTED_IDENTIFIER OFF;\nEXEC (N''CREATE PROC [dbo].[p] AS SELECT \"it''''s\"'');')",
    )
  })

  it('come after what their text names', () => {
    const a = module('view', 'a', 'create view a as select * from dbo.[b c]')
    const b = module('view', 'b c', 'create view [b c] as select dbo.f(1) x')
    const f = module('function', 'f', 'create function f(@a int) returns int as begin return 1 end')
    const t = module('trigger', 't', 'create trigger t on x after insert as exec p')
    const p = module('procedure', 'p', 'create proc p as select 1')
    expect(inOrder([t, a, b, f, p]).map((each) => each.name.name)).toEqual(['f', 'b c', 'a', 'p', 't'])
    const circle = [
      module('view', 'x', 'create view x as select * from y'),
      module('view', 'y', 'create view y as select * from x'),
    ]
    expect(inOrder(circle)).toHaveLength(2)
  })

  it('are named in a text only as whole words', () => {
    expect(mentions('select * from dbo.orders_old', 'orders')).toBe(false)
    expect(mentions('select * from DBO.Orders;', 'orders')).toBe(true)
    expect(mentions('select * from [dbo].[my orders]', 'my orders')).toBe(true)
  })

  it('stay disabled when they were', () => {
    const objects = moduleObjects(
      module('trigger', 't', 'create trigger t on x after insert as select 1', {
        disabled: true,
        on: { schema: 'dbo', name: 'x' },
      }),
      false,
    )
    expect(objects.map((each) => each.sql)).toEqual([
      'CREATE TRIGGER [dbo].[t] on [dbo].[x] after insert as select 1',
      'DISABLE TRIGGER [dbo].[t] ON [dbo].[x]',
    ])
  })
})
