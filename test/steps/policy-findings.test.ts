import { describe, expect, it } from 'vitest'
import { type Column, ORDINARY, type Schema, type Table } from '../../src/databases/schema.ts'
import { policyFindings } from '../../src/steps/policy-findings.ts'
import type { TableRules } from '../../src/steps/world.ts'
import { testWorld } from '../fakes/step-run.ts'

const column = (name: string, type: string, change: Partial<Column> = {}): Column => ({
  name,
  type,
  codec: type.replace(/\(.*\)/, ''),
  ...ORDINARY,
  ...change,
})

const table = (name: string, key: readonly string[], columns: readonly Column[], unique: readonly string[] = []): Table => ({
  name: { schema: 'dbo', name },
  columns,
  primaryKey: null,
  uniqueKeys: unique.length === 0 ? [] : [{ name: 'UQ', columns: unique, sql: '' }],
  key,
  triggers: [],
})

const products = table(
  'Products',
  ['ProductID'],
  [
    column('ProductID', 'int', { identity: 'always' }),
    column('Title', 'nvarchar(80)'),
    column('Stock', 'int'),
    column('Price', 'decimal(19,4)'),
    column('Cost', 'money'),
    column('Weight', 'double precision'),
    column('Changed', 'timestamp(3) with time zone'),
    column('Shown', 'bit'),
    column('Gross', 'decimal(19,4)', { computed: { sql: 'Price * 1.2', stored: true } }),
    column('Version', 'rowversion', { rowversion: true }),
    column('Rank', 'dbo.Rank'),
    column('Points', 'dbo.Points', { codec: 'bigint' }),
  ],
  ['Title'],
)
const visits = table('Visits', [], [column('Page', 'text'), column('Spent', 'decimal(9,2)')])

const found = (tables: Readonly<Record<string, Partial<TableRules>>>, all: readonly Table[] = [products]): readonly string[] => {
  const schema: Schema = { tables: all, foreignKeys: [], identities: [], objects: [], principals: [], findings: [] }
  return policyFindings(testWorld({ tables }), schema).map(({ severity, code, message }) => `${severity} ${code} ${message}`)
}

describe('rules that a table can keep', () => {
  it('are silent', () => {
    const rules: Partial<TableRules> = {
      conflict: { newest: 'Changed' },
      add: ['stock', 'Cost', 'Points'],
      match: ['Title'],
      columns: { Price: 'add', Title: 'old', Shown: { newest: 'Stock' } },
      sums: ['Price', 'Stock'],
    }
    expect(found({ products: rules })).toEqual([])
  })

  it('are not asked for where the table is left alone', () => {
    expect(found({ Products: { mode: 'copy-only', add: ['Title'] } })).toEqual([])
  })
})

