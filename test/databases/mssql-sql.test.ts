import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Secret } from '../../src/base/secret.ts'
import { insertValuesSql, orphanSql, updateSql } from '../../src/databases/mssql/apply.ts'
import { configuration, type MssqlOptions } from '../../src/databases/mssql/connection.ts'
import { columnSql, ddl } from '../../src/databases/mssql/ddl.ts'
import { connectError, firstLine, kindOfServerError, statementError } from '../../src/databases/mssql/errors.ts'
import { PROBES, probesSql } from '../../src/databases/mssql/findings.ts'
import { reseedFor, standingSql, stateOf } from '../../src/databases/mssql/identities.ts'
import { rangeOf, sizedType } from '../../src/databases/mssql/introspect-columns.ts'
import { indexSql, keySql } from '../../src/databases/mssql/introspect-indexes.ts'
import { afterCondition, keyColumns, keyCondition, rowsPerStatement } from '../../src/databases/mssql/keys.ts'
import { stageSql } from '../../src/databases/mssql/load.ts'
import { ledgerSql } from '../../src/databases/mssql/marks.ts'
import { inOrder, type Module, mentions, moduleObjects, moduleSql, withPresentName } from '../../src/databases/mssql/modules.ts'
import { quoteName, quoteTable, quoteText } from '../../src/databases/mssql/names.ts'
import { pageSql } from '../../src/databases/mssql/read.ts'
import {
  cellOf,
  floatText,
  isCarried,
  selectExpression,
  wireOf,
  wireValue,
  writeExpression,
} from '../../src/databases/mssql/values.ts'
import type { Column, Identity, Schema, Table } from '../../src/databases/schema.ts'

const column = (name: string, codec: string, change: Partial<Column> = {}): Column => ({
  name,
  type: codec,
  codec,
  nullable: true,
  collation: null,
  default: null,
  computed: null,
  identity: null,
  rowversion: false,
  ...change,
})

const orders: Table = {
  name: { schema: 'dbo', name: 'Orders' },
  columns: [
    column('OrderID', 'int', { nullable: false, identity: 'always' }),
    column('Customer', 'varchar(20)', { collation: 'Latin1_General_CI_AS' }),
    column('Total', 'money'),
    column('Photo', 'varbinary(max)'),
    column('Twice', 'money', { computed: { sql: '([Total]*(2))', stored: true } }),
    column('Version', 'timestamp', { type: 'rowversion', rowversion: true, nullable: false }),
  ],
  primaryKey: {
    name: 'PK_Orders',
    columns: ['OrderID'],
    sql: 'ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [PK_Orders] PRIMARY KEY CLUSTERED ([OrderID] ASC)',
  },
  uniqueKeys: [],
  key: ['OrderID'],
  triggers: [],
}

const lines: Table = {
  ...orders,
  name: { schema: 'sales ops', name: "Order]Lines'" },
  columns: [
    column('OrderID', 'int', { nullable: false }),
    column('Line', 'uniqueidentifier', { nullable: false }),
    column('Note', 'nvarchar(max)'),
  ],
  primaryKey: null,
  key: ['OrderID', 'Line'],
}

describe('names in SQL', () => {
  it('are quoted with brackets, the closing one doubled', () => {
    expect(quoteName('a]b [c] "d"')).toBe('[a]]b [c]] "d"]')
    expect(quoteTable(lines.name)).toBe("[sales ops].[Order]]Lines']")
    expect(quoteText("it's [a]")).toBe("N'it''s [a]'")
  })
})

