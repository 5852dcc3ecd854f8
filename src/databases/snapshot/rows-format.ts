import { giveBack } from '../buffers.ts'
import type { KeyCells, Row } from '../port.ts'
import { parseRow } from '../row-lines.ts'
import { jsonLines } from './json-lines.ts'
import type { Part } from './manifest.ts'
import { type Chunk, damaged } from './part.ts'

/** The format of rows as JSON arrays of cells, one a line; every other format is an engine's own. */
export const ROWS_FORMAT = 'rows'

/** Rows as a chunk of `ROWS_FORMAT`. */
export const chunkOfRows = (rows: readonly Row[], lastKey: KeyCells | null): Chunk => ({
  rows: rows.length,
  bytes: jsonLines(rows),
  lastKey,
})

/** The rows of a part of `ROWS_FORMAT` in batches, as they were written, of its chunks. A batch is emptied when the next is asked for. */
export async function* readRows(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  part: Part,
  columns: number,
): AsyncGenerator<readonly Row[]> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let rows = 0
  for await (const chunk of chunks) {
    const batch: Row[] = decoder.decode(chunk).split('\n').map(parseRow)
    giveBack(chunk)
    if (batch.some((row) => row.length !== columns)) throw damaged(part, `a row hasn't got ${columns} values`)
    rows += batch.length
    yield batch
    // Whoever passed it on may still hold it while the next is read: a single row may take a good part of the memory.
    batch.length = 0
  }
  if (rows !== part.rows) throw damaged(part, `it holds ${rows} rows instead of ${part.rows}`)
}
