import { describe, expect, it } from 'vitest'
import { introspect } from '../../src/databases/mssql/introspect.ts'
import { allowsSnapshot } from '../../src/databases/mssql/read.ts'
import { type Answer, answered } from './mssql-answers.ts'

/** A shop's catalog beside what change data capture made, all of it told as a user's, as a server does that marks nothing as its own. */
const catalog = (capturing: number): readonly Answer[] => {
  const text = { ansiNulls: true, quotedIdentifier: true }
  return [
    [/is_cdc_enabled\) AS \[capturing\]/, [{ capturing }]],
    [/AS \[view\], c\.name AS \[column\]/, [{ view: 'tables', column: 'is_filetable' }]],
    [
      /^SELECT t\.object_id AS \[id\]/,
      [
        { id: 1, schema: 'dbo', name: 'Orders' },
        { id: 2, schema: 'cdc', name: 'dbo_Orders_CT' },
      ],
    ],
    [/FROM sys\.schemas ORDER BY/, [{ name: 'cdc' }, { name: 'dbo' }, { name: 'sales' }]],
    [
      /^SELECT o\.object_id AS \[id\], RTRIM/,
      [
        { id: 3, type: 'V', schema: 'dbo', name: 'Open' },
        { id: 4, type: 'IF', schema: 'cdc', name: 'fn_cdc_get_all' },
        { id: 5, type: 'P', schema: 'cdc', name: 'sp_batch' },
      ],
    ],
    [
      /FROM sys\.sql_modules m/,
      [
        { id: 3, definition: 'CREATE VIEW dbo.[Open] AS SELECT 1 AS a', ...text },
        { id: 4, definition: 'CREATE FUNCTION cdc.fn_cdc_get_all() RETURNS TABLE AS RETURN SELECT 1 AS a', ...text },
        { id: 5, definition: null, ...text },
      ],
    ],
    [
      /FROM sys\.database_role_members/,
      [
        { name: 'cdc', role: 'db_owner' },
        { name: 'clerk', role: 'db_datareader' },
      ],
    ],
    [/FROM sys\.database_principals/, [{ name: 'cdc' }, { name: 'clerk' }]],
    [
      /^SELECT DISTINCT 0 AS \[probe\]/,
      [
        { probe: 0, name: 'cdc.dbo_Orders_CT', table: 'cdc.dbo_Orders_CT' },
        { probe: 0, name: 'dbo.Orders', table: 'dbo.Orders' },
      ],
    ],
  ]
}

const seen = async (capturing: number) => {
  const { tables, objects, principals, findings } = await introspect(answered(...catalog(capturing)).session)
  return {
    tables: tables.map(({ name }) => `${name.schema}.${name.name}`),
    objects: objects.map(({ kind, name }) => `${kind} ${name}`),
    principals: principals.map(({ name }) => name),
    told: findings.map(({ code, message }) => `${code}: ${message}`).join('\n'),
  }
}

describe('change data capture', () => {
  it('keeps its schema, tables, code and user to itself where it is on', async () => {
    const { told, ...shop } = await seen(1)
    expect(shop).toEqual({
      tables: ['dbo.Orders'],
      objects: ['schema sales', 'view dbo.Open'],
      principals: ['clerk'],
    })
    expect(told).toContain('dbo.Orders is a FileTable')
    expect(told).not.toContain('cdc')
  })

  it('has no claim to a schema of that name where it is off', async () => {
    const { told, ...shop } = await seen(0)
    expect(shop).toEqual({
      tables: ['dbo.Orders', 'cdc.dbo_Orders_CT'],
      objects: ['schema cdc', 'schema sales', 'view dbo.Open', 'function cdc.fn_cdc_get_all'],
      principals: ['cdc', 'clerk'],
    })
    expect(told).toContain('cdc.sp_batch')
    expect(told).toContain('cdc.dbo_Orders_CT is a FileTable')
  })
})

describe('one moment for all rows', () => {
  const server = (state: number, tables: number, column = 'is_memory_optimized') =>
    answered(
      [/snapshot_isolation_state/, [{ state }]],
      [/AS \[view\], c\.name AS \[column\]/, [{ view: 'tables', column }]],
      [/is_memory_optimized = 1/, [{ tables }]],
    )

  it('is had where the database allows SNAPSHOT isolation and every table can be read so', async () => {
    expect(await allowsSnapshot(server(1, 0).session)).toBe(true)
    expect(await allowsSnapshot(server(0, 0).session)).toBe(false)
  })

  it('is not had of memory-optimized tables, which such a transaction can’t read', async () => {
    expect(await allowsSnapshot(server(1, 2).session)).toBe(false)
  })

  it('is had of a server that has no such tables, nor the column that would tell', async () => {
    const { session, asked } = server(1, 2, 'name')
    expect(await allowsSnapshot(session)).toBe(true)
    expect(asked.some((sql) => sql.includes('is_memory_optimized'))).toBe(false)
  })
})
