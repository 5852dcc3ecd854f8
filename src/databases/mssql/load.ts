import type { Row } from '../port.ts'
import { type Column, readableColumns, type Table } from '../schema.ts'
import { insertSql, miscount } from './apply.ts'
import { parameterOf } from './keys.ts'
import type { Session } from './session.ts'
import { type Wire, wireOf } from './values.ts'

/** Rows that stand in the staging table at a time: bounds memory here and tempdb there. */
const STAGED_ROWS = 5000
const STAGED_BYTES = 8 * 1024 * 1024
const STAGE = '#migrate_stage'

const wireType = ({ kind, length }: Wire): string => `${kind === 'binary' ? 'varbinary' : 'nvarchar'}(${length})`

/** A temporary table with a column of text or bytes for each that is written. */
export const stageSql = (columns: readonly Column[]): string =>
  `CREATE TABLE ${STAGE} (${columns.map((column, index) => `c${index} ${wireType(wireOf(column))} NULL`).join(', ')})`

/**
 * Loads rows inside the running transaction; returns how many. The driver's bulk load knows no way to keep identity values and
 * converts some types with loss, so text and bytes are bulk loaded into a temporary table and converted by the server on their way
 * into the table ("SET IDENTITY_INSERT").
 */
export async function loadRows(session: Session, table: Table, rows: AsyncIterable<readonly Row[]>): Promise<number> {
  const columns = readableColumns(table)
  const staged = columns.map((column, index) => ({ name: `c${index}`, wire: wireOf(column) }))
  await session.batch(stageSql(columns))
  let total = 0
  for await (const chunk of chunked(rows)) {
    await session.bulk(
      STAGE,
      staged,
      chunk.map((row) => columns.map((column, index) => parameterOf(column, row[index]))),
    )
    const result = await session.batch(insertSql(table, STAGE))
    const count = Number(result.rows.at(-1)?.[0] ?? -1)
    if (count !== chunk.length) throw miscount(session, table.name, 'loaded', chunk.length, count)
    total += count
    await session.batch(`TRUNCATE TABLE ${STAGE}`)
  }
  await session.batch(`DROP TABLE ${STAGE}`)
  return total
}

/** The same rows in chunks of bounded size. */
async function* chunked(batches: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly Row[]> {
  let chunk: Row[] = []
  let bytes = 0
  for await (const batch of batches) {
    for (const row of batch) {
      chunk.push(row)
      bytes += row.reduce((sum, cell) => sum + 2 * (cell?.length ?? 0), 16)
      if (chunk.length >= STAGED_ROWS || bytes >= STAGED_BYTES) {
        yield chunk
        chunk = []
        bytes = 0
      }
    }
  }
  if (chunk.length > 0) yield chunk
}
