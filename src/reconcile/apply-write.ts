import { MigrateError } from '../base/errors.ts'
import type { LedgerEntry, Row, Transaction, WholePrintedRow } from '../databases/port.ts'
import { keyPositions, readableColumns } from '../databases/schema.ts'
import type { ApplyContext, Candidate, CarriedTable } from './apply-context.ts'
import type { Outcome } from './apply-decide.ts'
import { deleteRows } from './apply-delete.ts'
import { entryOf, noted, type Written } from './apply-ledger.ts'
import { HALF, keyOf } from './apply-prepare.ts'
import { keyCells, keyLabel, keyText, RowReader } from './fingerprint.ts'
import { compareDecimals } from './merge-decimal.ts'
import { isNowhere } from './remap-index.ts'
import { type KeyReference, parentKey } from './remap-references.ts'

export interface Decided {
  readonly candidate: Candidate
  readonly outcome: Outcome
}

export interface Wrote {
  readonly entries: readonly LedgerEntry[]
  /** Carried but for references that can't be written yet. */
  readonly half: readonly Candidate[]
  /** Deletions of rows that others still refer to. */
  readonly kept: readonly Candidate[]
}

/**
 * Writes the rest of what was decided, when `writer` has borne what is new, and the ledger with it. Rows of a circle go in without what
 * points at rows that aren't there yet, and get that when all of them are. Every row is read back before the transaction ends.
 * Throws `row-written-differs` when the server kept something else than it was given; nothing is written then.
 */
export async function write(
  transaction: Transaction,
  writer: Writer,
  decided: readonly Decided[],
  cyclic: boolean,
  context: ApplyContext,
): Promise<Wrote> {
  const deletions = decided.filter(({ outcome }) => outcome.do === 'delete').map(({ candidate }) => candidate)
  const kept = await deleteRows(transaction, deletions, cyclic, context)
  await haveGone(transaction, deletions, kept)
  await writer.change(decided)
  const { written, idle } = await writer.finish()
  const states = await readBack(transaction, written)
  const entries = [
    ...written.map((each) => entryOf(each, states.get(each), context)),
    ...decided.flatMap(({ candidate, outcome }) => noted(candidate, outcome, kept, context)),
  ]
  await transaction.ledger(entries)
  const half = [...written.filter((each) => each.half), ...idle].map((each) => each.candidate)
  return { entries, half, kept }
}

/** Writes rows in one transaction, and knows where they are on the target. */
export class Writer {
  readonly #transaction: Transaction
  readonly #context: ApplyContext
  /** Rows that this transaction gave a place on the target: `table key` → key there. */
  readonly #placed = new Map<string, string>()
  readonly #written: Written[] = []

  constructor(transaction: Transaction, context: ApplyContext) {
    this.#transaction = transaction
    this.#context = context
  }

  /** What a row of the source is called on the target, once it is there. */
  placeOf(table: string, key: string): string | undefined {
    return this.#placed.get(nameOf({ table, key })) ?? carriedTo(table, key, this.#context)
  }

