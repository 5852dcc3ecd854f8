import { MigrateError, messageOf } from '../base/errors.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Pace } from '../databases/plan/gap.ts'
import { RELIABLE_MS } from '../databases/plan/headroom.ts'
import type { Database } from '../databases/port.ts'
import { findTable, fullName, type IdentityState, type Layout, type Table } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { identityName } from './headroom.ts'
import { statesOf } from './leap-moves.ts'
import type { Host, World } from './world.ts'

/** Where the identities of one host stood at one moment. */
export interface Sample {
  /** Milliseconds, monotonic. */
  readonly at: number
  readonly states: ReadonlyMap<string, IdentityState>
}

/** What two samples of one host say of the time between them. */
export interface TrafficView {
  /** The newest sample; `undefined` while the host can't be asked. */
  readonly sample: Sample | undefined
  readonly ordersPerMinute: number | null
  /** There is a database, and it can't be asked. */
  readonly isUnanswered: boolean
}

/** Longest stretch over which a rate is averaged, in samples. */
const WINDOW = 10
const MINUTE_MS = 60_000

/**
 * Follows the identities of one host: new values are new rows. Reads the schema once; a host that can't be asked is reported
 * once for each outage and asked again at the next sample.
 */
export class HostTraffic {
  readonly #host: Host
  readonly #world: World
  readonly #orders: string | undefined
  #schema: Layout | undefined
  #samples: readonly Sample[] = []
  /** Whole looks and what was seen between them. */
  #glances: readonly Sample[] = []
  #failing = false

  constructor(host: Host, world: World, orders: string | undefined) {
    this.#host = host
    this.#world = world
    this.#orders = orders
  }

