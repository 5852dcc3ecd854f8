import { describe, expect, it } from 'vitest'
import { type Column, type ForeignKey, ORDINARY, type Schema, type Table } from '../../src/databases/schema.ts'
import { numberedByShop } from '../../src/steps/numbered-by-shop.ts'
import { testWorld } from '../fakes/step-run.ts'

const column = (name: string, type: string, change: Partial<Column> = {}): Column => ({
  name,
  type,
  codec: type,
  ...ORDINARY,
  nullable: false,
  ...change,
})
const named = (name: string) => ({ schema: '', name })
const table = (name: string, columns: readonly Column[], key: readonly string[] = [columns[0]?.name ?? '']): Table => ({
  name: named(name),
  columns,
  primaryKey: { name: `pk_${name}`, columns: key, sql: '' },
  uniqueKeys: [],
  key,
  triggers: [],
})
const schemaOf = (tables: readonly Table[], change: Partial<Schema> = {}): Schema => ({
  tables,
  foreignKeys: [],
  identities: [],
  objects: [],
  principals: [],
  findings: [],
  ...change,
})

describe('tables that the shop numbers itself', () => {
  it('are asked about by name: their key is a whole number that nothing in the database hands out', () => {
    const tables = [
      ...['int', 'bigint', 'integer', 'int(11)', 'bigint(20) unsigned', 'int unsigned', 'numeric(18,0)', 'decimal(10)'].map(
        (type, at) => table(`T${at}`, [column('id', type)]),
      ),
      table('Last', [column('id', 'smallint')]),
    ]
    const [found, ...others] = numberedByShop(testWorld({}), schemaOf(tables))
    expect(others).toEqual([])
    expect(found).toMatchObject({ severity: 'warning', code: 'numbered-by-the-shop' })
    expect(found?.message).toContain(
      'How does your shop number T0.id, T1.id, T2.id, T3.id, T4.id, T5.id, T6.id, T7.id and 1 more?',
    )
  })

  it('are not those that the database numbers, that take their number from a parent, or whose key is something else', () => {
    const extension: ForeignKey = {
      name: 'fk',
      table: named('Extension'),
      columns: ['id'],
      parent: named('Orders'),
      parentColumns: ['id'],
      enforced: true,
      sql: '',
    }
    const tables = [
      table('Orders', [column('id', 'int', { identity: 'always' })]),
      table('Sequenced', [column('id', 'bigint')]),
      table('Defaulted', [column('id', 'bigint', { default: { name: null, sql: 'next_number()' } })]),
      table('Extension', [column('id', 'int')]),
      table('Items', [column('order', 'int'), column('line', 'int')], ['order', 'line']),
      table('Words', [column('word', 'varchar(20)')]),
      table('Prices', [column('price', 'decimal(12,4)')]),
      table('Sessions', [column('id', 'int')]),
      { ...table('Visits', [column('id', 'int')]), primaryKey: null, key: [] },
    ]
    const schema = schemaOf(tables, {
      foreignKeys: [extension],
      identities: [
        {
          kind: 'sequence',
          table: named('Sequenced'),
          column: 'id',
          sequence: named('numbers'),
          seed: '1',
          increment: '1',
          minimum: '1',
          maximum: '100',
        },
      ],
    })
    expect(numberedByShop(testWorld({ tables: { Sessions: { mode: 'skip' } } }), schema)).toEqual([])
  })
})
