import { describe, expect, it } from 'vitest'
import { identityStates, raise, raiseSql, reset, sequenceStateOf } from '../../src/databases/mssql/identities.ts'
import { type SequenceRow, sequenceIdentities, sequenceSql } from '../../src/databases/mssql/introspect-objects.ts'
import { identityJump, sequenceJump } from '../../src/databases/mssql/jumps.ts'
import { identitiesToRaise } from '../../src/databases/plan/restore.ts'
import type { Identity, Table } from '../../src/databases/schema.ts'
import { failureOf } from '../contract/database-kit.ts'
import { type Answer, answered } from './mssql-answers.ts'
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

/** A sequence as "ALTER SEQUENCE" and "NEXT VALUE FOR (Transact-SQL)" describe it; sys.sequences tells of it. */
function living(identity: Identity, given: bigint): ReturnType<typeof answered> {
  const increment = BigInt(identity.increment)
  const within = (value: bigint): bigint => {
    if (value >= BigInt(identity.minimum) && value <= BigInt(identity.maximum)) return value
    throw new Error(`The value ${value} is beyond the limits of the sequence.`)
  }
  let [current, used] = [given, true]
  const run = (sql: string): readonly { readonly last: string }[] => {
    const restart = /RESTART WITH (-?\d+)/.exec(sql)?.[1]
    if (restart !== undefined) [current, used] = [within(BigInt(restart)), false]
    if (!sql.includes('NEXT VALUE FOR')) return []
    ;[current, used] = [used ? within(current + increment) : current, true]
    return [{ last: String(current) }]
  }
  return answered(
    [/sys\.all_columns/, [{ view: 'sequences', column: 'last_used_value' }]],
    [/FROM sys\.sequences/, () => [{ current: `${current}`, start: identity.seed, used: used ? `${current}` : null }]],
    [/SEQUENCE|NEXT VALUE/, run],
  )
}

describe('a sequence of the new host', () => {
  const up = { ...sequence, minimum: '1', maximum: '1012' }
  const down = { ...sequence, increment: '-5', minimum: '-1012', maximum: '-1' }
  const next = async ({ session }: ReturnType<typeof answered>, identity: Identity): Promise<bigint | undefined> =>
    (await identityStates(session, { identities: [identity] }))[0]?.next

  it.each([
    [up, 1000n, 1007n, 1012n],
    [up, 1000n, 1005n, 1010n],
    [down, -1000n, -1005n, -1010n],
  ])('goes on beyond what it is raised to: %j', async (identity, given, value, beyond) => {
    const server = living(identity, given)
    await raise(server.session, identity, value)
    expect(await next(server, identity)).toBe(beyond)
  })

  it.each([
    [up, 1000n, 1010n],
    [up, 1000n, 1012n],
    [down, -1000n, -1010n],
  ])('stands used up where the old one gave its last value: %j', async (identity, given, last) => {
    const server = living(identity, given)
    await raise(server.session, identity, last)
    expect(await next(server, identity)).toBe(last + BigInt(identity.increment))
    await expect(server.session.batch('SELECT NEXT VALUE FOR [dbo].[numbers]')).rejects.toThrow('beyond the limits')
  })

  it('is set back to where it stood, used up', async () => {
    const server = living(up, 1000n)
    await reset(server.session, up, { identity: up, last: 1010n, next: 1015n })
    expect(await next(server, up)).toBe(1015n)
  })

  it('isn’t moved to where it has no values', async () => {
    const server = living(up, 1000n)
    const failure = await failureOf(raise(server.session, up, 1013n))
    expect(failure.code).toBe('identity-exhausted')
    expect(await next(server, up)).toBe(1005n)
  })
})

describe('a sequence of a server before 2017, which stands at its start', () => {
  const at = (current: string): ReturnType<typeof answered> => {
    let now = current
    return answered(
      [/FROM sys\.sequences/, () => [{ current: now, start: '1000', used: null }]],
      [
        /RESTART WITH/,
        (sql) => {
          now = /RESTART WITH (-?\d+)/.exec(sql)?.[1] ?? now
          return []
        },
      ],
    )
  }

  it('may have given that number: the new host goes on beyond it', async () => {
    const [state] = await identityStates(at('1000').session, { identities: [sequence] })
    expect([state?.last, state?.next]).toEqual([1000n, 1000n])
    const server = at('1000')
    const raises = identitiesToRaise(await identityStates(server.session, { identities: [sequence] }), () => state?.last ?? null)
    for (const { state: each, value } of raises) await raise(server.session, each.identity, value)
    expect(server.asked).toContain('ALTER SEQUENCE [dbo].[numbers] RESTART WITH 1005')
  })

  it('and further on has given where it stands', async () => {
    const [state] = await identityStates(at('1010').session, { identities: [sequence] })
    expect([state?.last, state?.next]).toEqual([1010n, 1015n])
  })
})

describe('an identity column', () => {
  const identity: Identity = { ...sequence, kind: 'column', sequence: null, column: 'id', maximum: '255', increment: '1' }
  const standing = (last: string | null, furthest: string | null): Answer => [
    /sys\.identity_columns/,
    [{ position: 0, last, current: last ?? '1', furthest }],
  ]

  it('whose last number was given to a row that is gone stands used up on the new host', async () => {
    let reseeded = false
    const { session, asked } = answered(
      [/sys\.identity_columns/, () => [{ position: 0, last: reseeded ? '255' : '200', current: '200', furthest: '200' }]],
      [
        /RESEED/,
        () => {
          reseeded = true
          return []
        },
      ],
    )
    await raise(session, identity, 255n)
    expect(asked.filter((sql) => sql.startsWith('DBCC'))).toEqual(["DBCC CHECKIDENT ('[dbo].[numbers]', RESEED, 255)"])
  })

  it('of an empty table can’t stand used up, since its first row gets what it is reseeded to: nothing is moved', async () => {
    const { session, asked } = answered(standing(null, null))
    const failure = await failureOf(raise(session, identity, 255n))
    expect([failure.code, failure.hint]).toEqual(['identity-exhausted', expect.stringContaining('TRUNCATE TABLE')])
    expect(asked.filter((sql) => sql.includes('RESEED'))).toEqual([])
  })

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
