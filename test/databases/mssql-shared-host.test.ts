import { describe, expect, it } from 'vitest'
import { beginSession } from '../../src/databases/mssql/connection.ts'
import { kindOfServerError } from '../../src/databases/mssql/errors.ts'
import { readSynonyms } from '../../src/databases/mssql/introspect-objects.ts'
import { namesDatabase, ownNameFindings, withoutDatabase } from '../../src/databases/mssql/own-name.ts'
import { principalFindings, readPrincipals } from '../../src/databases/mssql/principals.ts'
import { missingRights } from '../../src/databases/mssql/rights.ts'
import { answered } from './mssql-answers.ts'

describe('a database that is called otherwise on the new host', () => {
  it.each([
    'SELECT * FROM shop.dbo.Orders',
    'SELECT * FROM [Shop].[dbo].[Orders]',
    'SELECT * FROM shop..Orders',
    'UPDATE "shop" . /* here */ "dbo".Orders SET a = 1',
    "EXEC (N'DELETE FROM shop.dbo.Carts')",
  ])('breaks code that names it in full: %s', (sql) => {
    expect(namesDatabase(sql, 'shop')).toBe(true)
  })

  it.each([
    'SELECT Id FROM dbo.Orders',
    'SELECT shop.Id FROM dbo.Shops AS shop',
    'SELECT * FROM other.shop.Orders',
    'SELECT * FROM [big shop].dbo.Orders',
    'SELECT * FROM myshop.dbo.Orders',
    "SELECT N'https://shop.example.com/x', N'mail@shop.example.com'",
  ])('doesn’t trouble other code: %s', (sql) => {
    expect(namesDatabase(sql, 'shop')).toBe(false)
  })

  it('is found by odd names too, which only stand in brackets or quotes', () => {
    expect(namesDatabase('SELECT 1 FROM [u1-shop (a]]b)].dbo.t', 'u1-shop (a]b)')).toBe(true)
    expect(namesDatabase('SELECT u1-shop.dbo.t', 'u1-shop')).toBe(false)
  })

  it('is told of each piece of code, unless a schema has the name too, whose columns have three parts', () => {
    const modules = [
      { kind: 'view', name: { schema: 'dbo', name: 'Open' }, definition: 'CREATE VIEW Open AS SELECT * FROM shop.dbo.Orders' },
      { kind: 'procedure', name: { schema: 'dbo', name: 'Ship' }, definition: 'CREATE PROC Ship AS SELECT 1' },
    ] as const
    const orders = { name: { schema: 'dbo', name: 'Orders' } }
    expect(ownNameFindings(modules, [orders], 'shop').map(({ code, message }) => `${code}: ${message}`)).toEqual([
      'own-database-named: The view dbo.Open names its own database (shop) in full: where the new one has another name, it fails there.',
    ])
    expect(ownNameFindings(modules, [{ name: { schema: 'Shop', name: 'Orders' } }], 'shop')).toEqual([])
  })

  it('keeps its synonyms, which lose the name of the old one', async () => {
    const { session } = answered([
      /sys\.synonyms/,
      [
        { schema: 'dbo', name: 'Own', target: '[Shop].[dbo].[Orders]' },
        { schema: 'dbo', name: 'Other', target: '[mail].[dbo].[Queue]' },
      ],
    ])
    expect((await readSynonyms(session)).map(({ sql }) => sql)).toEqual([
      'CREATE SYNONYM [dbo].[Own] FOR [dbo].[Orders]',
      'CREATE SYNONYM [dbo].[Other] FOR [mail].[dbo].[Queue]',
    ])
    expect(withoutDatabase('[shop]..[Orders]', 'shop')).toBe('[Orders]')
    expect(withoutDatabase('[far].[shop].[dbo].[Orders]', 'shop')).toBe('[far].[shop].[dbo].[Orders]')
    expect(withoutDatabase('[dbo].[shop.x.y]', 'dbo')).toBe('[dbo].[shop.x.y]')
  })
})

