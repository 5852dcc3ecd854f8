import type { Json } from '../../src/base/json.ts'
import type { Row } from '../../src/databases/port.ts'
import {
  type ForeignKey,
  fullName,
  type Identity,
  type IdentityState,
  keyPositions,
  type Table,
} from '../../src/databases/schema.ts'
import type { MemoryServerOptions } from './memory-options.ts'
import { emptyState, failed, type MemoryState, type MemoryTable, MemoryWork } from './memory-state.ts'

interface Counter {
  readonly identity: Identity
  last: bigint | null
  next: bigint
}

/** Where a counter is named after what it numbers. */
export const counterName = (identity: Identity): string => `${fullName(identity.sequence ?? identity.table)}.${identity.column}`

let servers = 0

/**
 * A database server with one database, in memory. Transactions come one after the other; identities stand outside them, as in real
 * engines; readers see what is committed.
 */
export class MemoryServer {
  readonly options: Required<MemoryServerOptions>
  readonly name: string
  readonly #counters = new Map<string, Counter>()
  readonly #order = new WeakMap<ReadonlyMap<string, Row>, readonly Row[]>()
  #state: MemoryState = emptyState
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: MemoryServerOptions = {}) {
    const usual = { consistent: true, bulk: true, fingerprints: true, batchRows: 1000, engine: 'memory', version: [1, 0] }
    this.options = { ...usual, ...options }
    servers += 1
    this.name = `memory-${servers}`
  }

  get state(): MemoryState {
    return this.#state
  }

  /** One transaction: what `work` changes counts when it returns, and not when it throws. */
  async transaction<T>(quiet: readonly Table[], work: (work: MemoryWork) => Promise<T> | T): Promise<T> {
    const mine = this.#turn.then(async () => {
      const own = new MemoryWork(this.#state, quiet, (each, into, what) => this.#audit(each, into, what))
      const result = await work(own)
      this.#state = own.state
      return result
    })
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  /** Runs a statement of this engine's own language: a verb and JSON. */
  run(work: MemoryWork, sql: string): number {
    const space = sql.indexOf(' ')
    const verb = space === -1 ? sql : sql.slice(0, space)
    const argument = argumentOf(sql, space)
    switch (verb) {
      case 'create-table': {
        const { table, identities } = argument as { table: Table; identities: readonly Identity[] }
        work.createTable(table)
        for (const identity of identities) this.#count(identity)
        return 0
      }
      case 'drop-table':
        work.dropTable(argument as string)
        return 0
      case 'create-sequence':
        this.#count(argument as Identity)
        return 0
      case 'drop-sequence':
        this.#counters.delete(argument as string)
        return 0
      case 'create-foreign-key':
        work.addForeignKey(argument as ForeignKey)
        return 0
      case 'drop-foreign-key':
        work.foreignKeys = work.foreignKeys.filter((key) => key.name !== argument)
        return 0
      case 'create-trigger':
      case 'create-check': {
        const { name } = argument as { name: string }
        const kind = verb.slice('create-'.length)
        work.objects = [...work.objects, { kind, name, stage: 'after', sql, undo: `drop-object ${JSON.stringify(name)}` }]
        return 0
      }
      case 'drop-object':
        work.objects = work.objects.filter((each) => each.name !== argument)
        return 0
      case 'set-all':
        return setAll(work, argument as { table: string; column: string; value: string })
      default:
        throw failed(`unknown statement: ${sql}`)
    }
  }

  /** Rows in key order, or in order of arrival. */
  sorted({ table, rows }: MemoryTable): readonly Row[] {
    if (table.key.length === 0) return [...rows.values()]
    const known = this.#order.get(rows)
    if (known !== undefined) return known
    const sorted = [...rows.values()].sort((a, b) => compareKeys(table, a, b))
    this.#order.set(rows, sorted)
    return sorted
  }

  /** Takes the next value. */
  take(name: string): bigint {
    const counter = this.#counter(name)
    const value = counter.next
    counter.last = value
    counter.next = value + BigInt(counter.identity.increment)
    return value
  }

  /**
   * As DBCC CHECKIDENT does (Microsoft Learn, "DBCC CHECKIDENT", new_reseed_value): the next value is this one where none was ever
   * handed out, and the one after it otherwise.
   */
  reseed(name: string, value: bigint): void {
    const counter = this.#counter(name)
    counter.next = counter.last === null ? value : value + BigInt(counter.identity.increment)
    if (counter.last !== null) counter.last = value
  }

  restoreCounter(name: string, last: bigint | null, next: bigint): void {
    const counter = this.#counter(name)
    counter.last = last
    counter.next = next
  }

  wasUsed(name: string): boolean {
    return this.#counter(name).last !== null
  }

  has(name: string): boolean {
    return this.#counters.has(name)
  }

  stateOf(name: string): IdentityState {
    const { identity, last, next } = this.#counter(name)
    const up = BigInt(identity.increment) > 0n
    const furthest = (a: bigint | null, b: bigint): bigint => (a === null || (up ? b > a : b < a) ? b : a)
    const held = this.#state.tables.get(fullName(identity.table))
    const at = held?.table.columns.findIndex((column) => column.name === identity.column) ?? -1
    let far = last
    if (held !== undefined && at !== -1) {
      for (const row of held.rows.values()) far = furthest(far, BigInt(row[at] ?? 0))
    }
    return { identity, last: far, next }
  }

  get counters(): readonly Identity[] {
    return [...this.#counters.values()]
      .map((counter) => counter.identity)
      .filter((identity) => identity.column === '' || this.#state.tables.has(fullName(identity.table)))
  }

  /** All that the database holds, for comparing two ends. Order of rows without a key doesn't count. */
  dump(): Json {
    const { tables, foreignKeys, objects, marks, ledger } = this.#state
    return {
      tables: Object.fromEntries(
        [...tables].map(([name, { table, rows }]) => [
          name,
          { table, rows: [...rows.values()].map((row) => JSON.stringify(row)).sort() },
        ]),
      ),
      foreignKeys: foreignKeys.map((key) => key.name).sort(),
      objects: objects.map((each) => each.name).sort(),
      identities: Object.fromEntries(
        this.counters.map((identity) => {
          const { last, next } = this.stateOf(counterName(identity))
          return [counterName(identity), { last: last === null ? null : String(last), next: String(next) }]
        }),
      ),
      marks: marks === null ? null : [...marks].sort(),
      // When a row was carried depends on how often the run was cut off; that it was, doesn't.
      ledger: ledger === null ? null : ledger.map(({ at: _at, ...entry }) => JSON.stringify(entry)).sort(),
    }
  }

  #count(identity: Identity): void {
    this.#counters.set(counterName(identity), { identity, last: null, next: BigInt(identity.seed) })
  }

  #counter(name: string): Counter {
    const counter = this.#counters.get(name)
    if (counter === undefined) throw failed(`there is no identity ${name}`)
    return counter
  }

  #audit(work: MemoryWork, into: string, what: string): void {
    work.insert(into, [[String(this.take(`${into}.id`)), what]])
  }
}

