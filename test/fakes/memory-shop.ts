import { type Column, type ForeignKey, fullName, type Identity, ORDINARY, type Table } from '../../src/databases/schema.ts'
import type { DatabaseAbilities, DatabaseHost, ShopDatabase, ShopTable, Values } from '../contract/database-host.ts'
import { MemoryDatabase } from './memory-database.ts'
import type { MemoryDatabaseOptions, MemoryServerOptions } from './memory-options.ts'
import { MemoryServer } from './memory-server.ts'
import { type MemoryWork, NOCASE } from './memory-state.ts'

/** What the memory fake has of the contract. */
export const MEMORY_ABILITIES: DatabaseAbilities = {
  consistentReads: true,
  accounts: true,
  network: false,
  locks: false,
  samples: false,
  triggers: true,
  computed: false,
  objects: false,
  statements: true,
  layout: false,
}

const column = (name: string, type: string, options: Partial<Column> = {}): Column => ({
  name,
  type,
  codec: type.endsWith('int') ? 'integer' : 'text',
  ...ORDINARY,
  nullable: false,
  ...options,
})
const id = column('id', 'bigint', { identity: 'by-default' })
const text = (name: string): Column => column(name, 'text')
const optional = (name: string, type = 'text'): Column => column(name, type, { nullable: true })
const withDefault = (name: string, type: string, sql: string): Column => column(name, type, { default: { name: null, sql } })
const main = (name: string) => ({ schema: '', name })

function table(name: ShopTable, key: readonly string[], columns: readonly Column[], unique: readonly string[] = []): Table {
  return {
    name: main(name),
    columns,
    primaryKey: key.length === 0 ? null : { name: `${name}_pkey`, columns: key, sql: '' },
    uniqueKeys: unique.map((each) => ({ name: `${name}_${each}_key`, columns: [each], sql: '' })),
    key,
    triggers: [],
  }
}

const TABLES: readonly Table[] = [
  table('customers', ['id'], [id, text('email'), optional('name'), optional('note')], ['email']),
  table('products', ['id'], [id, text('title'), withDefault('stock', 'int', '0'), column('price', 'decimal')]),
  table('orders', ['id'], [id, column('customer_id', 'bigint'), text('placed'), withDefault('status', 'text', 'open')]),
  table(
    'order_items',
    ['order_id', 'line'],
    [column('order_id', 'bigint'), column('line', 'int'), column('product_id', 'bigint'), column('quantity', 'int')],
  ),
  table('categories', ['id'], [id, optional('parent_id', 'bigint'), text('title')]),
  table('departments', ['id'], [id, optional('head_id', 'bigint')]),
  table('employees', ['id'], [id, column('department_id', 'bigint')]),
  table('visits', [], [text('page'), optional('visitor')]),
  table('never_used', ['id'], [id, optional('note')]),
  table('countdown', ['id'], [id, optional('note')]),
  table('audit', ['id'], [id, text('what')]),
  table('words', ['word'], [text('word'), optional('meaning')]),
]

const WIDE = Array.from({ length: 200 }, (_, at) => optional(`c${at + 1}`))

const FURTHER: readonly Table[] = [
  table('coupons', ['id'], [id, column('code', 'text', { collation: NOCASE }), optional('used', 'int')], ['code']),
  table('tokens', ['token'], [text('token'), optional('note')]),
  table('wide', ['id'], [column('id', 'int'), ...WIDE]),
]

const refers = (child: ShopTable, name: string, parent: ShopTable, sql = ''): ForeignKey => ({
  name: `${child}_${name}_fkey`,
  table: main(child),
  columns: [name],
  parent: main(parent),
  parentColumns: ['id'],
  enforced: true,
  sql,
})

const FOREIGN_KEYS: readonly ForeignKey[] = [
  refers('orders', 'customer_id', 'customers'),
  refers('order_items', 'order_id', 'orders', 'on delete cascade'),
  refers('order_items', 'product_id', 'products'),
  refers('categories', 'parent_id', 'categories'),
  refers('departments', 'head_id', 'employees'),
  refers('employees', 'department_id', 'departments'),
]

/** Where an identity begins, and its increment. */
const SEEDS: Readonly<Record<string, string>> = { countdown: '-1', tens: '10' }

const numbering = (name: string, columnName: string): Identity => ({
  kind: columnName === '' ? 'sequence' : 'column',
  table: main(name),
  column: columnName,
  sequence: columnName === '' ? main(name) : null,
  seed: SEEDS[name] ?? (columnName === '' ? '1000' : '1'),
  increment: SEEDS[name] ?? '1',
  minimum: '-9223372036854775808',
  maximum: '9223372036854775807',
})

const INVOICES = numbering('invoice_numbers', '')

/** The contract's shop on a server in memory. */
export class MemoryShop implements ShopDatabase {
  readonly server: MemoryServer
  readonly statements = {
    send: `set-all ${JSON.stringify({ table: 'orders', column: 'status', value: 'sent' })}`,
    broken: 'no such statement',
  }

