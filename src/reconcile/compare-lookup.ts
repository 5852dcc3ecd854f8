import type { DatabaseSync } from 'node:sqlite'
import { keyOnly } from '../databases/plan/restore.ts'
import type { KeyCells, Reader, ReadOptions } from '../databases/port.ts'
import { keyPositions } from '../databases/schema.ts'
import type { LeafBound } from './baseline-file.ts'
import { keyCells, keyDigest, keyText, RowReader } from './fingerprint.ts'
import { portions } from './rows-by-key.ts'
import type { SideReading } from './side.ts'
import { rangeOf } from './side-ranges.ts'
import type { SideName, SideStore } from './side-store.ts'

/** Looks up rows that the ledger names and that neither side's changes show: they are as in the baseline, or never were there. */
export async function askCarried(scratch: DatabaseSync, side: SideName, reading: SideReading): Promise<void> {
  const other = side === 'source' ? 'target' : 'source'
  const unknown = scratch.prepare(
    `SELECT l.${side}_digest AS digest, min(l.${side}_key) AS key FROM ledger AS l
      WHERE l.${side}_digest > ? AND NOT EXISTS (SELECT 1 FROM ${side}_side AS s WHERE s.digest = l.${side}_digest)
        AND NOT (l.source_digest = l.target_digest
                 AND EXISTS (SELECT 1 FROM ${other}_side AS o WHERE o.digest = l.${other}_digest AND o.asked = 0))
      GROUP BY 1 ORDER BY 1 LIMIT ${ASKED_AT_ONCE}`,
  )
  const { database, table, printing, printer, store } = reading
  const reader = new RowReader(table)
  for (let after = ''; ; ) {
    const keys = unknown.all(after).map(({ digest, key }) => ({ digest: String(digest), key: String(key) }))
    const last = keys.at(-1)
    if (last === undefined) return
    after = last.digest
    const rows = await printer.rows(
      database,
      table,
      printing,
      keys.map(({ key }) => keyCells(key)),
    )
    const found = new Map(rows.map((row) => [reader.key(row.row), row]))
    for (const { digest, key } of keys) {
      const row = found.get(key)
      store.asked(digest, key, row === undefined ? null : { print: row.print, rest: row.rest, apart: row.apart })
    }
  }
}

const ASKED_AT_ONCE = 1000

/**
 * Names the rows that are gone from one host: the baseline has only the digests of their keys, the other host still has the rows. It is
 * asked for the keys of the leaves that they were in, many leaves at once, and, where its order of keys is another one, for all keys.
 */
export async function nameGone({ store, base }: SideReading, there: SideReading): Promise<void> {
  if (store.namelessCount() === 0) return
  const { database, ordered, signal } = there
  await database.read(1, async ([reader]) => {
    if (ordered && base !== undefined) {
      for (const leaves of portions(store.namelessLeaves())) await nameAmong(keysIn(reader, leaves, base.bounds, there), store)
    }
    if (store.namelessCount() > 0) await nameAmong(keysOf(reader, there, signal ? { signal } : {}), store)
  })
}

/** Keys of the rows in these leaves. */
async function* keysIn(
  reader: Reader,
  leaves: readonly number[],
  bounds: readonly LeafBound[],
  there: SideReading,
): AsyncGenerator<readonly KeyCells[]> {
  const { printer, table, printing, signal } = there
  const ranges = leaves.map((leaf) => rangeOf(bounds, { from: leaf, to: leaf + 1 }))
  if (printer.byServer) {
    for await (const batch of printer.printsWithin(reader, table, printing, ranges, signal)) yield batch.map(({ key }) => key)
  } else {
    for (const range of ranges) yield* keysOf(reader, there, { ...range, ...(signal ? { signal } : {}) })
  }
}

async function* keysOf(reader: Reader, { table }: SideReading, options: ReadOptions): AsyncGenerator<readonly KeyCells[]> {
  const keys = keyOnly(table)
  const positions = keyPositions(keys)
  for await (const batch of reader.rows(keys, options)) yield batch.map((row) => positions.map((at) => row[at] ?? null))
}

async function nameAmong(batches: AsyncIterable<readonly KeyCells[]>, store: SideStore): Promise<void> {
  let left = store.namelessCount()
  for await (const batch of batches) {
    for (const cells of batch) {
      const key = keyText(cells)
      if (store.nameKey(keyDigest(key), key)) left -= 1
    }
    if (left === 0) return
  }
}