function argumentOf(sql: string, space: number): unknown {
  try {
    return space === -1 ? null : JSON.parse(sql.slice(space + 1))
  } catch {
    throw failed(`unknown statement: ${sql}`)
  }
}

function setAll(work: MemoryWork, { table, column, value }: { table: string; column: string; value: string }): number {
  const held = work.table(table)
  const at = held.table.columns.findIndex((each) => each.name === column)
  const rows = [...held.rows]
  for (const [key, row] of rows) work.update(table, row.with(at, value), key)
  return rows.length
}

/** Whole numbers by value, anything else by its text. */
function compareKeys(table: Table, a: Row, b: Row): number {
  for (const [index, at] of keyPositions(table).entries()) {
    const column = table.columns.find((each) => each.name === table.key[index])
    const [x, y] = [a[at] ?? '', b[at] ?? '']
    if (x === y) continue
    if (column?.codec === 'integer') return BigInt(x) < BigInt(y) ? -1 : 1
    return x < y ? -1 : 1
  }
  return 0
}

/** True when a row's key comes after the cells given. */
export const comesAfter = (table: Table, row: Row, cells: Row): boolean => {
  const probe: (string | null)[] = table.columns.map(() => null)
  for (const [index, at] of keyPositions(table).entries()) probe[at] = cells[index] ?? null
  return compareKeys(table, row, probe) > 0
}