describe('rules that a table can’t keep', () => {
  it.each<[string, Partial<TableRules>, string]>([
    ['add on text', { add: ['Title'] }, 'Products.add.0: dbo.Products.Title is nvarchar(80), no number: add'],
    [
      'add on a float',
      { add: ['Weight'] },
      'Products.add.0: dbo.Products.Weight is double precision, a rounded number: what is added',
    ],
    ['add on a bit', { add: ['Shown'] }, 'dbo.Products.Shown is bit, no number'],
    [
      'add on a time',
      { columns: { Changed: 'add' } },
      'columns.Changed: dbo.Products.Changed is timestamp(3) with time zone, no number',
    ],
    ['add on a computed column', { add: ['Gross'] }, 'dbo.Products.Gross is computed by the server, so it is never compared'],
    ['a rule on a rowversion', { columns: { Version: 'old' } }, 'dbo.Products.Version is set by the server at each write'],
    ['a rule on the key', { columns: { ProductID: 'old' } }, 'dbo.Products.ProductID belongs to the key, which is never changed'],
    [
      'newest by text',
      { conflict: { newest: 'Title' } },
      'conflict.newest: dbo.Products.Title is nvarchar(80), neither a time nor',
    ],
    [
      'newest by text, of a column',
      { columns: { Stock: { newest: 'Shown' } } },
      'columns.Stock.newest: dbo.Products.Shown is bit',
    ],
    ['newest by what the server sets', { conflict: { newest: 'Version' } }, "newest can't go by it"],
    ['sums of a float', { sums: ['Weight'] }, 'sums.0: dbo.Products.Weight is double precision, a rounded number: sums of it'],
    ['match by a computed column', { match: ['Gross'] }, 'match.0: dbo.Products.Gross is computed'],
  ])('%s is an error, by name and place', (_what, rules, expected) => {
    expect(found({ Products: rules })).toContainEqual(expect.stringMatching(/^error policy-column /))
    expect(found({ Products: rules }).join('\n')).toContain(expected)
  })

  it('a type of the shop’s own that says nothing is a warning', () => {
    expect(found({ Products: { add: ['Rank'] } })).toEqual([expect.stringMatching(/^warning policy-column-unsure .*dbo\.Rank/)])
  })

  it('match where no unique key holds it is a warning', () => {
    expect(found({ Products: { match: ['Price'] } })).toContainEqual(
      expect.stringMatching(/^warning match-not-unique .*on Price/),
    )
    expect(found({ Products: { match: ['Title', 'Price'] } })).toEqual([])
  })

  it('match where no index helps names the one to add', () => {
    const slow = (match: readonly string[], sql = '', kind = 'index', of = 'Products') => {
      const objects =
        sql === '' ? [] : [{ kind, name: 'i', stage: 'after' as const, sql, undo: null, table: { schema: 'dbo', name: of } }]
      const schema: Schema = { tables: [products], foreignKeys: [], identities: [], objects, principals: [], findings: [] }
      return policyFindings(testWorld({ tables: { Products: { match } } }), schema).find(
        ({ code }) => code === 'match-without-index',
      )
    }
    expect(slow(['Price', 'Cost'])).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('no index of dbo.Products begins with Price or Cost'),
      hint: expect.stringContaining('CREATE INDEX Products_Price_Cost ON dbo.Products (Price, Cost)'),
    })
    for (const [sql, kind] of [
      ['CREATE INDEX i ON dbo."Products" USING btree (price)'],
      ['CREATE NONCLUSTERED INDEX [i] ON [dbo].[Products] ([Price] ASC, [Title] ASC) INCLUDE ([Stock])'],
      ['ALTER TABLE `Products` ADD KEY `a` (`Title`), ADD KEY `b` (`Price`(10),`Cost`)', 'indexes'],
    ] as const)
      expect(slow(['Price', 'Cost'], sql, kind), sql).toBeUndefined()
    for (const [sql, of] of [
      ['CREATE INDEX i ON dbo."Products" USING btree (title, price)'],
      ['CREATE INDEX i ON dbo."Products" USING gin (price)'],
      ['ALTER TABLE `Products` ADD FULLTEXT KEY `b` (`Price`)'],
      ['CREATE INDEX i ON dbo."Others" USING btree (price)', 'Others'],
    ] as const)
      expect(slow(['Price', 'Cost'], sql, 'index', of), sql).toBeDefined()
    const indexed: Schema = { tables: [products], foreignKeys: [], identities: [], principals: [], findings: [], objects: [] }
    const index = { kind: 'index', name: 'i', stage: 'after' as const, sql: 'CREATE INDEX i ON dbo.Products (Price)', undo: null }
    const there = { ...indexed, objects: [{ ...index, table: products.name }] }
    const rules = testWorld({ tables: { Products: { match: ['Price'] } } })
    expect(policyFindings(rules, indexed, there).map(({ code }) => code)).toEqual(['match-not-unique'])
    // Not restored yet: what the old host has is what will be there.
    expect(policyFindings(rules, there, { ...indexed, tables: [] }).map(({ code }) => code)).toEqual(['match-not-unique'])
  })
})

describe('a table without a key', () => {
  it('has no rows that a rule could be for, but columns that can be added up', () => {
    expect(found({ Visits: { add: ['Page'], sums: ['Spent'] } }, [visits])).toEqual([])
    expect(found({ Visits: { sums: ['Page'] } }, [visits])).toEqual([expect.stringMatching(/^error policy-column .*sums\.0/)])
  })
})
