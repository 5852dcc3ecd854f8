import type { DatabaseSync } from 'node:sqlite'
import { MigrateError } from '../base/errors.ts'
import { openPrivate } from '../base/sqlite.ts'
import type { Database, LedgerEntry, Printing } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaselineFile, type BaselineTable, openBaseline } from './baseline-file.ts'
import { makeLedger, type TablePair } from './compare-ledger.ts'
import { keyOrder } from './key-order.ts'
import { type Printer, Printers, printingOn } from './printing.ts'
import type { SideReading } from './side.ts'
import { TableBase } from './side-base.ts'
import { type SideName, SideStore } from './side-store.ts'

export interface CompareOptions {
  /** The run's folder, where the baseline is. */
  readonly directory: string
  readonly run: string
  /** Where rows are carried from, and to: old and new, or the other way round. */
  readonly source: Database
  readonly target: Database
  /** What of a table (the target's) is compared. */
  readonly printingOf: (table: Table) => Printing
  /** How it is fingerprinted, where that is known already. */
  readonly printerOf?: (table: Table) => Printer | undefined
  /** What the ledgers of both hosts say of a table (the target's), where it was read already. */
  readonly carried?: (table: Table) => Iterable<readonly Omit<LedgerEntry, 'run' | 'table'>[]>
  /** Rows that the first sum spans; later ones span what takes half a second. */
  readonly firstRows?: number
  readonly signal?: AbortSignal
  /** Rows compared, of this table, on both sides together. */
  readonly onRows?: (table: Table, rows: number) => void
}

/** What a comparison works with, while it lasts. */
export class Comparing {
  readonly options: CompareOptions
  readonly scratch: DatabaseSync
  readonly #baseline: BaselineFile | undefined
  readonly #printers: Printers
  readonly #sides: Readonly<Record<SideName, SideStore>>

  private constructor(options: CompareOptions, baseline: BaselineFile | undefined) {
    this.options = options
    this.scratch = openPrivate(32_768)
    this.#sides = { source: new SideStore(this.scratch, 'source'), target: new SideStore(this.scratch, 'target') }
    makeLedger(this.scratch)
    this.#baseline = baseline
    this.#printers = new Printers(options, baseline?.tables())
  }

  static async within<T>(options: CompareOptions, work: (comparing: Comparing) => Promise<T>): Promise<T> {
    const comparing = new Comparing(options, await openBaseline(options.directory))
    try {
      return await work(comparing)
    } finally {
      comparing.#baseline?.close()
      comparing.scratch.close()
    }
  }

  /** True when there were rows in a table when its baseline was taken. */
  hadRows(pair: TablePair): boolean {
    return (this.#held(pair)?.rows ?? 0) > 0
  }

  #held({ sourceTable, targetTable }: TablePair): BaselineTable | undefined {
    return this.#baseline?.table(targetTable) ?? this.#baseline?.table(sourceTable)
  }

  /** Both hosts' readings of one table; those of the table before are done with. */
  async readings({ sourceTable, targetTable }: TablePair): Promise<readonly [source: SideReading, target: SideReading]> {
    const { options } = this
    for (const store of Object.values(this.#sides)) store.clear()
    const printing = options.printingOf(targetTable)
    const held = this.#held({ sourceTable, targetTable })
    if (held !== undefined && spelling(held.printing.columns) !== spelling(printing.columns)) throw columnsDiffer(targetTable)
    const base = this.#baseline === undefined || held === undefined ? undefined : new TableBase(this.#baseline, held, printing)
    const common = {
      printer: options.printerOf?.(targetTable) ?? (await this.#printers.of(sourceTable, targetTable)),
      base,
      firstRows: options.firstRows ?? FIRST_ROWS,
      ...(options.signal ? { signal: options.signal } : {}),
      onRows: (rows: number) => options.onRows?.(targetTable, rows),
    }
    const source = {
      database: options.source,
      table: sourceTable,
      printing: printingOn(sourceTable, targetTable, printing),
      store: this.#sides.source,
      ordered: await isOrdered(options.source, sourceTable, base),
    }
    const target = {
      database: options.target,
      table: targetTable,
      printing,
      store: this.#sides.target,
      ordered: await isOrdered(options.target, targetTable, base),
    }
    return [
      { ...common, ...source },
      { ...common, ...target },
    ]
  }
}

/** Next to nothing for any server: the first answer tells how much more the next may take. */
const FIRST_ROWS = 32_768

const spelling = (names: readonly string[]): string => names.join('\n').toLowerCase()

/** Where nobody knows how one of them sorts, it is taken as another order. */
async function isOrdered(database: Database, table: Table, base: TableBase | undefined): Promise<boolean> {
  return base?.table.keyOrder !== undefined && base.table.keyOrder === (await keyOrder(database, table))
}

const columnsDiffer = (table: Table): MigrateError =>
  new MigrateError(
    'baseline-columns-differ',
    `Other columns of ${fullName(table.name)} are to be compared than when its baseline was taken. Nothing was changed.`,
    {
      hint: `A column was dropped or renamed since, or "ignore" of ${table.name.name} is another now: put it back as it was, since what was fingerprinted then can't be fingerprinted anew.`,
    },
  )
