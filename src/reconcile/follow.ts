import { layoutOf } from '../databases/layout.ts'
import { keyOnly } from '../databases/plan/restore.ts'
import type { Database, KeyCells, Reader } from '../databases/port.ts'
import { fullName, type Identity, type IdentityState, keyPositions, type Layout } from '../databases/schema.ts'
import { keyText } from './fingerprint.ts'
import { FollowCarrier, type Known } from './follow-carry.ts'
import { HOT_MS } from './follow-frontier.ts'
import { type FollowedTable, type FollowOptions, type FollowPlan, identityKey, planFollow } from './follow-tables.ts'

export type { FollowOptions } from './follow-tables.ts'

/** Keys that one look reads of a table, and rows that one transaction carries. */
const LOOK_KEYS = 500
const CARRY_ROWS = 100

/** What a pass did. */
export interface FollowPass {
  /** Rows inserted, by table. */
  readonly carried: ReadonlyMap<string, number>
  /** Newborn rows that were looked at for the first time, or again. */
  readonly seen: number
  /** Of these, those that stand on the target now. */
  readonly settled: number
  /** The source's numbers moved, or new keys were found: it isn't quiet. */
  readonly moved: boolean
  /** There are more new rows than one pass takes. */
  readonly more: boolean
  /** How long the source was asked for, milliseconds. */
  readonly sourceMs: number
}

/**
 * Cheap passes over rows that are born on the source while two hosts take orders: new numbers only, never a whole table. What isn't
 * plainly new (a key that both hosts gave, a natural key that is there, a parent that is missing) is left to the full pass. What was
 * carried stands in the ledger: a follower that is killed begins where its baseline ends and finds it there.
 */
export class Follower {
  readonly #options: FollowOptions
  #plan: FollowPlan | undefined
  /** Last values of the source's numberings, and when each was last seen to move (monotonic). */
  #last = new Map<string, bigint | null>()
  readonly #movedAt = new Map<string, number>()
  readonly #backlog = new Set<string>()
  readonly #ledger = new Map<string, Map<string, boolean>>()

  constructor(options: FollowOptions) {
    this.#options = options
  }

