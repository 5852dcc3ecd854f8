import { MigrateError } from '../base/errors.ts'
import type {
  Database,
  KeyCells,
  KeyRange,
  PackedPrints,
  PrintedRow,
  Printing,
  RangeSum,
  Reader,
  ReadOptions,
  Transaction,
  WholePrintedRow,
} from '../databases/port.ts'
import { fullName, readableColumns, type Table } from '../databases/schema.ts'
import { type BaselineTable, baselineTables } from './baseline-file.ts'
import { RowReader } from './fingerprint.ts'
import { portions } from './rows-by-key.ts'

/** The method by which fingerprints are computed here, from whole rows. */
export const ROWS_METHOD = 'rows-1'

/** What the playbook says of a table's columns, as far as it decides what is fingerprinted. */
export interface PrintingRules {
  readonly ignore: readonly string[]
  readonly add?: readonly string[]
  /** Rules by column. */
  readonly columns?: Readonly<Record<string, unknown>>
}

/**
 * What of a table is fingerprinted: all readable columns but those that the playbook leaves out; those with a rule of their own
 * apart. A key's column is always compared, and never apart. Pure.
 */
export function printingFor(table: Table, rules: PrintingRules): Printing {
  const lower = (names: readonly string[]): ReadonlySet<string> => new Set(names.map((name) => name.toLowerCase()))
  const left = lower(rules.ignore)
  const own = lower([...(rules.add ?? []), ...Object.keys(rules.columns ?? {})])
  const columns = readableColumns(table)
    .map((column) => column.name)
    .filter((name) => table.key.includes(name) || !left.has(name.toLowerCase()))
  // Without a key, a row is nothing but its content: none of it can have a rule of its own.
  const apart = table.key.length === 0 ? [] : columns.filter((name) => own.has(name.toLowerCase()) && !table.key.includes(name))
  return { columns, apart }
}

/** The same printing for the other host's table, whose columns may be spelt in other cases of letters. Pure. */
export function printingOn(table: Table, of: Table, printing: Printing): Printing {
  const there = readableColumns(table).map((column) => column.name)
  const names = new Map(readableColumns(of).map((column, position) => [column.name, there[position] ?? column.name]))
  const spelt = (columns: readonly string[]): readonly string[] => columns.map((name) => names.get(name) ?? name)
  return { columns: spelt(printing.columns), apart: spelt(printing.apart) }
}

/**
 * The columns that a table got after its baseline was taken (a shop's update adds some while both hosts take orders): neither fingerprinted
 * then nor left out by the playbook. Nobody can tell what they held, so they are never compared. Pure.
 */
export function addedColumns(table: Table, held: BaselineTable | undefined, ignore: readonly string[]): readonly string[] {
  if (held === undefined) return []
  const known = new Set([...held.printing.columns, ...ignore].map((name) => name.toLowerCase()))
  return readableColumns(table).flatMap(({ name }) => (known.has(name.toLowerCase()) ? [] : [name]))
}

/** The table as its baseline found it, by which its fingerprints are made. Pure. */
export function withoutColumns(table: Table, names: readonly string[]): Table {
  const left = new Set(names.map((name) => name.toLowerCase()))
  return left.size === 0 ? table : { ...table, columns: table.columns.filter(({ name }) => !left.has(name.toLowerCase())) }
}

/** Fingerprints of one table's rows, all by one method: by the servers themselves, or computed here from whole rows. */
export class Printer {
  readonly method: string

  constructor(method: string) {
    this.method = method
  }

  /** True when the server computes the fingerprints: then sums over ranges cost next to nothing on the way. */
  get byServer(): boolean {
    return this.method !== ROWS_METHOD
  }

  /** As `Reader.prints`. */
  prints(reader: Reader, table: Table, printing: Printing, options: ReadOptions = {}): AsyncIterable<readonly PrintedRow[]> {
    if (!this.byServer) return printed(reader, table, printing, options)
    if (reader.prints === undefined) throw powerMissing(this.method, 'prints')
    return reader.prints(table, printing, options)
  }

  /** As `Reader.packedPrints`; `undefined` where there is no such thing. */
  packed(
    reader: Reader,
    table: Table,
    printing: Printing,
    rows: number,
    options: ReadOptions,
  ): AsyncIterable<PackedPrints> | undefined {
    return this.byServer && printing.apart.length === 0 ? reader.packedPrints?.(table, printing, rows, options) : undefined
  }

  /** As `Reader.printsWithin`, any number of ranges; only where the server computes fingerprints (`byServer`). */
  async *printsWithin(
    reader: Reader,
    table: Table,
    printing: Printing,
    ranges: readonly KeyRange[],
    signal?: AbortSignal,
  ): AsyncGenerator<readonly PrintedRow[]> {
    for (const some of portions(ranges)) {
      if (some.length > 1 && reader.printsWithin !== undefined) yield* reader.printsWithin(table, printing, some, signal)
      else for (const range of some) yield* this.prints(reader, table, printing, { ...range, ...(signal ? { signal } : {}) })
    }
  }

  /** As `Reader.sum`; only where the server computes fingerprints (`byServer`). */
  sum(
    reader: Reader,
    table: Table,
    printing: Printing,
    range: Pick<ReadOptions, 'after' | 'upTo' | 'signal'> = {},
  ): Promise<RangeSum> {
    if (reader.sum === undefined || !this.byServer) throw powerMissing(this.method, 'sum')
    return reader.sum(table, printing, range)
  }

