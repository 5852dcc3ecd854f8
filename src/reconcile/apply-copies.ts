import { isoTime } from '../base/clock.ts'
import type { Fingerprint, LedgerEntry, Row, WholePrintedRow } from '../databases/port.ts'
import { type ApplyContext, type CarriedTable, type CarryResult, NOTHING_CARRIED } from './apply-context.ts'
import { readLedgers, standingOf } from './apply-prepare.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { copiesState } from './multiset.ts'
import type { ParkedRow } from './parked.ts'
import { named } from './parked-describe.ts'
import type { CarryItem } from './plan-items.ts'
import { parentKey, translate } from './remap-references.ts'
import { existing } from './rows-by-key.ts'

/** Where copies of one row of a table without a key stand. */
interface Copies {
  readonly item: CarryItem
  readonly row: Row
  readonly print: Fingerprint
  /** How many more (or, below 0, fewer) the source has than both last had in common. */
  readonly more: number
}

/**
 * Brings the copies of rows of a table without a key over: as many more, or fewer, as the source has since both last agreed, beside what the
 * target has of its own. One transaction with the ledger: an item that the ledger has already is left out.
 */
export async function carryCopies(items: readonly CarryItem[], context: ApplyContext): Promise<CarryResult> {
  const [first] = items
  const table = first === undefined ? undefined : context.tables.get(first.table)
  if (table === undefined) return NOTHING_CARRIED
  await readLedgers([table.name, ...table.references.map(({ parent }) => parent)], context)
  const open = items.filter(({ key, base }) => (context.index.of(table.name, key)?.sourceState ?? base[0]) === base[0])
  const rows = await contentOf(open, table, context)
  const wanted: Copies[] = []
  const parked: ParkedRow[] = []
  const later: CarryItem[] = []
  const gone: CarryItem[] = []
  for (const item of open) {
    const print = printOf(item)
    const row = rows.get(print)
    const { copies } = item
    if (copies === undefined) continue
    if (row === undefined) {
      // Gone from both: that is what both have in common from now on.
      if (copies.source === 0) gone.push(item)
      else later.push(item)
      continue
    }
    const { row: translated, open: waiting } = translate(row, table.references, (parent, key) => standingOf(parent, key, context))
    const [missing] = waiting
    const without = copies.source > copies.base ? await parentWithout(table, row, translated, context) : undefined
    if (without !== undefined) parked.push(parkedCopies(item, table, row, without))
    else if (missing === undefined) wanted.push({ item, row: translated, print, more: copies.source - copies.base })
    else if (missing.standing === 'parked')
      parked.push(
        parkedCopies(
          item,
          table,
          row,
          `It belongs to ${missing.reference.parent} ${keyLabel(missing.parentKey)}, which isn't on the host that receives it`,
        ),
      )
    else later.push(item)
  }
  const entries = await context.target.transaction([table.target], async (transaction) => {
    const made: LedgerEntry[] = gone.map((item) => entryOf(item, 0, context))
    for (const { item, row, more } of wanted) {
      if (more > 0) await transaction.insert(table.target, Array<Row>(more).fill(row))
      const removed = more < 0 ? await transaction.removeCopies(table.target, row, -more) : 0
      made.push(entryOf(item, more > 0 ? more : -removed, context))
    }
    await transaction.ledger(made)
    return made
  })
  return { ...NOTHING_CARRIED, entries, parked, later }
}

/** Why a new copy would have nothing to belong to, by a reference that only the playbook knows; `undefined` when it has. */
async function parentWithout(table: CarriedTable, row: Row, translated: Row, context: ApplyContext): Promise<string | undefined> {
  for (const reference of table.references.filter(({ foreignKey }) => !foreignKey.enforced)) {
    const parent = context.tables.get(reference.parent)
    const [there, here] = [parentKey(row, reference), parentKey(translated, reference)]
    if (parent === undefined || there === undefined || here === undefined) continue
    if ((await existing(context.target, parent.target, [here])).size > 0) continue
    if ((await existing(context.source, parent.source, [there])).size > 0)
      return `It belongs to ${reference.parent} ${keyLabel(there)}, which isn't on the host that receives it`
  }
  return undefined
}

const printOf = ({ key }: CarryItem): Fingerprint => keyCells(key)[0]?.slice(1) ?? ''

/** Copies that the server refuses, with its own words. */
export async function parkCopies(item: CarryItem, reason: string, context: ApplyContext): Promise<CarryResult> {
  const table = context.tables.get(item.table)
  if (table === undefined) return NOTHING_CARRIED
  const row = (await contentOf([item], table, context)).get(printOf(item))
  return { ...NOTHING_CARRIED, parked: [parkedCopies(item, table, row ?? [], reason)] }
}

/** What the rows with these fingerprints hold: from the source; where it has none left, from the target. */
async function contentOf(
  items: readonly CarryItem[],
  table: CarriedTable,
  context: ApplyContext,
): Promise<ReadonlyMap<Fingerprint, Row>> {
  const rows = new Map<Fingerprint, Row>()
  for (const side of ['source', 'target'] as const) {
    const prints = items.map(printOf).filter((print) => !rows.has(print))
    for (const { print, row } of await rowsByPrint(table, side, prints, context)) rows.set(print, row)
  }
  return rows
}

async function rowsByPrint(
  table: CarriedTable,
  side: 'source' | 'target',
  prints: readonly Fingerprint[],
  context: ApplyContext,
): Promise<readonly WholePrintedRow[]> {
  if (prints.length === 0) return []
  const [database, own] = [context[side], table[side]]
  const printing = side === 'source' ? table.sourcePrinting : table.targetPrinting
  if (table.printer.byServer && database.printedByPrint !== undefined) return await database.printedByPrint(own, printing, prints)
  const wanted = new Set(prints)
  const reader = new RowReader(own, printing)
  const found = new Map<Fingerprint, WholePrintedRow>()
  await database.read(1, async ([source]) => {
    for await (const batch of source.rows(own, { signal: context.signal })) {
      for (const row of batch) {
        const whole = reader.whole(row)
        if (wanted.delete(whole.print)) found.set(whole.print, whole)
      }
      if (wanted.size === 0) return
    }
  })
  return [...found.values()]
}

function entryOf(item: CarryItem, change: number, { run, clock }: ApplyContext): LedgerEntry {
  const copies = item.copies ?? { base: 0, source: 0, target: 0 }
  return {
    run,
    table: item.table,
    sourceKey: item.key,
    targetKey: item.key,
    action: change > 0 ? 'inserted' : 'deleted',
    // What both have in common now; on the way back, too, what the target has beside is its own.
    sourceState: copiesState(copies.source),
    targetState: copiesState(copies.source),
    at: isoTime(clock.now()),
  }
}

const parkedCopies = (item: CarryItem, table: CarriedTable, row: Row, reason: string): ParkedRow => ({
  table: item.table,
  key: item.key,
  targetKey: null,
  reason,
  refused: true,
  born: true,
  collision: null,
  sourceRow: named(table.target, row),
  targetRow: null,
  baseRow: null,
  baseNote: 'Its table has no key: it is told apart by its content alone.',
  source: printOf(item),
  target: null,
})
