import type { DatabaseSync } from 'node:sqlite'
import type { Fingerprint } from '../databases/port.ts'
import type { DifferentCopies, ReadTotals } from './difference.ts'
import { keyCells, keyText } from './fingerprint.ts'
import { type SideReading, sideOptions, together } from './side.ts'
import type { SideName } from './side-store.ts'

/** The ledger's key for a row of a table without a key: `["#print"]`. */
export const copiesKey = (print: Fingerprint): string => keyText([`#${print}`])

/** The opposite of `copiesKey`; `undefined` where it is the key of a row. */
export function printOfKey(key: string): Fingerprint | undefined {
  const [cell, ...more] = keyCells(key)
  return more.length === 0 && cell?.startsWith('#') ? cell.slice(1) : undefined
}

/** How many copies a host had, as the ledger's state of a row without a key. */
export const copiesState = (copies: number): string => String(copies)

interface CopiesCounts {
  readonly read: { readonly source: ReadTotals; readonly target: ReadTotals }
  readonly sourceRows: number
  readonly targetRows: number
  readonly same: number
  copies(): IterableIterator<DifferentCopies>
}

/** Prints that are put into the scratch at once. */
const AT_ONCE = 20_000

/**
 * Compares a table without a key as what it is, a multiset: how many copies of each row the common ground has, and each host. What
 * was carried stands in the ledger with the copies that each host then had: the source's is the new common ground.
 */
export async function compareCopies(scratch: DatabaseSync, target: SideReading, source?: SideReading): Promise<CopiesCounts> {
  scratch.exec(`
    DROP TABLE IF EXISTS copies;
    CREATE TABLE copies (
      print TEXT PRIMARY KEY, base INTEGER NOT NULL DEFAULT 0, source INTEGER NOT NULL DEFAULT 0, target INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
  `)
  await takeBase(scratch, target)
  const [there, here] = await together(
    source === undefined ? Promise.resolve(NONE) : readCopies(scratch, 'source', source),
    readCopies(scratch, 'target', target),
  )
  takeLedger(scratch)
  const same = scratch.prepare('SELECT coalesce(sum(source), 0) AS n FROM copies WHERE source = base AND target = base').get()
  return {
    sourceRows: there.rows,
    targetRows: here.rows,
    read: { source: there.read, target: here.read },
    same: Number(same?.n ?? 0),
    *copies() {
      const rows = scratch.prepare('SELECT * FROM copies WHERE source <> base OR target <> base ORDER BY print')
      for (const { print, base: common, source: old, target: fresh } of rows.iterate())
        yield { print: String(print), base: Number(common), source: Number(old), target: Number(fresh) }
    },
  }
}

/** All of a baseline's rows: a stop is heeded, and others have their turn, between some of them and the next. */
async function takeBase(scratch: DatabaseSync, { base, signal }: SideReading): Promise<void> {
  let waiting = 0
  for (const { leaf, rows } of base?.bounds ?? []) {
    addCopies(
      scratch,
      'base',
      (base?.leaf(leaf) ?? []).map(({ state }) => state.print),
    )
    waiting += rows
    if (waiting < AT_ONCE) continue
    waiting = 0
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
  }
}

/**
 * What was carried is the new common ground of its rows. Those that went over with a reference rewritten have another print on the target:
 * there, that many of them are these.
 */
function takeLedger(scratch: DatabaseSync): void {
  const take = scratch.prepare(
    'INSERT INTO copies (print, base) VALUES (?, ?) ON CONFLICT (print) DO UPDATE SET base = excluded.base',
  )
  const standing = scratch.prepare('SELECT target FROM copies WHERE print = ?')
  const move = scratch.prepare('UPDATE copies SET target = target + ? WHERE print = ?')
  for (const row of scratch.prepare('SELECT source_key, target_key, source_state FROM ledger').all()) {
    const [print, there] = [printOfKey(String(row.source_key)), printOfKey(String(row.target_key))]
    if (print === undefined) continue
    take.run(print, Number(row.source_state))
    if (there === undefined || there === print) continue
    const count = Math.min(Number(standing.get(there)?.target ?? 0), Number(row.source_state))
    move.run(-count, there)
    move.run(count, print)
  }
}

function addCopies(scratch: DatabaseSync, column: 'base' | SideName, prints: readonly Fingerprint[]): void {
  const add = scratch.prepare(
    `INSERT INTO copies (print, ${column}) VALUES (?, ?) ON CONFLICT (print) DO UPDATE SET ${column} = ${column} + excluded.${column}`,
  )
  const counts = new Map<string, number>()
  for (const print of prints) counts.set(print, (counts.get(print) ?? 0) + 1)
  for (const [print, count] of counts) add.run(print, count)
}

interface CopiesRead {
  readonly rows: number
  readonly read: ReadTotals
}

const NONE: CopiesRead = { rows: 0, read: { rows: 0, bytes: 0 } }
const PRINT_BYTES = 16

/** A host whose sum is the baseline's is as then, and isn't read. */
async function readCopies(scratch: DatabaseSync, side: SideName, reading: SideReading): Promise<CopiesRead> {
  const { database, table, printing, printer, base, onRows } = reading
  return database.read(1, async ([reader]) => {
    if (base !== undefined && printer.byServer) {
      const { rows, sum } = await printer.sum(reader, table, printing, sideOptions(reading))
      if (rows === base.table.rows && sum === base.table.sum) {
        scratch.exec(`UPDATE copies SET ${side} = base`)
        onRows?.(rows)
        return { ...NONE, rows }
      }
    }
    let rows = 0
    let waiting: Fingerprint[] = []
    for await (const batch of printer.prints(reader, table, printing, sideOptions(reading))) {
      for (const row of batch) waiting.push(row.print)
      rows += batch.length
      onRows?.(batch.length)
      if (waiting.length < AT_ONCE) continue
      addCopies(scratch, side, waiting)
      waiting = []
    }
    addCopies(scratch, side, waiting)
    return { rows, read: { rows, bytes: rows * PRINT_BYTES } }
  })
}
