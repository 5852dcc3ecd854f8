import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from '../../src/databases/port.ts'
import { fullName, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import type { Decision, ReconcileChange } from '../../src/reconcile/plan.ts'
import { Reconciler } from '../../src/reconcile/reconciler.ts'
import type { DatabaseHost, ShopDatabase, ShopTable, Values } from './database-host.ts'

const RUN = 'run-1'
/** Tables of the contract's shop whose rows can be told apart. */
const TRACKED: readonly ShopTable[] = [
  'customers',
  'products',
  'orders',
  'order_items',
  'categories',
  'departments',
  'employees',
  'words',
]
const PLACED = '2026-11-20 07:00:00.000001'

export interface Pair {
  readonly old: ShopDatabase
  readonly new: ShopDatabase
  readonly oldDatabase: Database
  readonly newDatabase: Database
  readonly directory: string
  close(): Promise<void>
}

const tracked = (table: Table): boolean => TRACKED.some((name) => name === table.name.name.toLowerCase())

/** Copies one shop to the other through the port, raises its identities by 1,000 and takes the baseline. */
export async function startedPair(host: DatabaseHost, fill: (old: ShopDatabase) => Promise<void>): Promise<Pair> {
  const [old, fresh] = [await host.database(), await host.database()]
  await old.createShop()
  await fill(old)
  const [oldDatabase, newDatabase] = [old.open({ connections: 2 }), fresh.open({ connections: 2 })]
  const directory = await mkdtemp(join(tmpdir(), 'migrate-reconcile-'))
  const schema = await oldDatabase.schema()
  const statements = newDatabase.ddl(schema)
  const mark = (name: string) => ({ run: RUN, name })
  for (const each of statements) if (each.stage === 'before') await newDatabase.execute(each.sql, mark(each.name))
  for (const table of schema.tables) {
    await oldDatabase.read(1, async ([reader]) =>
      newDatabase.load(table, reader.rows(table), mark(`load ${fullName(table.name)}`)),
    )
  }
  for (const each of statements) if (each.stage === 'after') await newDatabase.execute(each.sql, mark(each.name))
  const restored = await newDatabase.schema()
  for (const state of await newDatabase.identities(restored)) {
    const step = BigInt(state.identity.increment)
    await newDatabase.raiseIdentity(state.identity, (state.last ?? BigInt(state.identity.seed)) + step * 1000n)
  }
  await takeBaseline({ directory, database: newDatabase, tables: restored.tables.filter(tracked) })
  return {
    old,
    new: fresh,
    oldDatabase,
    newDatabase,
    directory,
    async close() {
      await Promise.all([oldDatabase.close(), newDatabase.close()])
      for (const shop of [old, fresh]) await shop.close?.()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export const reconciler = (pair: Pair, decide: (table: Table) => Decision = () => 'park'): Reconciler =>
  new Reconciler({
    run: RUN,
    directory: pair.directory,
    source: pair.oldDatabase,
    target: pair.newDatabase,
    tracked,
    decide,
    ignore: () => [],
    references: () => [],
  })

/** Plans and applies once; returns what was planned. */
export async function pass(each: Reconciler): Promise<readonly ReconcileChange[]> {
  const { changes } = await each.plan({})
  for (const change of changes) await each.apply(change)
  return changes
}

export const customer = (old: ShopDatabase, email: string): Promise<string> =>
  old.insert('customers', { email, name: `Name of ${email}`, note: null })
export const order = (shop: ShopDatabase, customerId: string): Promise<string> =>
  shop.insert('orders', { customer_id: customerId, placed: PLACED, status: 'open' })

export const find = async (shop: ShopDatabase, table: ShopTable, key: Values): Promise<Values | undefined> =>
  (await shop.rows(table)).find((row) => Object.entries(key).every(([name, value]) => row[name] === value))
