import type { LedgerEntry, Row } from '../databases/port.ts'
import { type ApplyContext, type CarriedTable, type CarryResult, NOTHING_CARRIED } from './apply-context.ts'
import { type Copies, type WrittenCopies, writeCopies } from './apply-copies-write.ts'
import { ledgerTime } from './apply-ledger.ts'
import { carriedMeanwhile } from './apply-meanwhile.ts'
import { readLedgers, standingOf } from './apply-prepare.ts'
import { keyLabel } from './fingerprint.ts'
import { copiesKey, copiesState, printOfKey } from './multiset.ts'
import type { ParkedRow } from './parked.ts'
import { named } from './parked-describe.ts'
import type { CarryItem } from './plan-items.ts'
import { parentKey, translate } from './remap-references.ts'
import { existing } from './rows-by-key.ts'
import { copiesByPrint, rowsByPrint } from './rows-by-print.ts'

/** What is done with items, before any is written. */
interface Sorted {
  readonly wanted: Copies[]
  readonly parked: ParkedRow[]
  readonly later: CarryItem[]
  readonly gone: CarryItem[]
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
  const behind = open.filter(({ ruling }) => ruling === 'skip')
  const rest = open.filter(({ ruling }) => ruling !== 'skip')
  const { wanted, parked, later, gone } = await sorted(rest, table, context)
  const entries = await context.target.transaction([table.target], async (transaction) => {
    const done = await carriedMeanwhile(transaction, open, context)
    const written = await writeCopies(
      transaction,
      table,
      wanted.filter(({ item }) => !done.has(item)),
    )
    const left = gone.filter((item) => !done.has(item))
    const made = left.map((item) => entryOf({ item, print: targetPrint(item, context), change: 0 }, context))
    for (const each of written) made.push(entryOf(each, context))
    made.push(...behind.filter((item) => !done.has(item)).map((item) => leftBehind(item, context)))
    await transaction.ledger(made)
    return made
  })
  return { ...NOTHING_CARRIED, entries, parked, later }
}

/** What becomes of each: its row is read, and its references rewritten. */
async function sorted(items: readonly CarryItem[], table: CarriedTable, context: ApplyContext): Promise<Sorted> {
  const result: Sorted = { wanted: [], parked: [], later: [], gone: [] }
  const rows = await contentOf(items, table, context)
  const fewer = items.filter((item) => changeOf(item) < 0)
  const left = await copiesByPrint(table, 'source', new Set(fewer.map(printOf)), context)
  for (const item of items) {
    const row = rows.get(item)
    const more = changeOf(item)
    // What a table lacked when it was compared may be there again: it was being filled anew.
    if (more < 0 && (left.get(printOf(item)) ?? 0) !== item.copies?.source) {
      result.later.push(item)
      continue
    }
    // Removed where there is none any more: that is what both have in common from now on.
    if (row === undefined) (more < 0 ? result.gone : result.later).push(item)
    else if (more < 0) result.wanted.push({ item, row, print: targetPrint(item, context), more })
    else await sortNew(result, item, row, table, context)
  }
  return result
}

async function sortNew(
  { wanted, parked, later }: Sorted,
  item: CarryItem,
  row: Row,
  table: CarriedTable,
  context: ApplyContext,
): Promise<void> {
  const translated = translate(row, table.references, (parent, key) => standingOf(parent, key, context))
  const [missing] = translated.open
  const reason =
    missing?.standing === 'parked'
      ? belongsTo(missing.reference.parent, missing.parentKey)
      : await parentWithout(table, row, translated.row, context)
  if (reason !== undefined) parked.push(parkedCopies(item, table, row, reason))
  else if (missing !== undefined) later.push(item)
  else {
    const rewritten = translated.row.some((cell, at) => cell !== row[at])
    wanted.push({ item, row: translated.row, print: rewritten ? undefined : printOf(item), more: changeOf(item) })
  }
}

const belongsTo = (parent: string, key: string): string =>
  `It belongs to ${parent} ${keyLabel(key)}, which isn't on the host that receives it`

const changeOf = ({ copies }: CarryItem): number => (copies?.source ?? 0) - (copies?.base ?? 0)

/** Why a new copy would have nothing to belong to, by a reference that only the playbook knows; `undefined` when it has. */
async function parentWithout(table: CarriedTable, row: Row, translated: Row, context: ApplyContext): Promise<string | undefined> {
  for (const reference of table.references.filter(({ foreignKey }) => !foreignKey.enforced)) {
    const parent = context.tables.get(reference.parent)
    const [there, here] = [parentKey(row, reference), parentKey(translated, reference)]
    if (parent === undefined || there === undefined || here === undefined) continue
    if ((await existing(context.target, parent.target, [here])).size > 0) continue
    if ((await existing(context.source, parent.source, [there])).size > 0) return belongsTo(reference.parent, there)
  }
  return undefined
}

const printOf = ({ key }: CarryItem): string => printOfKey(key) ?? ''

/** Its fingerprint on the target: another one where it went over with a reference rewritten. */
const targetPrint = ({ table, key }: CarryItem, { index }: ApplyContext): string =>
  printOfKey(index.of(table, key)?.targetKey ?? key) ?? ''

/** Copies that the server refuses, with its own words. */
export async function parkCopies(item: CarryItem, reason: string, context: ApplyContext): Promise<CarryResult> {
  const table = context.tables.get(item.table)
  if (table === undefined) return NOTHING_CARRIED
  const row = (await contentOf([item], table, context)).get(item)
  return { ...NOTHING_CARRIED, parked: [parkedCopies(item, table, row ?? [], reason)] }
}

/** What the rows hold: those that are to be more on the source, those that are to be fewer as they stand on the target. */
async function contentOf(
  items: readonly CarryItem[],
  table: CarriedTable,
  context: ApplyContext,
): Promise<ReadonlyMap<CarryItem, Row>> {
  const rows = new Map<CarryItem, Row>()
  for (const side of ['source', 'target'] as const) {
    const print = (item: CarryItem): string => (side === 'source' ? printOf(item) : targetPrint(item, context))
    const own = items.filter((item) => changeOf(item) < 0 === (side === 'target'))
    const found = await rowsByPrint(table, side, new Set(own.map(print)), context)
    for (const item of own) {
      const row = found.get(print(item))
      if (row !== undefined) rows.set(item, row)
    }
  }
  return rows
}

function entryOf({ item, print, change }: WrittenCopies, context: ApplyContext): LedgerEntry {
  const copies = item.copies ?? { base: 0, source: 0, target: 0 }
  return {
    run: context.run,
    table: item.table,
    sourceKey: item.key,
    targetKey: copiesKey(print),
    action: change > 0 ? 'inserted' : 'deleted',
    // What both have in common now; on the way back, too, what the target has beside is its own.
    sourceState: copiesState(copies.source),
    targetState: copiesState(copies.source),
    at: ledgerTime(item.table, item.key, context),
  }
}

/** A person decided that they stay where they are: each host keeps the copies that it has. */
const leftBehind = (item: CarryItem, context: ApplyContext): LedgerEntry => ({
  ...entryOf({ item, print: targetPrint(item, context), change: 0 }, context),
  action: 'skipped',
  targetState: copiesState(item.copies?.base ?? 0),
})

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
