import type { Block, KeyCells, Row } from '../../src/databases/port.ts'
import { firstAfter } from './memory-language.ts'
import { comesAfter, type MemoryServer } from './memory-server.ts'
import type { MemoryTable } from './memory-state.ts'

/** The rows of a table after one key and up to another, in key order. */
export function rowsIn(
  server: MemoryServer,
  held: MemoryTable,
  after: KeyCells | undefined,
  upTo: KeyCells | undefined,
): readonly Row[] {
  const sorted = server.sorted(held)
  const beyond = (key: KeyCells): number => firstAfter(sorted, (row) => comesAfter(held.table, row, key))
  if (after === undefined && upTo === undefined) return sorted
  return sorted.slice(after === undefined ? 0 : beyond(after), upTo === undefined ? sorted.length : beyond(upTo))
}

/** Rows as this engine's bulk text: a line of JSON each; last first, since blocks come in no set order. */
export const blockOf = (rows: readonly Row[]): Block => ({
  rows: rows.length,
  bytes: Buffer.from(
    rows
      .toReversed()
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  ),
})

export function rowsOfBlock(block: Buffer): readonly Row[] {
  const lines = block.toString('utf8').split('\n')
  if (lines.pop() !== '') throw new Error('a block ends in the middle of a row')
  return lines.map((line): Row => JSON.parse(line))
}

export async function* rowsOfBlocks(blocks: AsyncIterable<Buffer>): AsyncGenerator<readonly Row[]> {
  for await (const block of blocks) yield rowsOfBlock(block)
}
