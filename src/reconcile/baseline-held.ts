import type { KeyRange, Reader } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import { addSums } from './baseline-leaf.ts'
import type { Taking } from './baseline-ranges.ts'
import type { BaselineWriter, Held, TableProgress } from './baseline-writer.ts'
import { Printer } from './printing.ts'

/** Tables that are asked about in one question. */
const MOST_TOGETHER = 64

/** Tables in groups, each for one reader to ask about at once; all readers get some. */
export function groupsOf(tables: readonly Taking[], readers: number): readonly (readonly Taking[])[] {
  const size = Math.max(1, Math.min(MOST_TOGETHER, Math.ceil(tables.length / (readers * 2))))
  return Array.from({ length: Math.ceil(tables.length / size) }, (_, at) => tables.slice(at * size, (at + 1) * size))
}

export interface Beginning {
  /** See `BaselineOptions.about`. */
  readonly about: ((table: Table) => number) | undefined
  readonly signal: AbortSignal
}

/** Notes what tables hold before anything of them is fingerprinted; of those that were begun before, whether they were written to since. */
export async function begunAs(
  writer: BaselineWriter,
  reader: Reader,
  group: readonly Taking[],
  options: Beginning,
): Promise<readonly Taking[]> {
  const stamps = await stampsOf(reader, group, options.signal)
  const glanced = group.filter(([table, kept]) => !stamps.has(table) && wantsGlance(kept, reader))
  const glances = await glancesOf(reader, glanced, options.signal)
  const begun: Taking[] = []
  for (const [table, kept] of group) {
    const told = stamps.get(table) ?? glances.get(table)
    if (kept.begun === undefined) {
      const held = await heldAtBegin(reader, [table, kept], told, options)
      if (held !== undefined) writer.note(kept, held)
      begun.push([table, { ...kept, begun: held }])
    } else if (told === undefined || isSame(kept.begun, told)) {
      begun.push([table, kept])
    } else {
      writer.checked(kept, true)
      begun.push([table, { ...kept, written: true }])
    }
  }
  return begun
}

/**
 * By stamps, or by sums where they don't take as long as the fingerprints themselves. Of readers of one instant, what is fingerprinted is
 * what the table held when that began: a glance is enough, which tells whether it was written to before a taking that was cut off goes on.
 */
async function heldAtBegin(
  reader: Reader,
  [table, kept]: Taking,
  told: Held | undefined,
  { about, signal }: Beginning,
): Promise<Held | undefined> {
  if (told?.by === 'glance') return { ...told, rows: about?.(table) || (await reader.count?.(table, signal)) || 0 }
  if (told !== undefined || !new Printer(kept.method).byServer) return told
  return await sumNow(reader, table, kept, { signal })
}

const wantsGlance = ({ begun, rows, method }: TableProgress, { consistent }: Reader): boolean =>
  begun === undefined ? consistent && rows === 0 && new Printer(method).byServer : begun.by === 'glance'

async function stampsOf(reader: Reader, group: readonly Taking[], signal: AbortSignal): Promise<ReadonlyMap<Table, Held>> {
  const tables = group.map(([table]) => table)
  const stamps = (await reader.stamps?.(tables, signal)) ?? []
  return new Map(stamps.flatMap((stamp, at) => pair(tables[at], { ...stamp, by: 'stamp' })))
}

/** Without their rows. */
async function glancesOf(reader: Reader, group: readonly Taking[], signal: AbortSignal): Promise<ReadonlyMap<Table, Held>> {
  const tables = group.map(([table]) => table)
  const sums = tables.length === 0 ? [] : ((await reader.glances?.(tables, signal)) ?? [])
  return new Map(sums.flatMap((sum, at) => (sum === undefined ? [] : pair(tables[at], { rows: 0, sum, by: 'glance' }))))
}

const pair = (table: Table | undefined, held: Held): readonly (readonly [Table, Held])[] =>
  table === undefined ? [] : [[table, held]]

export const isStamped = ([, { begun }]: Taking): boolean => begun?.by === 'stamp'

/** What tables hold now, in a range of their keys. */
export async function heldNow(
  reader: Reader,
  group: readonly Taking[],
  range: KeyRange & { readonly signal: AbortSignal },
): Promise<readonly (readonly [Table, Held])[]> {
  const stamps = group.every(isStamped) ? await stampsOf(reader, group, range.signal) : new Map<Table, Held>()
  const held: (readonly [Table, Held])[] = []
  for (const [table, kept] of group) held.push([table, stamps.get(table) ?? (await sumNow(reader, table, kept, range))])
  return held
}

/** True when a table holds what was fingerprinted, and what it held before that. */
export function isAsBefore(kept: TableProgress, now: Held): boolean {
  const isAsTaken = now.rows === kept.rows && (now.by === 'stamp' || now.sum === kept.sum)
  return isAsTaken && (kept.begun === undefined || kept.begun.by === 'glance' || isSame(kept.begun, now))
}

/** A glance tells nothing of how many rows there are. */
const isSame = (a: Held, b: Held): boolean => a.by === b.by && a.sum === b.sum && (a.by === 'glance' || a.rows === b.rows)

export const together = (a: Held, b: Held): Held => ({ rows: a.rows + b.rows, sum: addSums(a.sum, b.sum), by: a.by })

/** Leaves of a range that is summed up at once. */
const LEAVES_A_RANGE = 128

/** A table in ranges of its keys, all of it between them: what was born beyond the last key too. */
export function rangesOf(writer: BaselineWriter, [table, kept]: Taking): readonly KeyRange[] {
  const cuts = table.key.length === 0 || !new Printer(kept.method).byServer ? [] : writer.lasts(kept, LEAVES_A_RANGE)
  return [...cuts, undefined].map((upTo, at) => {
    const after = cuts[at - 1]
    return { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) }
  })
}

async function sumNow(
  reader: Reader,
  table: Table,
  { method, printing }: Pick<TableProgress, 'method' | 'printing'>,
  range: KeyRange & { readonly signal: AbortSignal },
): Promise<Held> {
  const printer = new Printer(method)
  if (printer.byServer) return { ...(await printer.sum(reader, table, printing, range)), by: 'prints' }
  let [rows, sum] = [0, 0n]
  for await (const batch of printer.prints(reader, table, printing, range)) {
    rows += batch.length
    sum = batch.reduce((total, row) => addSums(total, BigInt(`0x${row.print}`)), sum)
  }
  return { rows, sum, by: 'prints' }
}
