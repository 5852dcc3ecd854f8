import { MigrateError } from '../base/errors.ts'
import type { Fingerprint, Row, Transaction } from '../databases/port.ts'
import type { CarriedTable } from './apply-context.ts'
import { RowReader } from './fingerprint.ts'
import type { CarryItem } from './plan-items.ts'
import { portions } from './rows-by-key.ts'

/** Copies of one row of a table without a key, as the target is to have more of them, or fewer. */
export interface Copies {
  readonly item: CarryItem
  /** In the target's terms. */
  readonly row: Row
  /** On the target; `undefined` where it isn't the source's, since a reference was rewritten. */
  readonly print: Fingerprint | undefined
  /** How many more (or, below 0, fewer). */
  readonly more: number
}

export interface WrittenCopies {
  readonly item: CarryItem
  readonly print: Fingerprint
  /** How many more the target has now; below 0, how many fewer. */
  readonly change: number
}

/**
 * Inserts and removes copies, and counts before and after what the table has of them, where the server fingerprints its rows: without a
 * key there is no other way to read back what was written. Where it doesn't, the next comparison finds what a server did otherwise.
 * Throws `row-written-differs` (retrySafe: a customer may have inserted the very same row meanwhile).
 */
export async function writeCopies(
  transaction: Transaction,
  table: CarriedTable,
  wanted: readonly Copies[],
): Promise<readonly WrittenCopies[]> {
  const known = new Map<Copies, Fingerprint>()
  for (const each of wanted) {
    const print = each.print ?? (await printThere(transaction, table, each.row))
    if (print !== undefined) known.set(each, print)
  }
  const before = await counted(transaction, table, [...known.values()])
  const written: WrittenCopies[] = []
  for (const each of wanted) {
    const { item, row, more } = each
    if (more > 0) await transaction.insert(table.target, Array<Row>(more).fill(row))
    const change = more > 0 ? more : -(await transaction.removeCopies(table.target, row, -more))
    const print = known.get(each) ?? (await printThere(transaction, table, row))
    if (print === undefined) throw writtenDiffers(table)
    written.push({ item, print, change })
  }
  const after = await counted(
    transaction,
    table,
    written.map(({ print }) => print),
  )
  if (before === undefined || after === undefined) return written
  for (const [print, group] of Map.groupBy(written, (each) => each.print)) {
    const change = group.reduce((sum, each) => sum + each.change, 0)
    if ((after.get(print) ?? 0) !== (before.get(print) ?? 0) + change) throw writtenDiffers(table)
  }
  return written
}

/** The fingerprint that this row has on the target, where it has it already; computed here where it needn't be there. */
async function printThere(
  transaction: Transaction,
  { printer, target, targetPrinting }: CarriedTable,
  row: Row,
): Promise<Fingerprint | undefined> {
  if (!printer.byServer) return new RowReader(target, targetPrinting).print(row).print
  if (transaction.printOf === undefined) throw new TypeError(`an adapter that fingerprints by ${printer.method} lacks printOf`)
  return await transaction.printOf(target, targetPrinting, row)
}

async function counted(
  transaction: Transaction,
  { printer, target, targetPrinting }: CarriedTable,
  prints: readonly Fingerprint[],
): Promise<ReadonlyMap<Fingerprint, number> | undefined> {
  if (!printer.byServer || transaction.countPrints === undefined) return undefined
  const counts = new Map<Fingerprint, number>()
  for (const some of portions([...new Set(prints)]))
    for (const [print, count] of await transaction.countPrints(target, targetPrinting, some)) counts.set(print, count)
  return counts
}

const writtenDiffers = ({ name }: CarriedTable): MigrateError =>
  new MigrateError(
    'row-written-differs',
    `${name} has no key, and after copies of its rows were written there it hasn't as many of them as it should. Everything of this batch was rolled back.`,
    {
      retrySafe: true,
      hint: 'Something on the receiving server drops, doubles or changes rows as they are written: look for triggers or rules on the table.',
    },
  )
