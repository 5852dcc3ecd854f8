import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MigrateError } from '../../../src/base/errors.ts'
import { layoutOf } from '../../../src/databases/layout.ts'
import type { Database, LedgerEntry } from '../../../src/databases/port.ts'
import { fullName, type Layout } from '../../../src/databases/schema.ts'
import type { ReconcileChange } from '../../../src/reconcile/plan-items.ts'
import type { Proof } from '../../../src/reconcile/proof.ts'
import type { Reconciler } from '../../../src/reconcile/reconciler.ts'
import { type Deed, Shopkeeper } from './deeds.ts'
import { look, Names, type View } from './entities.ts'
import { type Fault, Process, type Watch } from './faults.ts'
import type { History, Pass } from './history.ts'
import { type ModelHost, type ModelPair, type ModelShop, opposite, type Side } from './hosts.ts'
import { baseline, RUN, raise, reconciler } from './merge.ts'
import { Oracle } from './oracle.ts'

const MEMORY = '/dev/shm'

export interface Quiet {
  readonly wrote: boolean
  /** What the same process would still do when it has done all. */
  readonly left: readonly ReconcileChange[]
  readonly proof: Proof
}

/** Two hosts in the middle of a history, and the oracle that watches them. */
export class Play {
  readonly history: History
  readonly directory: string
  readonly names = new Names()
  readonly oracle: Oracle
  readonly #pair: ModelPair
  readonly #databases: Readonly<Record<Side, Database>>
  readonly #shopkeeper: Shopkeeper
  readonly #looked: Record<Side, { readonly version: unknown; readonly view: View } | undefined> = {
    old: undefined,
    new: undefined,
  }

  readonly schemas: Readonly<Record<Side, Layout>>
  readonly #known = new Set<string>()

  private constructor(
    history: History,
    directory: string,
    pair: ModelPair,
    databases: Readonly<Record<Side, Database>>,
    schemas: Readonly<Record<Side, Layout>>,
    shopkeeper: Shopkeeper,
    restored: View,
  ) {
    this.history = history
    this.directory = directory
    this.#pair = pair
    this.#databases = databases
    this.schemas = schemas
    this.#shopkeeper = shopkeeper
    this.oracle = new Oracle(history.schema, this.names, restored)
  }

  /** The old host with its first rows, the new one restored from it, numbers raised, baseline taken. */
  static async begin(history: History, host: ModelHost): Promise<Play> {
    const { schema } = history
    const pair = await host.pair()
    const directory = await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'migrate-model-'))
    const shopkeeper = new Shopkeeper(schema, pair)
    await pair.old.create(schema)
    await pair.old.constrain(schema)
    for (const deed of history.beginning) await shopkeeper.perform(onOld(deed))
    await pair.new.create(schema)
    for (const table of schema.tables) await pair.new.restore(table, await pair.old.rows(table))
    await pair.new.constrain(schema)
    const databases = { old: pair.old.open(), new: pair.new.open() }
    const schemas = { old: await layoutOf(databases.old), new: await layoutOf(databases.new) }
    const restored = await look(schema, pair.new, new Names())
    await raise(databases.new, schemas.new, schema.headroom)
    await baseline(schema, directory, databases, schemas.new)
    return new Play(history, directory, pair, databases, schemas, shopkeeper, restored)
  }

  async end(): Promise<void> {
    await Promise.all([this.#databases.old.close(), this.#databases.new.close()])
    await this.#pair.close()
    await rm(this.directory, { recursive: true, force: true })
  }

  database(side: Side): Database {
    return this.#databases[side]
  }

  shop(side: Side): ModelShop {
    return this.#pair[side]
  }

  async view(side: Side): Promise<View> {
    const version = this.shop(side).version?.()
    const known = this.#looked[side]
    if (known !== undefined && version !== undefined && known.version === version) return known.view
    const view = await look(this.history.schema, this.shop(side), this.names)
    this.#looked[side] = { version, view }
    return view
  }

  /** What customers do, and passes of the merge in between. */
  async live(events: History['events'], from: Side): Promise<void> {
    for (const event of events) {
      if (event.what === 'pass') await this.pass(from, event)
      else await this.#shopkeeper.perform(event)
    }
  }

  /** A reconciler that nothing happens to. */
  quiet(from: Side): Reconciler {
    return this.#reconciler(from, this.#databases[from], this.#databases[opposite(from)])
  }

  #reconciler(from: Side, source: Database, target: Database): Reconciler {
    const schemas = { source: this.schemas[from], target: this.schemas[opposite(from)] }
    return reconciler(this.history.schema, this.directory, from, { source, target }, schemas)
  }

  /** A pass that nothing disturbs. */
  async quietPass(from: Side): Promise<Quiet> {
    const state = async (): Promise<string> => {
      const { rows } = await this.view(opposite(from))
      return JSON.stringify([[...rows], await this.#ledger(opposite(from))])
    }
    const before = await state()
    let result: Omit<Quiet, 'wrote'> | undefined
    await this.#process(from, null, this.#watched(from, []), async (each) => {
      for (const change of (await each.plan({})).changes) await each.apply(change)
      const { changes: left, proof } = await each.plan({})
      result = { left, proof }
    })
    if (result === undefined) throw new Error('a quiet pass came to no end')
    return { ...result, wrote: (await state()) !== before }
  }

  /** One pass by a process of its own, and what goes wrong in it. */
  async pass(from: Side, pass: Pass): Promise<void> {
    const watched = this.#watched(from, pass.meanwhile)
    const planned: ReconcileChange[] = []
    await this.#process(from, pass.fault, watched, async (each) => {
      const { changes } = await each.plan({})
      planned.push(...changes)
      for (const change of changes) await each.apply(change)
    })
    if (!pass.again) return
    await this.#process(from, null, watched, async (each) => {
      for (const change of planned) await each.apply(change)
    })
  }

  /** What customers do while a pass runs, and the oracle's eye on each of its transactions. */
  #watched(from: Side, meanwhile: Pass['meanwhile']): Watch {
    const sources: View[] = []
    let transactions = 0
    let before: View | undefined
    return {
      before: async () => {
        if (transactions === 0) sources.push(await this.view(from))
        for (const { at, deed } of meanwhile) if (at === transactions) await this.#shopkeeper.perform(deed)
        transactions += 1
        sources.push(await this.view(from))
        before = await this.view(opposite(from))
      },
      after: async () => {
        if (before !== undefined) await this.#judge(from, sources, before)
      },
    }
  }

  async #process(from: Side, fault: Fault | null, watch: Watch, work: (each: Reconciler) => Promise<void>): Promise<void> {
    const process = new Process(fault, watch)
    const each = this.#reconciler(from, process.reading(this.#databases[from]), process.writing(this.#databases[opposite(from)]))
    try {
      await Promise.race([work(each), process.died])
    } catch (error) {
      // As the command would: it ends, and is run again.
      if (!(error instanceof MigrateError) || error.code !== 'database-connection-lost') throw error
    }
  }

  async #judge(from: Side, sources: readonly View[], before: View): Promise<void> {
    const entries = await this.#newEntries(opposite(from))
    const step = { from, sources, before, after: await this.view(opposite(from)), entries }
    if (!this.oracle.unite(step)) return this.oracle.judge(step)
    // Two names have become one: what was seen before is told anew with it.
    this.#looked.old = undefined
    this.#looked.new = undefined
    const renamed = await Promise.all(sources.map((view) => this.#renamed(view)))
    this.oracle.judge({ ...step, sources: renamed, before: await this.#renamed(before), after: await this.view(opposite(from)) })
  }

  async #renamed(view: View): Promise<View> {
    return look(this.history.schema, { rows: async (table) => view.rows.get(table.name) ?? [] }, this.names)
  }

  /** What the ledger on the receiving host says since it was last asked. */
  async #newEntries(side: Side): Promise<readonly LedgerEntry[]> {
    const fresh = (await this.#ledger(side)).filter((entry) => !this.#known.has(JSON.stringify(entry)))
    for (const entry of fresh) this.#known.add(JSON.stringify(entry))
    return fresh
  }

  async #ledger(side: Side): Promise<readonly LedgerEntry[]> {
    const all: LedgerEntry[] = []
    for (const { name } of this.schemas.new.tables) all.push(...(await this.#databases[side].ledgerEntries(RUN, fullName(name))))
    return all
  }
}

const onOld = (deed: Deed): Deed => (deed.what === 'twin' ? { ...deed, what: 'insert', side: 'old' } : { ...deed, side: 'old' })
