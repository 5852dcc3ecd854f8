import type { Database, Row, Transaction } from '../../../src/databases/port.ts'
import type { Table } from '../../../src/databases/schema.ts'
import type { ShopDatabase, ShopTable } from '../../contract/database-host.ts'
import { customer, type Pair } from '../../contract/reconcile-pair.ts'

export const first = async (shop: ShopDatabase, table: ShopTable, at = 0) => {
  const rows = (await shop.rows(table)).toSorted((a, b) => Number(a.id) - Number(b.id))
  const row = rows.at(at)
  if (row === undefined) throw new Error(`${table} is empty`)
  return row
}

/** What a broken server, a trigger or a proxy may do to a write of the merge. */
export interface Lie {
  readonly title: string
  readonly table?: ShopTable
  readonly method: 'insert' | 'update' | 'delete' | 'removeCopies'
  prepare(pair: Pair): Promise<void>
  /** Does something else with the rows than was asked. */
  lie(own: Transaction, table: Table, rows: readonly Row[]): Promise<unknown>
}

const stray = async (pair: Pair): Promise<void> => {
  await customer(pair.old, 'late@example.com')
  await customer(pair.old, 'later@example.com')
}

export const LIES: readonly Lie[] = [
  {
    title: 'drops a row of an insert silently',
    method: 'insert',
    prepare: stray,
    lie: (own, table, rows) => own.insert(table, rows.slice(1)),
  },
  {
    title: 'writes one cell of an insert wrongly',
    method: 'insert',
    prepare: stray,
    lie: (own, table, [row = [], ...rows]) => own.insert(table, [row.with(2, 'Nobody'), ...rows]),
  },
  {
    title: 'inserts rows of a table without a key twice',
    table: 'visits',
    method: 'insert',
    prepare: async (pair) => {
      await pair.old.insert('visits', { page: '/late', visitor: null })
    },
    lie: async (own, table, rows) => {
      await own.insert(table, rows)
      await own.insert(table, rows)
    },
  },
  {
    title: 'drops rows of a table without a key',
    table: 'visits',
    method: 'insert',
    prepare: async (pair) => {
      await pair.old.insert('visits', { page: '/late', visitor: null })
    },
    lie: async () => undefined,
  },
  {
    title: 'writes a row of a table without a key otherwise',
    table: 'visits',
    method: 'insert',
    prepare: async (pair) => {
      await pair.old.insert('visits', { page: '/late', visitor: null })
    },
    lie: (own, table, [row = []]) => own.insert(table, [row.map((cell) => (cell === '/late' ? '/' : cell))]),
  },
  {
    title: 'removes no copies and says that it did',
    table: 'visits',
    method: 'removeCopies',
    prepare: async (pair) => {
      await pair.old.remove('visits', { page: '/', visitor: 'stray' })
    },
    lie: async () => 1,
  },
  { title: 'forgets an update', method: 'update', prepare: renamed, lie: async () => undefined },
  {
    title: 'writes one cell of an update wrongly',
    method: 'update',
    prepare: renamed,
    lie: (own, table, [row = []]) => own.update(table, row.with(2, 'Nobody')),
  },
  {
    title: 'forgets a deletion',
    method: 'delete',
    prepare: async (pair) => {
      const { order_id } = await first(pair.old, 'order_items')
      await pair.old.remove('order_items', { order_id: order_id ?? '', line: '1' })
    },
    lie: async () => undefined,
  },
]

async function renamed(pair: Pair): Promise<void> {
  const { id } = await first(pair.old, 'customers')
  await pair.old.update('customers', { id: id ?? '' }, { name: 'Ada Lovelace' })
}

/** The database, whose transactions do `lie` the first time that they are asked for `method`, or whenever they are. */
export function lying(database: Database, method: Lie['method'], lie: Lie['lie'], always = false) {
  let isTold = false
  const lyingTransaction = (own: Transaction): Transaction =>
    new Proxy(own, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        return (...args: readonly unknown[]): unknown => {
          if (name !== method || (isTold && !always)) return Reflect.apply(member, target, args)
          isTold = true
          const [table, rows, ...more] = args
          // An update is given one row.
          return Reflect.apply(lie, undefined, [own, table, method === 'update' ? [rows] : rows, ...more])
        }
      },
    })
  return {
    told: () => isTold,
    database: new Proxy(database, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target)
        if (name === 'transaction')
          return (tables: readonly Table[], work: (own: Transaction) => Promise<unknown>) =>
            target.transaction(tables, (own) => work(lyingTransaction(own)))
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
  }
}