describe('values', () => {
  const selected = (codec: string): string => selectExpression(column('c', codec), '[c]')
  it.each([
    ['bigint', 'CONVERT(nvarchar(20), [c])'],
    ['decimal(38,10)', 'CONVERT(nvarchar(41), [c])'],
    ['money', 'CONVERT(nvarchar(24), CONVERT(decimal(19,4), [c]))'],
    ['smallmoney', 'CONVERT(nvarchar(24), CONVERT(decimal(10,4), [c]))'],
    ['float', '[c]'],
    ['date', 'CONVERT(nvarchar(10), [c], 23)'],
    ['time(7)', 'CONVERT(nvarchar(16), [c], 121)'],
    ['smalldatetime', 'CONVERT(nvarchar(19), [c], 120)'],
    ['datetime', 'CONVERT(nvarchar(23), [c], 121)'],
    ['datetime2(7)', 'CONVERT(nvarchar(27), [c], 121)'],
    ['datetimeoffset(7)', 'CONVERT(nvarchar(34), [c], 121)'],
    ['varchar(50)', 'CONVERT(nvarchar(50), [c])'],
    ['varchar(8000)', 'CONVERT(nvarchar(max), [c])'],
    ['nvarchar(max)', '[c]'],
    ['text', 'CONVERT(nvarchar(max), [c])'],
    ['image', 'CONVERT(varbinary(max), [c])'],
    ['uniqueidentifier', 'CONVERT(nvarchar(36), [c])'],
    ['xml', 'CONVERT(nvarchar(max), [c])'],
    ['hierarchyid', 'CONVERT(varbinary(max), [c])'],
  ])('of %s are read as %s', (codec, sql) => expect(selected(codec)).toBe(sql))

  it('of text are left to the assignment, which refuses what is too long where CONVERT would cut it', () => {
    expect(writeExpression(column('c', 'varchar(5)'), '@p0')).toBe('@p0')
    expect(writeExpression(column('c', 'nvarchar(5)'), '@p0')).toBe('@p0')
  })

  it('are converted on their way back with the style they were read with', () => {
    expect(writeExpression(column('c', 'datetime2(7)'), 'v')).toBe('CONVERT(datetime2(7), v, 121)')
    expect(writeExpression(column('c', 'money'), 'v')).toBe('CONVERT(money, CONVERT(decimal(19,4), v))')
    expect(writeExpression(column('c', 'xml'), 'v')).toBe('CONVERT(xml, v, 1)')
  })

  it('of float are the shortest text of their eight bytes', () => {
    for (const value of [0.1, 1.7976931348623157e308, 5e-324, 0.30000000000000004, 16777217])
      expect(Number(floatText(value))).toBe(value)
    expect(floatText(-0)).toBe('-0')
    expect(floatText(Math.fround(0.1))).toBe('0.10000000149011612')
  })

  it('of bytes are hexadecimal', () => {
    expect(cellOf(Buffer.from([0, 255, 16]))).toBe('00ff10')
    expect(wireValue('00ff10', wireOf(column('c', 'varbinary(max)')))).toEqual(Buffer.from([0, 255, 16]))
    expect(wireValue('', wireOf(column('c', 'binary(4)')))).toEqual(Buffer.alloc(0))
    expect(wireValue(null, wireOf(column('c', 'image')))).toBeNull()
  })

  it('of a type that would lose something are refused by name', () => {
    expect(isCarried('sql_variant')).toBe(false)
    expect(() => selectExpression(column('Odd', 'sql_variant'), '[Odd]')).toThrow(/Odd.*sql_variant/)
    expect(() => cellOf(new Date())).toThrow(MigrateError)
  })
})

