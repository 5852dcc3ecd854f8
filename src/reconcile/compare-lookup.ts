import type { DatabaseSync } from 'node:sqlite'
import { keyOnly } from '../databases/plan/restore.ts'
import type { Reader, ReadOptions } from '../databases/port.ts'
import { keyCells, keyDigest, RowReader } from './fingerprint.ts'
import type { SideReading } from './side.ts'
import type { SideName } from './side-store.ts'

/** Looks up rows that the ledger names and that neither side's changes show: they are as in the baseline, or never were there. */
export async function askCarried(scratch: DatabaseSync, side: SideName, reading: SideReading): Promise<void> {
  const other = side === 'source' ? 'target' : 'source'
  const unknown = scratch
    .prepare(
      `SELECT DISTINCT l.${side}_key AS key FROM ledger AS l
        WHERE NOT EXISTS (SELECT 1 FROM ${side}_side AS s WHERE s.digest = l.${side}_digest)
          AND NOT (l.source_digest = l.target_digest
                   AND EXISTS (SELECT 1 FROM ${other}_side AS o WHERE o.digest = l.${other}_digest AND o.asked = 0))`,
    )
    .all()
    .map((row) => String(row.key))
  const { database, table, printing, printer, store } = reading
  const rows = await printer.rows(database, table, printing, unknown.map(keyCells))
  const reader = new RowReader(table)
  const found = new Map(rows.map((row) => [reader.key(row.row), row]))
  for (const key of unknown) {
    const row = found.get(key)
    store.asked(keyDigest(key), key, row === undefined ? null : { print: row.print, rest: row.rest, apart: row.apart })
  }
}

/**
 * Names the rows that are gone from one host: the baseline has only the digests of their keys, the other host still has the rows. It is
 * asked for the keys of the leaves that they were in, and, where its order of keys is another one, for all keys.
 */
export async function nameGone(gone: SideReading, there: SideReading): Promise<void> {
  const leaves = gone.store.namelessLeaves()
  if (leaves.length === 0) return
  await there.database.read(1, async ([reader]) => {
    const bounds = gone.base?.bounds ?? []
    for (const leaf of there.ordered ? leaves : []) {
      const [after, upTo] = [bounds[leaf - 1]?.last, bounds[leaf]?.last]
      const most = (bounds[leaf]?.rows ?? 0) * 2
      const range = { ...(after ? { after } : {}), ...(upTo ? { upTo } : {}), limit: most }
      await nameAmong(reader, range, gone, there, gone.store.nameless(leaf))
    }
    const left = gone.store.nameless()
    if (left.size > 0) await nameAmong(reader, {}, gone, there, left)
  })
}

async function nameAmong(
  reader: Reader,
  range: ReadOptions,
  gone: SideReading,
  there: SideReading,
  wanted: Set<string>,
): Promise<void> {
  const keys = keyOnly(there.table)
  const rows = new RowReader(keys)
  for await (const batch of reader.rows(keys, { ...range, ...(there.signal ? { signal: there.signal } : {}) })) {
    for (const row of batch) {
      const key = rows.key(row)
      const digest = keyDigest(key)
      if (wanted.delete(digest)) gone.store.nameKey(digest, key)
    }
    if (wanted.size === 0) return
  }
}