  /** New rows of one table, in the items' order. */
  async bear(table: CarriedTable, group: readonly Decided[]): Promise<void> {
    let waiting: Row[] = []
    const flush = async (): Promise<void> => {
      if (waiting.length > 0) await this.#transaction.insert(table.target, waiting)
      waiting = []
    }
    for (const { candidate, outcome } of parentsFirst(table, group)) {
      const { item } = candidate
      // What is there under its key may be referred to at once.
      if (['note', 'leave', 'update'].includes(outcome.do) && candidate.source !== undefined)
        this.#placed.set(nameOf(item), candidate.targetKey)
      if (outcome.do === 'match') this.#placed.set(nameOf(item), keyText(outcome.with.key))
      if (outcome.do === 'insert') {
        const { row, half } = this.#settled(candidate, outcome.row)
        const key = candidate.paired ? candidate.targetKey : keyOf(table, row)
        waiting.push(candidate.paired ? withKey(table, row, key) : row)
        this.#placed.set(nameOf(item), key)
        this.#written.push({ candidate, action: outcome.action, key, row: waiting.at(-1) ?? row, half, taken: candidate.open })
        // The next row may need this one.
        if (candidate.open.length > 0) await flush()
      } else if (outcome.do === 'number') {
        await flush()
        const { row, half } = this.#settled(candidate, outcome.row)
        const key = keyText([await this.#transaction.insertNumbered(table.target, row, outcome.column)])
        this.#placed.set(nameOf(item), key)
        this.#written.push({ candidate, action: 'remapped', key, row: withKey(table, row, key), half, taken: candidate.open })
      }
    }
    await flush()
  }

  /** Changed rows, when all that they may refer to are there. */
  async change(decided: readonly Decided[]): Promise<void> {
    for (const { candidate, outcome } of decided) {
      if (outcome.do === 'update') {
        const { row, half } = this.#settled(candidate, outcome.row, candidate.target?.row)
        if (!isIdle(candidate, row, half)) await this.#transaction.update(candidate.table.target, row)
        const carried = candidate.paired || outcome.action !== 'updated' ? outcome.action : 'updated'
        const taken = takenReferences(candidate, outcome.row)
        this.#written.push({ candidate, action: carried, key: candidate.targetKey, row, half, taken })
      } else if (outcome.do === 'match') {
        const row = outcome.row === undefined ? outcome.with.row : this.#settled(candidate, outcome.row, outcome.with.row).row
        if (outcome.row !== undefined) await this.#transaction.update(candidate.table.target, row)
        this.#written.push({ candidate, action: 'merged', key: keyText(outcome.with.key), row, half: false, taken: [] })
      }
    }
  }

  /** Fills in what was left empty, where the rows are there by now. `idle`: rows of which nothing could be written, as before. */
  async finish(): Promise<{ readonly written: readonly Written[]; readonly idle: readonly Written[] }> {
    const done: Written[] = []
    const idle: Written[] = []
    for (const each of this.#written) {
      if (!each.half) {
        done.push(each)
        continue
      }
      const { candidate } = each
      const { row, half } = this.#settled(candidate, refilled(each))
      if (isIdle(candidate, row, half)) idle.push({ ...each, row, half })
      else {
        if (row.some((cell, at) => cell !== each.row[at])) await this.#transaction.update(candidate.table.target, row)
        done.push({ ...each, row, half })
      }
    }
    return { written: done, idle }
  }

  /** A row with the references to rows of the same circle, or (where those aren't there yet) without. */
  #settled(candidate: Candidate, row: Row, standing?: Row): { readonly row: Row; readonly half: boolean } {
    const cells = [...row]
    let half = false
    for (const reference of takenReferences(candidate, row)) {
      const key = candidate.source === undefined ? undefined : parentKey(candidate.source.row, reference)
      const placed = key === undefined ? undefined : this.placeOf(reference.parent, key)
      if (placed !== undefined)
        for (const [index, cell] of keyCells(placed).entries()) cells[reference.positions[index] ?? -1] = cell
      else if (reference.loose.length > 0) {
        half = true
        for (const at of reference.loose) cells[at] = standing?.[at] ?? null
      }
    }
    return { row: cells, half }
  }
}

/** Those of the open references that the row has from the source: what the target's own row says stays. */
const takenReferences = ({ open, row: source }: Candidate, row: Row): readonly KeyReference[] =>
  open.filter(({ positions }) => positions.every((at) => row[at] === source?.[at]))

/** A half-written row with its references as the source has them, to be settled once more. */
function refilled({ candidate, row, taken }: Written): Row {
  const loose = new Set(taken.flatMap((reference) => reference.loose))
  return row.map((cell, at) => (loose.has(at) ? (candidate.row?.[at] ?? null) : cell))
}

/** True of a row that was carried without what it refers to, and that is to stay as it stands there. */
const isIdle = ({ base, target }: Candidate, row: Row, half: boolean): boolean =>
  half && base.source?.print === HALF && target !== undefined && row.every((cell, at) => cell === target.row[at])

function carriedTo(parent: string, key: string, { index }: ApplyContext): string | undefined {
  const carried = index.of(parent, key)
  return carried === undefined || carried.action === 'deleted' || isNowhere(carried.targetKey) ? undefined : carried.targetKey
}

const nameOf = ({ table, key }: { readonly table: string; readonly key: string }): string => `${table} ${key}`

function withKey(table: CarriedTable, row: Row, key: string): Row {
  const cells = [...row]
  for (const [index, at] of keyPositions(table.target).entries()) cells[at] = keyCells(key)[index] ?? null
  return cells
}

/** Rows of one table with those before them that they can't be without (a reference to the same table that may not be NULL). */
function parentsFirst(table: CarriedTable, group: readonly Decided[]): readonly Decided[] {
  const bound = table.references.filter((reference) => reference.parent === table.name)
  if (bound.length === 0) return group
  const byKey = new Map(group.map((each) => [each.candidate.item.key, each]))
  const ordered = new Set<Decided>()
  const place = (each: Decided, trail: ReadonlySet<Decided>): void => {
    if (ordered.has(each) || trail.has(each)) return
    for (const reference of bound) {
      const key = each.candidate.source === undefined ? undefined : parentKey(each.candidate.source.row, reference)
      const parent = key === undefined ? undefined : byKey.get(key)
      if (parent !== undefined && trail.size < DEEPEST) place(parent, new Set([...trail, each]))
    }
    ordered.add(each)
  }
  for (const each of group) place(each, new Set())
  return [...ordered]
}

/** A chain of parents in one batch longer than this comes in the order of its keys. */
const DEEPEST = 500

/** A deletion that the server only says it did is found. */
async function haveGone(transaction: Transaction, deletions: readonly Candidate[], kept: readonly Candidate[]): Promise<void> {
  for (const [table, group] of Map.groupBy(deletions, (each) => each.table)) {
    const gone = group.filter((each) => each.target !== undefined && !kept.includes(each))
    const left = await table.printer.lock(
      transaction,
      table.target,
      table.targetPrinting,
      gone.map(({ targetKey }) => keyCells(targetKey)),
    )
    const [row] = left
    if (row !== undefined) throw notGone(table, keyText(row.key))
  }
}

const notGone = (table: CarriedTable, key: string): MigrateError =>
  new MigrateError(
    'row-written-differs',
    `${table.name} ${keyLabel(key)} was deleted and is still there. Everything of this batch was rolled back.`,
    { hint: 'Something on the receiving server keeps the row: look for triggers or rules on the table.' },
  )

/** Reads what was written, by the transaction that wrote it. */
async function readBack(transaction: Transaction, written: readonly Written[]): Promise<ReadonlyMap<Written, WholePrintedRow>> {
  const states = new Map<Written, WholePrintedRow>()
  for (const [table, group] of Map.groupBy(written, ({ candidate }) => candidate.table)) {
    const keys = [...new Set(group.map(({ key }) => key))].map(keyCells)
    const rows = await table.printer.lock(transaction, table.target, table.targetPrinting, keys)
    const reader = new RowReader(table.target)
    const byKey = new Map(rows.map((row) => [reader.key(row.row), row]))
    for (const each of group) {
      const row = byKey.get(each.key)
      if (row === undefined || !isAsWritten(each, row)) throw writtenDiffers(each)
      states.set(each, row)
    }
  }
  return states
}

/** The same to the byte; a sum may be spelt otherwise by the server. */
function isAsWritten({ candidate, row }: Written, back: WholePrintedRow): boolean {
  const { table, source } = candidate
  const columns = readableColumns(table.target)
  const compared = new Set(table.targetPrinting.columns)
  const sums = new Set(table.targetPrinting.apart)
  const whole = columns.every((column, at) => !compared.has(column.name) || (source?.row[at] ?? null) === (row[at] ?? null))
  if (whole && source !== undefined) return back.print === source.print
  return columns.every((column, at) => {
    const [wanted, is] = [row[at] ?? null, back.row[at] ?? null]
    if (!compared.has(column.name) || wanted === is) return true
    return sums.has(column.name) && wanted !== null && is !== null && compareDecimals(wanted, is) === 0
  })
}

const writtenDiffers = ({ candidate, key }: Written): MigrateError =>
  new MigrateError(
    'row-written-differs',
    `${candidate.table.name} ${keyLabel(key)} was written and reads back otherwise than it stands on the other host. Everything of this batch was rolled back.`,
    {
      hint: 'Something on the receiving server changes rows as they are written: look for triggers or rules on the table, and for another time zone or character set.',
    },
  )
