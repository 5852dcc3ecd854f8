import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Step } from '../../src/run/step.ts'
import { bumpIdentitiesKind } from '../../src/steps/bump-identities.ts'
import { restoreDatabaseKind } from '../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../src/steps/snapshot-database.ts'
import type { World } from '../../src/steps/world.ts'
import type { DatabaseHost, ShopDatabase, ShopTable } from '../contract/database-host.ts'
import { FakeClock } from '../fakes/clock.ts'
import { TestRun, type TestWorldOptions, testContext, testWorld } from '../fakes/step-run.ts'

/** Tables of the contract's shop that have rows after `fill`. */
export const FILLED: readonly ShopTable[] = ['customers', 'products', 'orders', 'order_items', 'categories', 'visits', 'words']

/** A shop about to move, with the steps that move its database. */
export interface MovingShop {
  readonly old: ShopDatabase
  readonly new: ShopDatabase
  readonly oldDatabase: Database
  readonly newDatabase: Database
  readonly world: World
  readonly run: TestRun
  readonly clock: FakeClock
  readonly snapshot: Step
  readonly restore: Step
  readonly bump: Step
  close(): Promise<void>
}

export interface MovingOptions extends Omit<TestWorldOptions, 'old' | 'new'> {
  /** Another way to the same database. */
  readonly reachOld?: (shop: ShopDatabase) => Promise<Database>
  readonly reachNew?: (shop: ShopDatabase) => Promise<Database>
  /** Where the run's folder is made; the system's temporary folder when absent. */
  readonly folder?: string
  /** Options of bump-identities, as the playbook gives them. */
  readonly bump?: unknown
  /** The run's; one that only the test moves when absent. */
  readonly clock?: Clock
  /** How many connections the steps work over side by side, on each host; the world's own number when absent. */
  readonly connections?: number | undefined
}

/** Two new databases, the old one with the contract's shop; `visits` has no key and is declared copy-only. */
export async function movingShop(host: DatabaseHost, options: MovingOptions = {}): Promise<MovingShop> {
  const [old, fresh] = [await host.database(), await host.database()]
  await old.createShop()
  const directory = await mkdtemp(join(options.folder ?? tmpdir(), 'migrate-steps-'))
  const plain = [old.open({ connections: 3 }), fresh.open({ connections: 3 })] as const
  const { tables, reachOld, reachNew, bump, folder: _folder, clock: given, connections, ...rest } = options
  const pace = connections === undefined ? {} : { connections }
  const oldDatabase = (await reachOld?.(old)) ?? plain[0]
  const newDatabase = (await reachNew?.(fresh)) ?? plain[1]
  const world = testWorld({
    ...rest,
    tables: { visits: { mode: 'copy-only' }, ...tables },
    old: { database: oldDatabase, ...pace },
    new: { database: newDatabase, ...pace },
  })
  const clock = new FakeClock(undefined, { automatic: false })
  return {
    old,
    new: fresh,
    oldDatabase,
    newDatabase,
    world,
    clock,
    run: new TestRun(directory, given ?? clock),
    ...stepsOf(world, bump),
    async close() {
      await Promise.all([...plain, oldDatabase, newDatabase].map((database) => database.close()))
      for (const shop of [old, fresh]) await shop.close?.()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** New steps, as another process makes them. */
export const stepsOf = (world: World, bump: unknown = undefined) => ({
  snapshot: snapshotDatabaseKind.create(snapshotDatabaseKind.options.parse(undefined), testContext(world, 'snapshot-database')),
  restore: restoreDatabaseKind.create(restoreDatabaseKind.options.parse(undefined), testContext(world, 'restore-database')),
  bump: bumpIdentitiesKind.create(bumpIdentitiesKind.options.parse(bump), testContext(world, 'bump-identities')),
})

/** A few rows in every table, with the values that get lost most often. */
export async function fill(shop: ShopDatabase, words = 25): Promise<void> {
  const ada = await shop.insert('customers', { email: 'ada@example.com', name: 'Åda  ', note: null })
  const bob = await shop.insert('customers', {
    email: 'bob@example.com',
    name: '',
    note: 'line\nbreak\t"quoted" \\ back, 日本語 🧦',
  })
  const shirt = await shop.insert('products', { title: 'Tröja', stock: '7', price: '19.9900' })
  for (const customer of [ada, bob, ada]) {
    const order = await shop.insert('orders', { customer_id: customer, placed: '2026-11-20 07:00:00.000001', status: 'open' })
    for (const line of ['1', '2']) await shop.insert('order_items', { order_id: order, line, product_id: shirt, quantity: line })
  }
  const parent = await shop.insert('categories', { parent_id: null, title: 'Clothes' })
  await shop.insert('categories', { parent_id: parent, title: 'Shirts' })
  await shop.insert('visits', { page: '/', visitor: null })
  await shop.insert('visits', { page: '/', visitor: '' })
  await shop.insertWords(words)
}

/** All rows of the filled tables, for comparing the two hosts. */
export async function contents(shop: ShopDatabase): Promise<Record<string, readonly string[]>> {
  const all: Record<string, readonly string[]> = {}
  for (const name of [...FILLED, 'audit' as const]) all[name] = (await shop.rows(name)).map((row) => JSON.stringify(row)).sort()
  return all
}
