import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { configuration, type MssqlOptions } from '../../src/databases/mssql/connection.ts'
import { connectError, firstLine, kindOfServerError, statementError } from '../../src/databases/mssql/errors.ts'
import { PROBES, probesSql } from '../../src/databases/mssql/findings.ts'
import { reseedFor, standingSql, stateOf } from '../../src/databases/mssql/identities.ts'
import type { Identity } from '../../src/databases/schema.ts'
import { orders } from './mssql-tables.ts'

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
    [3202, 16, 'Write on "D:\\b.bak" failed: 112(There is not enough space on the disk.)', 'database-disk-full'],
    [3110, 14, "User does not have permission to RESTORE database 'x'.", 'database-permission-denied'],
    [9002, 17, "The transaction log for database 'x' is full", 'database-disk-full'],
    [3958, 16, 'Transaction aborted when accessing versioned row', 'database-disk-full'],
    [3966, 17, 'Transaction is rolled back when accessing version store.', 'database-disk-full'],
    [3967, 17, 'Insufficient space in tempdb to hold row versions.', 'database-disk-full'],
    [10936, 16, 'Resource ID : 1. The request limit for the elastic pool is 200', 'database-connection-lost'],
    [1205, 13, 'Transaction was deadlocked on lock resources', 'database-busy'],
    [1222, 16, 'Lock request time out period exceeded.', 'database-busy'],
    [3961, 16, 'Snapshot isolation transaction failed in database', 'table-rewritten'],
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

  it('name the statement of a reading whose table was changed under it, for it to be read again', () => {
    const words = 'Snapshot isolation transaction failed in database: the object was modified by a DDL statement'
    expect(statementError(server(3961, words), 'SELECT * FROM [dbo].[Orders]', where, true)).toMatchObject({
      code: 'table-rewritten',
      message: expect.stringContaining('[Orders]'),
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
