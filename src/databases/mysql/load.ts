import { Readable } from 'node:stream'
import { MigrateError } from '../../base/errors.ts'
import { giveBack, LENT_BYTES } from '../buffers.ts'
import type { BlockLoad, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { BACKSLASH, NEWLINE } from './block-bytes.ts'
import { insertRows, refuseWarnings } from './insert.ts'
import { insertBlocks } from './insert-blocks.ts'
import { pieceOf } from './long-row.ts'
import { type Mark, makeOwnTable, setMark, setMissing } from './marks.ts'
import { type Session, uncheckedPrefix } from './session.ts'
import { inTransaction } from './transaction.ts'
import type { Guards } from './triggers.ts'
import { quoteName, quoteTable } from './values.ts'

/** See the port. */
export const load = (
  session: Session,
  guards: Guards,
  table: Table,
  rows: AsyncIterable<readonly Row[]>,
  mark: Mark,
): Promise<number> =>
  marked(session, guards, table, mark, async () => {
    let count = 0
    for await (const batch of rows) {
      await insertRows(session, table, batch)
      count += batch.length
    }
    return count
  })

/** See the port. By LOAD DATA where the server lets it in, else by INSERT of the same values. */
export const loadBlocks = (
  session: Session,
  guards: Guards,
  table: Table,
  blocks: AsyncIterable<Buffer>,
  mark: Mark,
): Promise<number> => marked(session, guards, table, mark, () => loadSome(session, table, blocks))

/** See the port. */
export async function loadTogether(session: Session, guards: Guards, loads: readonly BlockLoad[]): Promise<readonly number[]> {
  await makeOwnTable(session, 'migrate_marks')
  const marks = loads.map(({ mark }) => mark)
  const all = async (): Promise<readonly number[] | undefined> => {
    const missing = await setMissing(session, marks)
    if (missing === undefined) return undefined
    const counts: number[] = []
    for (const { table, blocks, mark } of loads) counts.push(missing.has(mark) ? await loadSome(session, table, blocks) : 0)
    return counts
  }
  const tables = loads.map(({ table }) => table)
  return await guards.silently(session, tables, async () => {
    for (;;) {
      const counts = await inTransaction(session, all, true)
      if (counts !== undefined) return counts
    }
  })
}

/** See the port. InnoDB looks at some pages of each index; what went wrong stands in the answer ("ANALYZE TABLE Statement"). */
export async function analyse(session: Session, tables: readonly Table[]): Promise<void> {
  if (tables.length === 0) return
  const sql = `ANALYZE TABLE ${tables.map(({ name }) => quoteTable(name)).join(', ')}`
  const { rows } = await session.query(sql)
  const bad = rows.find(([_table, _operation, kind]) => kind?.toLowerCase() === 'error')
  if (bad !== undefined) throw session.error(new Error(bad[3] ?? ''), sql)
}

async function loadSome(session: Session, table: Table, blocks: AsyncIterable<Buffer>): Promise<number> {
  return await (session.kind.localInfile ? loadData : insertBlocks)(session, table, blocks)
}

async function marked(session: Session, guards: Guards, table: Table, mark: Mark, work: () => Promise<number>): Promise<number> {
  await makeOwnTable(session, 'migrate_marks')
  return await guards.silently(session, [table], () =>
    inTransaction(session, async () => ((await setMark(session, mark)) ? await work() : 0), true),
  )
}

/**
 * The statement that reads blocks. The file's bytes are the columns' own ("CHARACTER SET binary"); an enum comes as its number, and
 * some types take nothing without a character set ("The JSON Data Type"). Once there is a SET, a server (MariaDB 10.11 was seen) minds
 * NO_AUTO_VALUE_ON_ZERO only for what is set there: a numbered column's 0 would get the next number instead.
 */
export function loadDataSql(table: Table): string {
  const columns = readableColumns(table)
  const hasSet = columns.some((column, at) => setOf(column, at) !== undefined)
  const cells = columns.map((column, at) => {
    const value = setOf(column, at) ?? (hasSet && column.identity !== null ? `@c${at}` : undefined)
    return { name: quoteName(column.name), variable: `@c${at}`, value }
  })
  const targets = cells.map(({ name, variable, value }) => (value === undefined ? name : variable))
  const sets = cells.flatMap(({ name, value }) => (value === undefined ? [] : [`${name} = ${value}`]))
  const set = sets.length === 0 ? '' : ` SET ${sets.join(', ')}`
  return `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${quoteTable(table.name)} CHARACTER SET binary
FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' (${targets.join(', ')})${set}`
}

function setOf(column: Column, at: number): string | undefined {
  if (column.codec === 'enum') return `@c${at} + 0`
  return column.codec === 'json' || column.codec === 'address' ? `CONVERT(@c${at} USING utf8mb4)` : undefined
}

/**
 * LOCAL makes LOAD DATA go on after duplicates and bad values, with warnings alone ("LOAD DATA Statement", "Duplicate-Key and Error
 * Handling"): here each of them is an error, and the transaction is rolled back.
 */
async function loadData(session: Session, table: Table, blocks: AsyncIterable<Buffer>): Promise<number> {
  const sql = uncheckedPrefix(session.kind) + loadDataSql(table)
  let lines = 0
  // Of those handed on, the last but one has been sent when another is asked for: the stream holds one at a time.
  const handed: Buffer[] = []
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const block of blocks) {
      const piece = pieceOf(block)
      lines += piece === undefined ? linesOf(block) : Number(piece.isLast)
      const text = piece?.text ?? block
      // The server takes no packet beyond its max_allowed_packet, of whatever part of the file.
      for (let at = 0; at < text.length; at += LENT_BYTES) yield text.subarray(at, at + LENT_BYTES)
      handed.push(block)
      if (handed.length > 1) giveBack(handed.shift() ?? block)
    }
  }
  const source = Readable.from(counted(), { objectMode: true, highWaterMark: 1 })
  const { count, info, warnings } = await session.loadLocal(sql, source)
  for (const block of handed) giveBack(block)
  if (warnings > 0) await refuseWarnings(session, table, sql, warnings)
  const skipped = Number(/Skipped: (\d+)/.exec(info)?.[1] ?? 0)
  if (count === lines && skipped === 0) return count
  throw new MigrateError(
    'database-statement-failed',
    `${session.label}: of ${lines} rows of ${fullName(table.name)} the server took ${count} and left ${skipped} out. All of them were rolled back.`,
    { hint: 'Rows with the same keys are there already. Empty the table, then run again.' },
  )
}

/** Rows of a block: a newline ends one unless a backslash stands before it (which another backslash undoes). */
function linesOf(block: Buffer): number {
  let lines = 0
  for (let at = block.indexOf(NEWLINE); at !== -1; at = block.indexOf(NEWLINE, at + 1)) {
    let slashes = 0
    while (at - slashes > 0 && block[at - slashes - 1] === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) lines += 1
  }
  return lines
}
