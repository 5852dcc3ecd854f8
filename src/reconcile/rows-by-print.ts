import type { Fingerprint, Row } from '../databases/port.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { RowReader } from './fingerprint.ts'
import { portions } from './rows-by-key.ts'

/** What the rows with these fingerprints hold on one host; absent ones are absent. For tables without a key. */
export async function rowsByPrint(
  table: CarriedTable,
  side: 'source' | 'target',
  prints: ReadonlySet<Fingerprint>,
  context: ApplyContext,
): Promise<ReadonlyMap<Fingerprint, Row>> {
  const found = new Map<Fingerprint, Row>()
  if (prints.size === 0) return found
  const [database, own] = [context[side], table[side]]
  const printing = side === 'source' ? table.sourcePrinting : table.targetPrinting
  if (table.printer.byServer && database.printedByPrint !== undefined) {
    for (const some of portions([...prints]))
      for (const { print, row } of await database.printedByPrint(own, printing, some)) found.set(print, row)
    return found
  }
  const reader = new RowReader(own, printing)
  await database.read(1, async ([source]) => {
    for await (const batch of source.rows(own, { signal: context.signal })) {
      for (const row of batch) {
        const { print } = reader.print(row)
        if (prints.has(print)) found.set(print, row)
      }
      if (found.size === prints.size) return
    }
  })
  return found
}