describe('reading', () => {
  it('goes page by page along the key, the server comparing', () => {
    expect(pageSql(orders, 500, false)).toBe(
      'SELECT TOP (500) CONVERT(nvarchar(20), [OrderID]), CONVERT(nvarchar(20), [Customer]), CONVERT(nvarchar(24), CONVERT(decimal(19,4), [Total])), [Photo] FROM [dbo].[Orders] ORDER BY [OrderID]',
    )
    expect(pageSql(orders, 500, true)).toContain(' WHERE [OrderID] > CONVERT(int, @p0) ORDER BY')
  })

  it('follows a key of several columns from the right place', () => {
    expect(afterCondition(keyColumns(lines))).toBe(
      '[OrderID] >= CONVERT(int, @p0) AND (([OrderID] > CONVERT(int, @p0)) OR ([OrderID] = CONVERT(int, @p0) AND [Line] > CONVERT(uniqueidentifier, @p1)))',
    )
  })

  it('finds rows by their keys', () => {
    expect(keyCondition(keyColumns(orders), 2)).toBe('[OrderID] IN (CONVERT(int, @p0), CONVERT(int, @p1))')
    expect(keyCondition(keyColumns(lines), 2)).toBe(
      '([OrderID] = CONVERT(int, @p0) AND [Line] = CONVERT(uniqueidentifier, @p1)) OR ([OrderID] = CONVERT(int, @p2) AND [Line] = CONVERT(uniqueidentifier, @p3))',
    )
  })

  it('compares text of a code page in the column’s own collation, so that no character is lost', () => {
    const table = { ...orders, key: ['Customer'] }
    expect(keyCondition(keyColumns(table), 1)).toBe('[Customer] IN (CONVERT(varchar(20), @p0 COLLATE Latin1_General_CI_AS))')
  })

  it('stays below the server’s 2,100 parameters', () => {
    expect(rowsPerStatement(1)).toBe(500)
    expect(rowsPerStatement(7) * 7).toBeLessThanOrEqual(2000)
    expect(rowsPerStatement(5000)).toBe(1)
  })
})

describe('writing', () => {
  it('keeps identity values, leaves computed columns and rowversion to the server, and counts', () => {
    expect(insertValuesSql(orders, 2)).toBe(
      `SET IDENTITY_INSERT [dbo].[Orders] ON;
INSERT INTO [dbo].[Orders] ([OrderID], [Customer], [Total], [Photo]) SELECT CONVERT(int, v.c0), v.c1, CONVERT(money, CONVERT(decimal(19,4), v.c2)), v.c3 FROM (VALUES (@p0, @p1, @p2, @p3), (@p4, @p5, @p6, @p7)) AS v(c0, c1, c2, c3);
SELECT @@ROWCOUNT AS affected;
SET IDENTITY_INSERT [dbo].[Orders] OFF`,
    )
  })

  it('updates all but the key and the identity', () => {
    expect(updateSql(orders)?.sql).toBe(
      `UPDATE [dbo].[Orders] SET [Customer] = @p0, [Total] = CONVERT(money, CONVERT(decimal(19,4), @p1)), [Photo] = @p2 WHERE [OrderID] IN (CONVERT(int, @p3));
SELECT @@ROWCOUNT AS affected`,
    )
    expect(updateSql({ ...lines, columns: lines.columns.slice(0, 2) })).toBeNull()
  })

  it('stages text and bytes only', () => {
    expect(stageSql(orders.columns.slice(0, 4))).toBe(
      'CREATE TABLE #migrate_stage (c0 nvarchar(20) NULL, c1 nvarchar(20) NULL, c2 nvarchar(24) NULL, c3 varbinary(max) NULL)',
    )
  })

  it('removes rows without a parent, not those with none to miss', () => {
    const rule = { child: lines.name, columns: ['OrderID'], parent: orders.name, parentColumns: ['OrderID'] }
    expect(orphanSql(rule)).toBe(
      `DELETE c FROM [sales ops].[Order]]Lines'] AS c
WHERE c.[OrderID] IS NOT NULL AND NOT EXISTS (SELECT 1 FROM [dbo].[Orders] AS p WHERE p.[OrderID] = c.[OrderID]);
SELECT @@ROWCOUNT AS affected`,
    )
  })
})

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
      "SET QUOTED_IDENTIFIER OFF;\nEXEC (N'CREATE PROC [dbo].[p] AS SELECT \"it''s\"');\nSET QUOTED_IDENTIFIER ON;",
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