  /** As `Reader.sums`, any number of ranges; only where the server computes fingerprints (`byServer`). */
  async sums(
    reader: Reader,
    table: Table,
    printing: Printing,
    ranges: readonly KeyRange[],
    signal?: AbortSignal,
  ): Promise<readonly RangeSum[]> {
    if (!this.byServer) throw powerMissing(this.method, 'sums')
    const sums: RangeSum[] = []
    for (const some of portions(ranges)) {
      if (reader.sums !== undefined) sums.push(...(await reader.sums(table, printing, some, signal)))
      else
        for (const range of some) sums.push(await this.sum(reader, table, printing, { ...range, ...(signal ? { signal } : {}) }))
    }
    return sums
  }

  /** Rows with these keys and their fingerprints, any number of keys; absent keys are absent. */
  rows(database: Database, table: Table, printing: Printing, keys: readonly KeyCells[]): Promise<readonly WholePrintedRow[]> {
    const reader = new RowReader(table, printing)
    return byPortions(keys, async (some) => {
      if (!this.byServer) return (await database.rowsByKey(table, some)).map((row) => reader.whole(row))
      if (database.printedByKey === undefined) throw powerMissing(this.method, 'printedByKey')
      return database.printedByKey(table, printing, some)
    })
  }

  /** The same, locked until the transaction ends. */
  lock(
    transaction: Transaction,
    table: Table,
    printing: Printing,
    keys: readonly KeyCells[],
  ): Promise<readonly WholePrintedRow[]> {
    const reader = new RowReader(table, printing)
    return byPortions(keys, async (some) => {
      if (!this.byServer) return (await transaction.lock(table, some)).map((row) => reader.whole(row))
      if (transaction.lockPrinted === undefined) throw powerMissing(this.method, 'lockPrinted')
      return transaction.lockPrinted(table, printing, some)
    })
  }
}

async function byPortions(
  keys: readonly KeyCells[],
  ask: (some: readonly KeyCells[]) => Promise<readonly WholePrintedRow[]>,
): Promise<readonly WholePrintedRow[]> {
  const rows: WholePrintedRow[] = []
  for (const some of portions(keys)) rows.push(...(await ask(some)))
  return rows
}

async function* printed(
  reader: Reader,
  table: Table,
  printing: Printing,
  options: ReadOptions,
): AsyncGenerator<readonly WholePrintedRow[]> {
  const rows = new RowReader(table, printing)
  for await (const batch of reader.rows(table, options)) yield batch.map((row) => rows.whole(row))
}

const powerMissing = (method: string, power: string): Error =>
  new TypeError(`an adapter that fingerprints by ${method} lacks ${power}`)

/** How a host fingerprints a table; `rows-1` where it can't. */
const methodOf = async (database: Database, table: Table): Promise<string> =>
  (database.printedByKey === undefined ? undefined : await database.fingerprintMethod?.(table)) ?? ROWS_METHOD

/** The method that all of these hosts share for a table: their own where they agree, else `rows-1`. */
export async function commonMethod(hosts: readonly (readonly [Database, Table])[]): Promise<string> {
  const methods = new Set(await Promise.all(hosts.map(([database, table]) => methodOf(database, table))))
  const [only] = methods
  return methods.size === 1 && only !== undefined ? only : ROWS_METHOD
}

export interface PrintersOptions {
  /** The run's folder. */
  readonly directory: string
  readonly source: Database
  readonly target: Database
}

/** How each table's rows are fingerprinted in this run: as its baseline was, or as both hosts can where there is none. */
export class Printers {
  readonly #options: PrintersOptions
  readonly #known = new Map<string, Promise<Printer>>()
  #held: ReadonlyMap<string, BaselineTable>

  /** `held`: the baseline's tables, where they were read already. */
  constructor(options: PrintersOptions, held?: ReadonlyMap<string, BaselineTable>) {
    this.#options = options
    this.#held = held ?? new Map()
  }

  /**
   * Throws MigrateError `fingerprint-method-changed` when the baseline was taken by a method that one of the hosts no longer has:
   * then nothing can be told from comparing with it.
   */
  of(sourceTable: Table, targetTable: Table): Promise<Printer> {
    const name = fullName(targetTable.name)
    const known = this.#known.get(name) ?? this.#open(sourceTable, targetTable)
    this.#known.set(name, known)
    return known
  }

  async #open(sourceTable: Table, targetTable: Table): Promise<Printer> {
    const { source, target } = this.#options
    const held = await this.#baseline()
    const taken = (held.get(fullName(targetTable.name)) ?? held.get(fullName(sourceTable.name)))?.method
    if (taken === ROWS_METHOD) return new Printer(taken)
    const common = await commonMethod([
      [source, sourceTable],
      [target, targetTable],
    ])
    if (taken === undefined || taken === common) return new Printer(common)
    throw new MigrateError(
      'fingerprint-method-changed',
      `The baseline of ${fullName(targetTable.name)} was taken by ${taken}, and the two hosts no longer both fingerprint rows so (${common}). Nothing was changed.`,
      {
        hint: 'A host was upgraded or replaced since, or a column was given another type. Put the former version or type back, on both hosts, until the rows are carried; or start anew with --fresh.',
      },
    )
  }

  /** Read once: a table that is in the baseline stays there as it is. */
  async #baseline(): Promise<ReadonlyMap<string, BaselineTable>> {
    this.#held = this.#held.size > 0 ? this.#held : await baselineTables(this.#options.directory)
    return this.#held
  }
}