  constructor(options?: MemoryServerOptions) {
    this.server = new MemoryServer(options)
  }

  open(options?: MemoryDatabaseOptions): MemoryDatabase {
    return new MemoryDatabase(this.server, options)
  }

  async openReadOnly(): Promise<MemoryDatabase> {
    return this.open({ readOnly: true })
  }

  async openFaulty(fault: 'wrong-password' | 'unreachable' | 'missing-database') {
    const codes = {
      'wrong-password': 'database-login-failed',
      unreachable: 'database-unreachable',
      'missing-database': 'database-missing',
    } as const
    return { database: this.open({ fault: codes[fault] }), secret: 'a password that memory never sees' }
  }

  async createTens(): Promise<void> {
    await this.server.transaction([], (work) => this.#create(work, table('tens', ['id'], [id, optional('note')])))
  }

  async createFurther(): Promise<void> {
    await this.server.transaction([], (work) => {
      for (const each of FURTHER) this.#create(work, each)
    })
  }

  #create(work: MemoryWork, made: Table): void {
    const identities = made.columns.filter((own) => own.identity !== null).map((own) => numbering(made.name.name, own.name))
    this.server.run(work, `create-table ${JSON.stringify({ table: made, identities })}`)
  }

  async createShop(): Promise<void> {
    await this.server.transaction([], (work) => {
      for (const each of TABLES) this.#create(work, each)
      this.server.run(work, `create-sequence ${JSON.stringify(INVOICES)}`)
      for (const key of FOREIGN_KEYS) this.server.run(work, `create-foreign-key ${JSON.stringify(key)}`)
      this.server.run(
        work,
        `create-check ${JSON.stringify({ name: 'products_stock', on: 'products', column: 'stock', least: '0' })}`,
      )
      this.server.run(work, `create-trigger ${JSON.stringify({ name: 'orders_audit', on: 'orders', into: 'audit' })}`)
    })
  }

  insert(name: ShopTable, values: Values): Promise<string> {
    return this.server.transaction([], (work) => {
      const { columns } = work.table(name).table
      let taken = ''
      const row = columns.map((each) => {
        const value = values[each.name]
        if (each.identity !== null) {
          taken = value ?? String(this.server.take(`${name}.${each.name}`))
          return taken
        }
        return value === undefined ? (each.default?.sql ?? null) : value
      })
      work.insert(name, [row])
      return taken
    })
  }

  insertWords(count: number): Promise<void> {
    const rows = Array.from({ length: count }, (_, index) => [`w${String(index + 1).padStart(6, '0')}`, null])
    return this.server.transaction([], (work) => work.insert('words', rows))
  }

  update(name: ShopTable, key: Values, values: Values): Promise<void> {
    return this.server.transaction([], (work) => {
      const held = work.table(name).table
      for (const [text, row] of this.#matching(name, key)) {
        work.update(
          name,
          row.map((cell, at) => values[held.columns[at]?.name ?? ''] ?? (hasOwn(values, held.columns[at]?.name) ? null : cell)),
          text,
        )
      }
    })
  }

  remove(name: ShopTable, key: Values): Promise<void> {
    return this.server.transaction([], (work) => {
      work.delete(
        name,
        this.#matching(name, key).map(([text]) => text),
      )
    })
  }

  async truncate(name: ShopTable): Promise<void> {
    await this.server.transaction([], (work) => work.truncate(name))
    const counter = `${name}.id`
    if (this.server.has(counter)) this.server.restoreCounter(counter, null, BigInt(this.server.stateOf(counter).identity.seed))
  }

  async rows(name: ShopTable): Promise<readonly Values[]> {
    const held = this.server.state.tables.get(name)
    if (held === undefined) return []
    return [...held.rows.values()].map((row) =>
      Object.fromEntries(held.table.columns.map((each, at) => [each.name, row[at] ?? null])),
    )
  }

  async nextInvoice(): Promise<string> {
    return String(this.server.take('invoice_numbers.'))
  }

  async tables(): Promise<readonly string[]> {
    const { tables, marks, ledger } = this.server.state
    const own = [...(marks === null ? [] : ['migrate_marks']), ...(ledger === null ? [] : ['migrate_ledger'])]
    return [...[...tables.values()].map(({ table: each }) => fullName(each.name)), ...own].sort()
  }

  #matching(name: ShopTable, key: Values) {
    const held = this.server.state.tables.get(name)
    if (held === undefined) return []
    const columns = held.table.columns.map((each) => each.name)
    const wanted = Object.entries(key).map(([each, value]) => ({ at: columns.indexOf(each), value }))
    return [...held.rows].filter(([, row]) => wanted.every(({ at, value }) => row[at] === value))
  }
}

const hasOwn = (values: Values, name: string | undefined): boolean => name !== undefined && Object.hasOwn(values, name)

/** The contract's host in memory. */
export const memoryHost = async (options?: MemoryServerOptions): Promise<DatabaseHost> => ({
  database: async () => new MemoryShop(options),
  close: async () => undefined,
})