describe('identities', () => {
  const identity: Identity = {
    kind: 'column',
    table: orders.name,
    column: 'OrderID',
    sequence: null,
    seed: '1',
    increment: '1',
    minimum: '-2147483648',
    maximum: '2147483647',
  }

  it('are asked for in one statement', () => {
    expect(standingSql([identity])).toBe(`SELECT 0 AS [position],
  (SELECT CONVERT(nvarchar(40), ic.last_value) FROM sys.identity_columns ic WHERE ic.object_id = OBJECT_ID(N'[dbo].[Orders]')) AS [last],
  CONVERT(nvarchar(40), IDENT_CURRENT(N'[dbo].[Orders]')) AS [current],
  (SELECT CONVERT(nvarchar(40), MAX([OrderID])) FROM [dbo].[Orders]) AS [furthest]`)
    expect(standingSql([{ ...identity, increment: '-1' }])).toContain('MIN([OrderID])')
  })

  it('that never gave a number give the current one next, others the one after it', () => {
    expect(stateOf(identity, { lastValue: null, current: 1n, furthest: null, untouched: true })).toEqual({
      identity,
      last: null,
      next: 1n,
    })
    expect(stateOf(identity, { lastValue: 41n, current: 41n, furthest: 40n, untouched: false })).toEqual({
      identity,
      last: 41n,
      next: 42n,
    })
    expect(stateOf(identity, { lastValue: 41n, current: 41n, furthest: 900n, untouched: false })).toEqual({
      identity,
      last: 900n,
      next: 42n,
    })
  })

  it('whose count the server hides from the account go on beyond the rows', () => {
    expect(stateOf(identity, { lastValue: null, current: 1n, furthest: 40n, untouched: false })).toEqual({
      identity,
      last: 40n,
      next: 41n,
    })
  })

  it('are reseeded to the value itself when untouched, to the one before otherwise', () => {
    expect(reseedFor(1501n, 1n, true)).toBe(1501n)
    expect(reseedFor(1501n, 1n, false)).toBe(1500n)
    expect(reseedFor(-21n, -1n, false)).toBe(-20n)
  })
})

describe('errors', () => {
  const where = { label: 'old database shop on old.example.com', user: 'shop', database: 'shop' }
  const server = (number: number, message: string, severity = 16): Error =>
    Object.assign(new Error(message), { number, class: severity, code: 'EREQUEST' })

  it.each([
    [18456, 14, "Login failed for user 'x'.", 'database-login-failed'],
    [4060, 11, 'Cannot open database "x" requested by the login.', 'database-missing'],
    [229, 14, 'The SELECT permission was denied on the object', 'database-permission-denied'],
    [1105, 17, 'Could not allocate space for object', 'database-disk-full'],
    [9002, 17, "The transaction log for database 'x' is full", 'database-disk-full'],
    [1205, 13, 'Transaction was deadlocked on lock resources', 'database-busy'],
    [1222, 16, 'Lock request time out period exceeded.', 'database-busy'],
    [33557097, 16, 'permission denied for table orders', 'database-permission-denied'],
    [33557097, 16, 'canceling statement due to lock timeout', 'database-busy'],
    [21, 21, 'Warning: Fatal error 823 occurred', 'database-connection-lost'],
    [2627, 14, 'Violation of PRIMARY KEY constraint', undefined],
  ])('%i (class %i, %s) is %s', (number, severity, message, kind) => {
    expect(kindOfServerError({ number, severity, message })).toBe(kind)
  })

  it('say what happened to what, and may be tried again only where nothing was written', () => {
    const denied = statementError(server(229, 'The INSERT permission was denied'), 'INSERT INTO t VALUES (1)', where, true)
    expect([denied.code, denied.message.includes(where.label), denied.hint?.includes('db_owner')]).toEqual([
      'database-permission-denied',
      true,
      true,
    ])
    const lost = Object.assign(new Error('read ECONNRESET'), { code: 'ESOCKET' })
    expect(statementError(lost, 'SELECT 1', where, true)).toMatchObject({ code: 'database-connection-lost', retrySafe: true })
    expect(statementError(lost, 'COMMIT', where, false)).toMatchObject({ code: 'database-connection-lost', retrySafe: false })
    expect(statementError(server(1205, 'deadlocked', 13), 'UPDATE t', where, false)).toMatchObject({
      code: 'database-busy',
      retrySafe: true,
    })
  })

  it('find the telling one of two', () => {
    const both = new AggregateError([
      server(9002, 'log full', 17),
      server(1750, 'Could not create constraint. See previous errors.'),
    ])
    expect(statementError(both, 'ALTER TABLE t', where, true)).toMatchObject({
      code: 'database-disk-full',
      message: expect.stringContaining('log full'),
    })
  })

  it('of a connection tell login, database and network apart', () => {
    const refused = Object.assign(new Error('Login failed'), { code: 'ELOGIN' })
    expect(connectError(refused, { number: 18456, severity: 14, message: 'Login failed' }, where).code).toBe(
      'database-login-failed',
    )
    expect(connectError(refused, { number: 4060, severity: 11, message: 'Cannot open database' }, where).code).toBe(
      'database-missing',
    )
    const down = Object.assign(new Error('Failed to connect to x:1433 - connect ECONNREFUSED'), { code: 'ESOCKET' })
    expect(connectError(down, undefined, where)).toMatchObject({ code: 'database-unreachable', retrySafe: true })
  })

  it('show the statement’s first line without the values in it', () => {
    expect(firstLine("  UPDATE t SET secret = N'hush ''now''' WHERE id = 1\nGO")).toBe("UPDATE t SET secret = '…' WHERE id = 1")
  })
})

