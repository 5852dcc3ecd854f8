import { describe, expect, it } from 'vitest'
import { identityJump, raiseSql, sequenceJump, sequenceStateOf } from '../../src/databases/mssql/identities.ts'
import { type SequenceRow, sequenceIdentities, sequenceSql } from '../../src/databases/mssql/introspect-objects.ts'
import type { Identity, Table } from '../../src/databases/schema.ts'
import { column, orders } from './mssql-tables.ts'

/** As sys.sequences tells it ("sys.sequences (Transact-SQL)"). */
const row: SequenceRow = {
  schema: 'dbo',
  name: 'numbers',
  type: 'bigint',
  precision: 19,
  start: '1000',
  increment: '5',
  minimum: '-9223372036854775808',
  maximum: '9223372036854775807',
  cycling: false,
  cached: true,
  cache: null,
}
const numbered = (name: string, codec: string, sql: string): Table => ({
  ...orders,
  name: { schema: 'dbo', name },
  columns: [column('id', codec, { nullable: false, default: { name: null, sql } })],
})
const next = '(NEXT VALUE FOR [dbo].[numbers])'
const only = (identities: readonly Identity[]): Identity => {
  const [identity, ...more] = identities
  if (identity === undefined || more.length > 0) throw new Error(`${identities.length} identities`)
  return identity
}
const sequence = only(sequenceIdentities(row, []))

describe('a sequence', () => {
  it.each([
    [{}, 'AS bigint START WITH 1000 INCREMENT BY 5 MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807 NO CYCLE'],
    [{ cache: 500, cycling: true }, 'MAXVALUE 9223372036854775807 CYCLE CACHE 500'],
    [{ cached: false }, 'NO CYCLE NO CACHE'],
    [
      { type: 'decimal', precision: 20, increment: '-1', minimum: '-9', maximum: '9' },
      'AS decimal(20,0) START WITH 1000 INCREMENT BY -1 MINVALUE -9 MAXVALUE 9 NO CYCLE',
    ],
  ])('is created as it was: %j', (change, sql) => {
    expect(sequenceSql({ ...row, ...change })).toMatch(/^CREATE SEQUENCE \[dbo\]\.\[numbers\] AS /)
    expect(sequenceSql({ ...row, ...change })).toContain(sql)
    expect(sequenceSql({ ...row, ...change }).endsWith(sql)).toBe(true)
  })

  it('that no column uses stands for itself, with its own bounds and what a restart makes it skip', () => {
    expect(sequence).toEqual({
      kind: 'sequence',
      table: { schema: 'dbo', name: 'numbers' },
      column: '',
      sequence: { schema: 'dbo', name: 'numbers' },
      seed: '1000',
      increment: '5',
      minimum: '-9223372036854775808',
      maximum: '9223372036854775807',
      jump: '50',
    })
    expect(sequenceJump({ cached: true, cache: 500 })).toBe('500')
    expect(sequenceJump({ cached: false, cache: null })).toBe('0')
    expect(sequenceIdentities({ ...row, cycling: true }, [])).toEqual([{ ...sequence, cycles: true }])
  })

  it('that several columns share numbers each of them, no further than the column’s type goes', () => {
    const tables = [
      numbered('invoices', 'int', next),
      numbered('credits', 'bigint', '(next value for [dbo].[NUMBERS])'),
      numbered('others', 'int', '(NEXT VALUE FOR [dbo].[numbers_2])'),
      numbered('plain', 'int', '((1))'),
    ]
    expect(
      sequenceIdentities(row, tables).map(({ table, column: name, minimum, maximum }) => [table.name, name, minimum, maximum]),
    ).toEqual([
      ['invoices', 'id', '-2147483648', '2147483647'],
      ['credits', 'id', '-9223372036854775808', '9223372036854775807'],
    ])
  })

  it.each([
    ['([Numbers])', true],
    ['([sales].[Numbers])', true],
    ['("sales"."Numbers")', true],
    ['(Sales . /* ours */ numbers)', true],
    ['([shop].[sales].[Numbers])', true],
    ['([Numbers2])', false],
    ['([dbo].[Numbers])', false],
    ['([dbo].[sales].[Other])', false],
    ['([a]][Numbers])', false],
  ])('number a column whose default is NEXT VALUE FOR %s: %s', (name, isUsed) => {
    const sql = `(NEXT VALUE FOR ${name.slice(1, -1)})`
    const numbered = column('n', 'tinyint', { default: { name: null, sql } })
    const [identity] = sequenceIdentities({ ...row, schema: 'sales', name: 'Numbers' }, [{ ...orders, columns: [numbered] }])
    expect([identity?.column, identity?.maximum === '255']).toEqual([isUsed ? 'n' : '', isUsed])
  })

  it('goes on after the value that it gave last, or with the one that it was set to', () => {
    const down = { ...sequence, increment: '-2' }
    expect(sequenceStateOf(sequence, { current: '1000', used: null }, [])).toMatchObject({ last: null, next: 1000n })
    expect(sequenceStateOf(sequence, { current: '1005', used: '1005' }, [])).toMatchObject({ last: 1005n, next: 1010n })
    expect(sequenceStateOf(sequence, { current: '5000', used: '1005' }, [])).toMatchObject({ last: null, next: 5000n })
    expect(sequenceStateOf(down, { current: '-4', used: '-4' }, [])).toMatchObject({ last: -4n, next: -6n })
  })

  it('has given what stands furthest in any of its columns, also where a person wrote it', () => {
    const down = { ...sequence, increment: '-2' }
    expect(sequenceStateOf(sequence, { current: '1005', used: '1005' }, [7000n, 1000n])).toMatchObject({
      last: 7000n,
      next: 1010n,
    })
    expect(sequenceStateOf(down, { current: '-4', used: '-4' }, [-90n, 5n])).toMatchObject({ last: -90n, next: -6n })
  })

  it('is moved by a statement that a person can run', () => {
    expect(raiseSql(sequence, 5000n)).toBe('ALTER SEQUENCE [dbo].[numbers] RESTART WITH 5005;')
    expect(raiseSql({ ...sequence, increment: '-2' }, -5000n)).toBe('ALTER SEQUENCE [dbo].[numbers] RESTART WITH -5002;')
  })
})

describe('an identity column', () => {
  it('may skip more after a restart the larger its type is', () => {
    expect(['tinyint', 'smallint', 'int', 'bigint', 'decimal', 'numeric'].map(identityJump)).toEqual([
      '10',
      '100',
      '1000',
      '10000',
      '10000',
      '10000',
    ])
  })
})