describe('who may do what', () => {
  const grant = { state: 'GRANT', class: 0, major: 0, object: null }

  it('is told beforehand of all but the account that reads', async () => {
    const { session } = answered(
      [/FROM sys\.database_role_members/, [{ name: 'web', role: 'db_datareader' }]],
      [
        /FROM sys\.database_permissions/,
        [
          { ...grant, name: 'role', permission: 'EXECUTE', class: 1, object: 'dbo.Ship' },
          { ...grant, name: 'shop', permission: 'CONTROL' },
          { ...grant, name: 'idle', permission: 'CONNECT' },
          { ...grant, name: 'web', permission: 'CONNECT' },
        ],
      ],
      [/FROM sys\.database_principals/, ['dbo', 'idle', 'public', 'role', 'shop', 'web'].map((name) => ({ name }))],
    )
    const principals = await readPrincipals(session)
    expect(principals.map(({ name }) => name)).toEqual(['idle', 'role', 'shop', 'web'])
    expect(principalFindings(principals, 'SHOP')).toMatchObject([
      {
        severity: 'warning',
        code: 'grants-not-carried',
        message:
          "Users and roles of the old database aren't carried, nor what they may do: role (GRANT EXECUTE ON dbo.Ship), web (member of db_datareader).",
      },
    ])
  })

  it('is told of application roles and of users of a certificate or key, too', async () => {
    const { session } = answered(
      [
        /FROM sys\.database_permissions/,
        ['till', 'signer', 'db_owner'].map((name) => ({ ...grant, name, permission: 'EXECUTE', class: 1, object: 'dbo.Ship' })),
      ],
      [/FROM sys\.database_principals/, [{ name: 'clerk' }]],
    )
    expect((await readPrincipals(session)).map(({ name }) => name)).toEqual(['clerk', 'till', 'signer'])
  })

  it('is told of everybody (public), but for what a new database lets everybody do', async () => {
    const permitted = (...grants: readonly { readonly state: string; readonly permission: string; readonly major: number }[]) =>
      answered(
        [
          /FROM sys\.database_permissions/,
          grants.map((each) => ({ ...grant, name: 'public', class: 1, object: 'dbo.Orders', ...each })),
        ],
        [/FROM sys\.database_principals/, [{ name: 'public' }]],
      ).session
    const byDefault = [
      { state: 'GRANT', permission: 'SELECT', major: -385 },
      { state: 'GRANT', permission: 'VIEW ANY COLUMN MASTER KEY DEFINITION', major: 0 },
    ]
    expect(await readPrincipals(permitted(...byDefault))).toEqual([])
    const told = await readPrincipals(
      permitted(
        ...byDefault,
        { state: 'GRANT', permission: 'SELECT', major: 7 },
        { state: 'DENY', permission: 'EXECUTE', major: -9 },
      ),
    )
    expect(principalFindings(told, 'shop')[0]?.message).toMatch(
      /: public \(GRANT SELECT ON dbo\.Orders, DENY EXECUTE ON dbo\.Orders\)\.$/,
    )
  })

  it('is cut short where it is much, and nothing where only the account itself is there', () => {
    const many = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, grants: ['1', '2', '3', '4'] }))
    expect(principalFindings(many, 'shop')[0]?.message).toMatch(/a \(1, 2, 3, and 1 more\).* and 2 more\.$/)
    expect(principalFindings([{ name: 'shop', grants: ['member of db_owner'] }], 'shop')).toEqual([])
    const none = answered([/FROM sys\.database_principals/, [{ name: 'public' }]])
    return expect(readPrincipals(none.session)).resolves.toEqual([])
  })
})

describe('a session beside customers', () => {
  it('is the victim of a deadlock, not they, and waits for no lock for long', async () => {
    const { session, asked } = answered()
    await beginSession(session)
    expect(asked.flatMap((sql) => sql.split(/;\s*/)).toSorted()).toEqual(['SET DEADLOCK_PRIORITY LOW', 'SET LOCK_TIMEOUT 10000'])
  })

  it('that finds a replica while it takes over is tried again, not told that it lacks a right', () => {
    for (const number of [976, 983])
      expect(kindOfServerError({ number, severity: 14, message: 'currently not accessible' })).toBe('database-connection-lost')
  })
})

describe('tables and columns that an account may not read', () => {
  it('are one finding each, however many there are, with every statement that grants them', async () => {
    const tables = Array.from({ length: 7 }, (_, at) => ({ schema: 'dbo', name: `t ${at}` }))
    const { session } = answered(
      [/FROM \(VALUES/, [{ user: 'shop', permission: 'VIEW DEFINITION', granted: 1 }]],
      [/FROM sys\.columns c JOIN sys\.tables/, [{ schema: 'dbo', name: 'seen', column: 'secret' }]],
      [/FROM sys\.tables t/, tables],
    )
    const grants = tables.map(({ name }) => `GRANT SELECT ON [dbo].[${name}] TO [shop];`).join(' ')
    expect((await missingRights(session, 'read')).map(({ message, hint }) => [message, hint])).toEqual([
      ['old database: shop may not read dbo.t 0, dbo.t 1, dbo.t 2, dbo.t 3, dbo.t 4 and 2 more.', grants],
      ['old database: shop may not read the column dbo.seen.secret.', 'GRANT SELECT ON [dbo].[seen] ([secret]) TO [shop];'],
    ])
  })
})
