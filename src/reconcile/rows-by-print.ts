import type { Fingerprint, Row } from '../databases/port.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { RowReader } from './fingerprint.ts'
import { portions } from './rows-by-key.ts'

type Side = 'source' | 'target'

/** What the rows with these fingerprints hold on one host; absent ones are absent. For tables without a key. */
export async function rowsByPrint(
  table: CarriedTable,
  side: Side,
  prints: ReadonlySet<Fingerprint>,
  context: ApplyContext,
): Promise<ReadonlyMap<Fingerprint, Row>> {
  const found = new Map<Fingerprint, Row>()
  await each(table, side, prints, context, (print, row) => {
    found.set(print, row)
    return found.size < prints.size
  })
  return found
}

/** How many rows with these fingerprints one host has; absent ones are absent. For tables without a key. */
export async function copiesByPrint(
  table: CarriedTable,
  side: Side,
  prints: ReadonlySet<Fingerprint>,
  context: ApplyContext,
): Promise<ReadonlyMap<Fingerprint, number>> {
  const counts = new Map<Fingerprint, number>()
  await each(table, side, prints, context, (print) => {
    counts.set(print, (counts.get(print) ?? 0) + 1)
    return true
  })
  return counts
}

/** Shows `look` each of these rows, until it has seen enough. */
async function each(
  table: CarriedTable,
  side: Side,
  prints: ReadonlySet<Fingerprint>,
  context: ApplyContext,
  look: (print: Fingerprint, row: Row) => boolean,
): Promise<void> {
  if (prints.size === 0) return
  const [database, own] = [context[side], table[side]]
  const printing = side === 'source' ? table.sourcePrinting : table.targetPrinting
  if (table.printer.byServer && database.printedByPrint !== undefined) {
    for (const some of portions([...prints]))
      for (const { print, row } of await database.printedByPrint(own, printing, some)) look(print, row)
    return
  }
  const reader = new RowReader(own, printing)
  await database.read(1, async ([rows]) => {
    for await (const batch of rows.rows(own, { signal: context.signal })) {
      for (const row of batch) {
        const { print } = reader.print(row)
        if (prints.has(print) && !look(print, row)) return
      }
    }
  })
}
