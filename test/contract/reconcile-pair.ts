import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import { layoutOf } from '../../src/databases/layout.ts'
import type { Database, Statement } from '../../src/databases/port.ts'
import { fullName, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import type { Decision } from '../../src/reconcile/decisions.ts'
import type { ParkedRow } from '../../src/reconcile/parked.ts'
import type { ReconcileChange } from '../../src/reconcile/plan-items.ts'
import { PARKING, type SourceSide, type TablePolicy } from '../../src/reconcile/policy.ts'
import { printingFor } from '../../src/reconcile/printing.ts'
import { Reconciler, type ReconcilerOptions } from '../../src/reconcile/reconciler.ts'
import type { DatabaseHost, ShopDatabase, ShopTable, Values } from './database-host.ts'

export const RUN = 'run-1'
/** Tables of the contract's shop that are reconciled; `visits` has no key. */
const TRACKED: readonly ShopTable[] = [
  'customers',
  'products',
  'orders',
  'order_items',
  'categories',
  'departments',
  'employees',
  'words',
  'visits',
  'coupons',
  'tokens',
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

export interface Starting {
  /** As the playbook has them when the baseline is taken. */
  readonly policies?: Policies
  /** How far the new host's identities are raised: 0 forgets them, as the story does. */
  readonly headroom?: bigint
  /** The contract's further tables too: coupons, tokens. */
  readonly further?: boolean
}

/** Copies one shop to the other through the port, raises its identities by 1,000 and takes the baseline. */
export async function startedPair(
  host: DatabaseHost,
  fill: (old: ShopDatabase) => Promise<void>,
  { policies = {}, headroom = 1000n, further = false }: Starting = {},
): Promise<Pair> {
  const [old, fresh] = [await host.database(), await host.database()]
  await old.createShop()
  if (further) await old.createFurther?.()
  await fill(old)
  const [oldDatabase, newDatabase] = [old.open({ connections: 2 }), fresh.open({ connections: 2 })]
  const directory = await mkdtemp(join(tmpdir(), 'migrate-reconcile-'))
  const statements = await statementsFor(host, oldDatabase, further)
  const mark = (name: string) => ({ run: RUN, name })
  const create = async (stage: Statement['stage']): Promise<void> => {
    const due = statements.filter((each) => each.stage === stage).map(({ sql, name }) => ({ sql, mark: mark(name) }))
    if (newDatabase.executeTogether !== undefined) await newDatabase.executeTogether(due)
    else for (const each of due) await newDatabase.execute(each.sql, each.mark)
  }
  await create('before')
  for (const table of (await layoutOf(oldDatabase)).tables) {
    await oldDatabase.read(1, async ([reader]) =>
      newDatabase.load(table, reader.rows(table), mark(`load ${fullName(table.name)}`)),
    )
  }
  await create('after')
  const restored = await layoutOf(newDatabase)
  for (const state of await newDatabase.identities(restored)) {
    const step = BigInt(state.identity.increment)
    await newDatabase.raiseIdentity(state.identity, (state.last ?? BigInt(state.identity.seed)) + step * headroom)
  }
  await takeBaseline({
    directory,
    database: newDatabase,
    peer: oldDatabase,
    tables: restored.tables.filter(tracked),
    printingOf: (table) => printingFor(table, policyOf(policies)(table)),
  })
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

/** By host: the contract's shop is the same in each pair, and a server takes long to tell all of its schema. */
const known = new WeakMap<DatabaseHost, Map<boolean, readonly Statement[]>>()

/** What creates the shop on the new host. */
async function statementsFor(host: DatabaseHost, shop: Database, further: boolean): Promise<readonly Statement[]> {
  const ofHost = known.get(host) ?? new Map<boolean, readonly Statement[]>()
  known.set(host, ofHost)
  const statements = ofHost.get(further) ?? shop.ddl(await shop.schema())
  ofHost.set(further, statements)
  return statements
}

/** What the playbook says of some tables, by their names in lower case. */
export type Policies = Partial<Record<ShopTable, Partial<TablePolicy>>>

export interface Merging {
  readonly policies?: Policies
  /** `new`: a rollback. */
  readonly from?: SourceSide
  readonly references?: ReconcilerOptions['references']
  readonly clock?: Clock
  readonly old?: Database
  readonly fresh?: Database
}

const policyOf =
  (policies: Policies) =>
  (table: Table): TablePolicy => ({ ...PARKING, ...policies[table.name.name.toLowerCase() as ShopTable] })

export function reconciler(pair: Pair, merging: Merging = {}): Reconciler {
  const [old, fresh] = [merging.old ?? pair.oldDatabase, merging.fresh ?? pair.newDatabase]
  const from = merging.from ?? 'old'
  return new Reconciler({
    run: RUN,
    directory: pair.directory,
    source: from === 'old' ? old : fresh,
    target: from === 'old' ? fresh : old,
    sourceSide: from,
    tracked,
    policyOf: policyOf(merging.policies ?? {}),
    references: merging.references ?? (() => []),
    ...(merging.clock ? { clock: merging.clock } : {}),
  })
}

/** Plans and applies once; returns what was planned. */
export async function pass(each: Reconciler): Promise<readonly ReconcileChange[]> {
  const { changes } = await each.plan({})
  await applyAll(each, changes)
  return changes
}

/** Carries what was planned, by whichever process planned it. */
export async function applyAll(each: Reconciler, changes: readonly ReconcileChange[]): Promise<void> {
  for (const change of changes) await each.apply(change)
}

/** A person's answer about a row that is parked. */
export function decided(row: ParkedRow | undefined, take: Decision['take']): Decision {
  if (row === undefined) throw new Error('nothing is parked that could be decided')
  return { table: row.table, key: row.key, take, source: row.source, target: row.target }
}

/** A foreign key that only the playbook knows: a column of one table and the key of another. */
export const playbookReference =
  (child: readonly [ShopTable, string], parent: readonly [ShopTable, string]): ReconcilerOptions['references'] =>
  (tables) => {
    const named = (name: string) => tables.find((table) => table.name.name.toLowerCase() === name)?.name
    const [of, to] = [named(child[0]), named(parent[0])]
    if (of === undefined || to === undefined) return []
    const name = `${child.join('.')} -> ${parent.join('.')}`
    return [{ name, table: of, columns: [child[1]], parent: to, parentColumns: [parent[1]], enforced: false, sql: '' }]
  }

export const customer = (old: ShopDatabase, email: string): Promise<string> =>
  old.insert('customers', { email, name: `Name of ${email}`, note: null })
export const order = (shop: ShopDatabase, customerId: string, placed = PLACED): Promise<string> =>
  shop.insert('orders', { customer_id: customerId, placed, status: 'open' })

export const find = async (shop: ShopDatabase, table: ShopTable, key: Values): Promise<Values | undefined> =>
  (await shop.rows(table)).find((row) => Object.entries(key).every(([name, value]) => row[name] === value))