  /**
   * One pass; read-only where nothing was born. `undefined` while there is no baseline to tell what is new. Throws the ports' errors;
   * what it carried until then is carried, and the next pass goes on.
   */
  async pass(signal: AbortSignal): Promise<FollowPass | undefined> {
    const { clock, source } = this.#options
    const plan = await this.#open()
    if (plan.tables.length === 0) return undefined
    const started = clock.monotonic()
    const { tables, moved } = await this.#due(plan)
    const found = tables.length === 0 ? [] : await look(source, tables, signal)
    const sourceMs = clock.monotonic() - started
    const fresh = new Map<FollowedTable, readonly KeyCells[]>()
    for (const [table, keys] of found) fresh.set(table, await this.#unsettled(table, keys))
    const news = [...fresh].filter(([, keys]) => keys.length > 0)
    const carried = new Map<string, number>()
    let [seen, settled] = [0, 0]
    if (news.length > 0) {
      const states = await targetStates(this.#options.target, plan, new Set(news.map(([table]) => table.name)))
      const carrier = new FollowCarrier(this.#options, plan, this.#known(), states)
      for (const [table, keys] of news) {
        const { inserted, there } = await this.#carry(carrier, table, keys, signal)
        if (inserted > 0) carried.set(table.name, inserted)
        seen += keys.length
        settled += inserted + there
      }
    }
    for (const [table, keys] of found) this.#advance(table, keys)
    return { carried, seen, settled, moved: moved || carried.size > 0, more: this.#backlog.size > 0, sourceMs }
  }

  async #carry(
    carrier: FollowCarrier,
    table: FollowedTable,
    keys: readonly KeyCells[],
    signal: AbortSignal,
  ): Promise<{ readonly inserted: number; readonly there: number }> {
    let [inserted, there] = [0, 0]
    for (let at = 0; at < keys.length; at += CARRY_ROWS) {
      signal.throwIfAborted()
      const result = await carrier.carry(table, keys.slice(at, at + CARRY_ROWS))
      for (const key of [...result.inserted, ...result.there, ...result.left]) table.frontier.settle(key)
      const ledger = this.#ledger.get(table.name)
      for (const key of [...result.inserted, ...result.there]) ledger?.set(key, true)
      inserted += result.inserted.length
      there += result.there.length
    }
    return { inserted, there }
  }

  #advance(table: FollowedTable, keys: readonly KeyCells[]): void {
    const more = keys.length >= LOOK_KEYS
    table.frontier.advance(keys, this.#options.clock.monotonic(), more)
    if (more) this.#backlog.add(table.name)
    else this.#backlog.delete(table.name)
  }

  async #open(): Promise<FollowPlan> {
    if (this.#plan !== undefined) return this.#plan
    const { source, target } = this.#options
    const [from, to] = await Promise.all([layoutOf(source), layoutOf(target)])
    const plan = await planFollow(this.#options, from, to)
    if (plan.tables.length > 0) this.#plan = plan
    return plan
  }

  /** Tables that may have new rows: their numbering moved a short time ago, or there was more than one look could read. */
  async #due(plan: FollowPlan): Promise<{ readonly tables: readonly FollowedTable[]; readonly moved: boolean }> {
    const wanted = new Set(plan.tables.flatMap((table) => [...table.signals]))
    const states = await this.#options.source.identities(narrowed(plan.source, (identity) => wanted.has(identityKey(identity))))
    const now = this.#options.clock.monotonic()
    let moved = false
    for (const { identity, last } of states) {
      const key = identityKey(identity)
      const before = this.#last.get(key)
      if (before === last) continue
      moved ||= before !== undefined
      this.#movedAt.set(key, now)
      this.#last.set(key, last)
    }
    const isHot = (signal: string): boolean => now - (this.#movedAt.get(signal) ?? now) <= HOT_MS
    const tables = plan.tables.filter((table) => this.#backlog.has(table.name) || [...table.signals].some(isHot))
    return { tables, moved }
  }

  /** Keys that neither this follower nor, before it was started, another one or the full pass has dealt with. */
  async #unsettled(table: FollowedTable, keys: readonly KeyCells[]): Promise<readonly KeyCells[]> {
    const open = keys.filter((key) => !table.frontier.isSettled(keyText(key)))
    if (open.length === 0) return []
    const ledger = await this.#ledgerOf(table.name)
    for (const key of open) if (ledger.has(keyText(key))) table.frontier.settle(keyText(key))
    return open.filter((key) => !table.frontier.isSettled(keyText(key)))
  }

  #known(): Known {
    return { isCarried: async (table, key) => (await this.#ledgerOf(table)).get(key) }
  }

  /** What passes before this follower did with each row, by its key on the source. Read once for a table that has news. */
  async #ledgerOf(table: string): Promise<Map<string, boolean>> {
    const known = this.#ledger.get(table)
    if (known !== undefined) return known
    const stays = new Set(['inserted', 'updated'])
    const read = new Map<string, boolean>()
    for await (const entries of this.#options.target.ledgerPages(this.#options.run, table))
      for (const { sourceKey, targetKey, action } of entries) read.set(sourceKey, stays.has(action) && sourceKey === targetKey)
    this.#ledger.set(table, read)
    return read
  }
}

const narrowed = (schema: Layout, wanted: (identity: Identity) => boolean): Layout => ({
  ...schema,
  identities: schema.identities.filter(wanted),
})

/** Where the target numbers these tables now. */
const targetStates = (target: Database, plan: FollowPlan, tables: ReadonlySet<string>): Promise<readonly IdentityState[]> =>
  target.identities(narrowed(plan.target, ({ table }) => tables.has(fullName(table))))

/** The keys after each table's frontier, all of one moment: whose parent was there, finds it here. */
async function look(
  source: Database,
  tables: readonly FollowedTable[],
  signal: AbortSignal,
): Promise<readonly (readonly [FollowedTable, readonly KeyCells[]])[]> {
  return await source.read(1, async ([reader]) => {
    const found: (readonly [FollowedTable, readonly KeyCells[]])[] = []
    for (const table of tables) found.push([table, await newbornKeys(reader, table, signal)])
    return found
  })
}

async function newbornKeys(
  reader: Reader,
  { source, frontier }: FollowedTable,
  signal: AbortSignal,
): Promise<readonly KeyCells[]> {
  const table = keyOnly(source)
  const positions = keyPositions(table)
  const { after } = frontier
  const keys: KeyCells[] = []
  for await (const rows of reader.rows(table, { limit: LOOK_KEYS, signal, ...(after === undefined ? {} : { after }) }))
    keys.push(...rows.map((row) => positions.map((at) => row[at] ?? null)))
  return keys
}