describe('a connection', () => {
  const options: MssqlOptions = {
    host: 'old.example.com',
    user: 'shop',
    password: new Secret('hush-hush'),
    database: 'shop',
    connections: 4,
    label: 'old database',
  }

  it('is encrypted and checks the certificate unless told otherwise', () => {
    expect(configuration(options)).toMatchObject({
      server: 'old.example.com',
      options: { port: 1433, encrypt: true, trustServerCertificate: false, database: 'shop' },
    })
  })

  it('takes an instance’s name instead of a port, and a Windows domain', () => {
    const made = configuration({ ...options, instanceName: 'SQLEXPRESS', domain: 'CORP' })
    expect(made.options).not.toHaveProperty('port')
    expect(made).toMatchObject({
      authentication: { type: 'ntlm', options: { domain: 'CORP' } },
      options: { instanceName: 'SQLEXPRESS' },
    })
  })
})

describe('what can’t be carried', () => {
  it('has a code and a hint for each kind', () => {
    expect(new Set(PROBES.map((probe) => probe.code)).size).toBe(PROBES.length)
    for (const probe of PROBES) {
      expect(probe.message('X')).toContain('X')
      expect(probe.hint.length).toBeGreaterThan(10)
      expect(probe.sql).toMatch(/AS \[name\]/)
    }
  })

  it('is asked for in one answer, each row with the number of its probe', () => {
    const statements = probesSql(PROBES).split(';\n')
    expect(statements).toHaveLength(PROBES.length)
    for (const [index, statement] of statements.entries())
      expect(statement).toMatch(new RegExp(`^SELECT (DISTINCT )?${index} AS \\[probe\\], `))
  })
})

describe('the ledger', () => {
  it('is written in one statement, numbered in the order of its entries', () => {
    expect(ledgerSql('[dbo].[migrate_ledger]', 2)).toBe(
      `INSERT INTO [dbo].[migrate_ledger] (run, table_name, source_key, target_key, action, source_hash) SELECT run, table_name, source_key, target_key, action, source_hash FROM (VALUES (0, @p0, @p1, @p2, @p3, @p4, @p5), (1, @p6, @p7, @p8, @p9, @p10, @p11)) AS v(place, run, table_name, source_key, target_key, action, source_hash) ORDER BY place`,
    )
  })
})