  async sample(run: StepRun): Promise<TrafficView> {
    const { database, side } = this.#host
    if (database === undefined) return { sample: undefined, ordersPerMinute: null, isUnanswered: false }
    try {
      const states = await this.#read(database)
      const sample = this.#keep({ at: run.clock.monotonic(), states })
      const previous = this.#samples.at(-1)
      this.#samples = [...this.#samples, sample].slice(-WINDOW)
      if (this.#failing) run.emit({ event: 'note', message: `The database of the ${side} host answers again.` })
      this.#failing = false
      const ordersPerMinute = previous === undefined ? null : this.#ordersBetween(previous, sample)
      return { sample, ordersPerMinute, isUnanswered: false }
    } catch (error) {
      run.signal.throwIfAborted()
      // A playbook that names a table which isn't there will not mend itself by waiting.
      if (error instanceof MigrateError && error.code === 'table-unknown') throw error
      if (!this.#failing) run.emit({ event: 'finding', ...unanswered(side, error) })
      this.#failing = true
      return { sample: undefined, ordersPerMinute: null, isUnanswered: true }
    }
  }

  /** Values handed out per minute by one identity, over the last samples; `null` before there are two. */
  ratePerMinute(name: string): number | null {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || first === last) return null
    return perMinute(used(first, last, name), last.at - first.at)
  }

  /** How fast one identity goes on, over whole looks and glances. */
  pace(name: string): Pace {
    const seen = this.#glances.filter(({ states }) => states.has(name))
    let peak: number | null = null
    for (const [index, after] of seen.entries()) {
      const before = seen[index - 1]
      const rate = before === undefined ? null : perMinute(used(before, after, name), after.at - before.at)
      if (rate !== null && (peak === null || rate > peak)) peak = rate
    }
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    const isSteady = first !== undefined && last !== undefined && last.at - first.at >= RELIABLE_MS
    return { peak, steady: isSteady ? this.ratePerMinute(name) : null }
  }

  /** The identities with these names alone, between two whole looks; `undefined` when they can't be asked, which the next look tells. */
  async glance(run: StepRun, names: ReadonlySet<string>): Promise<Sample | undefined> {
    const { database } = this.#host
    if (database === undefined || this.#schema === undefined) return undefined
    try {
      const states = await statesOf(database, this.#schema, names)
      return this.#keep({ at: run.clock.monotonic(), states })
    } catch {
      run.signal.throwIfAborted()
      return undefined
    }
  }

  /**
   * The newest glance saw an identity that was moved on by so many values, which nobody took: what was seen before it counts as if
   * it had been there.
   */
  moved(name: string, by: bigint): void {
    const shift = (sample: Sample): Sample => {
      const state = sample.states.get(name)
      if (state === undefined) return sample
      return { ...sample, states: new Map([...sample.states, [name, { ...state, next: state.next + by }]]) }
    }
    this.#samples = this.#samples.map(shift)
    this.#glances = [...this.#glances.slice(0, -1).map(shift), ...this.#glances.slice(-1)]
  }

  #keep(sample: Sample): Sample {
    this.#glances = [...this.#glances, sample].slice(-WINDOW)
    return sample
  }

  async #read(database: Database): Promise<ReadonlyMap<string, IdentityState>> {
    this.#schema ??= await layoutOf(database)
    const states = await database.identities(this.#schema)
    return new Map(
      states.filter(({ identity }) => this.#isCounted(identity.table)).map((state) => [identityName(state.identity), state]),
    )
  }

  /** Tables that the playbook doesn't reconcile (sessions, logs) say nothing about customers. */
  #isCounted(name: Table['name']): boolean {
    const tables = this.#schema?.tables ?? []
    const rules = [...this.#world.tables].find(([written]) => {
      const found = findTable(tables, written)
      return found !== undefined && found !== 'ambiguous' && fullName(found.name) === fullName(name)
    })
    return (rules?.[1] ?? this.#world.defaults).mode === 'track'
  }

  #ordersBetween(before: Sample, after: Sample): number | null {
    const names = ordersIdentities(this.#schema?.tables ?? [], after.states, this.#orders)
    return perMinute(
      names.reduce((sum, name) => sum + used(before, after, name), 0),
      after.at - before.at,
    )
  }
}

const unanswered = (side: Host['side'], error: unknown) =>
  ({
    severity: 'warning',
    code: 'watch-database-unanswered',
    message: `The database of the ${side} host can't be asked at present (${messageOf(error)}).`,
    hint: 'It is asked again at every look; until it answers, the old host does not count as quiet.',
  }) as const

const perMinute = (count: number, ms: number): number | null =>
  ms <= 0 ? null : Math.round((count * MINUTE_MS * 100) / ms) / 100

/** Values that an identity handed out between two samples. */
function used(before: Sample, after: Sample, name: string): number {
  const [was, is] = [before.states.get(name), after.states.get(name)]
  if (was === undefined || is === undefined) return 0
  const count = (is.next - was.next) / BigInt(is.identity.increment)
  return count > 0n ? Number(count) : 0
}

/** `Orders`, `order`, `wp_wc_orders`, `tblOrders`: the table as shops name it. */
export const LOOKS_LIKE_ORDERS = /^(?:.*[_-]|tbl)?orders?$/i

/**
 * The identities by which orders are counted: of the table that the playbook names, else of the one whose name looks like orders,
 * else all. Throws MigrateError `table-unknown` when the playbook names one that isn't there.
 */
export function ordersIdentities(
  tables: readonly Table[],
  states: ReadonlyMap<string, IdentityState>,
  orders: string | undefined,
): readonly string[] {
  const all = [...states]
  const of = (table: Table): readonly string[] => {
    const own = all.filter(([, { identity }]) => fullName(identity.table) === fullName(table.name))
    // A row may get several numbers, such as its key and an invoice's: it counts once.
    const key = own.find(([, { identity }]) => table.primaryKey?.columns.includes(identity.column) === true)
    return (key === undefined ? own.slice(0, 1) : [key]).map(([name]) => name)
  }
  if (orders !== undefined) {
    const table = findTable(tables, orders)
    if (table === undefined || table === 'ambiguous') {
      throw new MigrateError(
        'table-unknown',
        `The table "${orders}" that orders shall be counted by ${table === undefined ? "isn't in the database" : 'is there more than once'}.`,
        {
          hint: 'Correct its name in the step’s `orders:`; with its schema where several have one: sales.Orders.',
        },
      )
    }
    return of(table)
  }
  const likely = tables
    .filter((table) => LOOKS_LIKE_ORDERS.test(table.name.name) && of(table).length > 0)
    .sort((a, b) => a.name.name.length - b.name.name.length)[0]
  return likely === undefined ? all.map(([name]) => name) : of(likely)
}

/** The last values as text, for comparing two moments and for the run's memory. */
export const lastValues = (sample: Sample): Readonly<Record<string, string>> =>
  Object.fromEntries([...sample.states].map(([name, state]) => [name, state.last === null ? 'none' : String(state.last)]))
