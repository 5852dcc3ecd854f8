import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Row } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { ownTable, setMark } from './marks.ts'
import { inTransaction } from './transaction.ts'
import { withoutTriggers } from './triggers.ts'
import { encodeRows, quoteNames, quoteTable } from './values.ts'

type Mark = { readonly run: string; readonly name: string }

/** See the port. COPY writes identity values as they are given, also to GENERATED ALWAYS columns (documentation of COPY, "Notes"). */
export const load = (session: Session, table: Table, rows: AsyncIterable<readonly Row[]>, mark: Mark): Promise<number> =>
  once(session, table, mark, () => copyIn(session, table, rows))

/** See the port. */
export const loadBlocks = (session: Session, table: Table, blocks: AsyncIterable<Buffer>, mark: Mark): Promise<number> =>
  once(session, table, mark, () => copyBlocksIn(session, table, blocks))

async function once(session: Session, table: Table, mark: Mark, copy: () => Promise<number>): Promise<number> {
  const marks = await ownTable(session, 'migrate_marks')
  return await inTransaction(
    session,
    'write',
    async () => {
      if (!(await setMark(session, marks, mark))) return 0
      return await withoutTriggers(session, [table], copy)
    },
    true,
  )
}

/** Copies rows into a table within the open transaction; returns how many. An error of the source itself is passed on as it is. */
export const copyIn = (session: Session, table: Table, rows: AsyncIterable<readonly Row[]>): Promise<number> =>
  copyBlocksIn(session, table, encoded(rows))

async function* encoded(rows: AsyncIterable<readonly Row[]>): AsyncGenerator<Buffer> {
  for await (const batch of rows) if (batch.length > 0) yield encodeRows(batch)
}

async function copyBlocksIn(session: Session, table: Table, blocks: AsyncIterable<Buffer>): Promise<number> {
  const columns = readableColumns(table).map((column) => column.name)
  const sql = `COPY ${quoteTable(table.name)} (${quoteNames(columns)}) FROM STDIN`
  const stream = session.copyIn(columns.length === 0 ? `COPY ${quoteTable(table.name)} FROM STDIN` : sql)
  let failure: { readonly error: unknown } | undefined
  async function* lines(): AsyncGenerator<Buffer> {
    let isHandedOn = false
    try {
      for await (const bytes of blocks) {
        isHandedOn = true
        yield bytes
        isHandedOn = false
      }
    } catch (error) {
      // A stream that is ended by an error throws it into its source, where it waits: that one is the server's.
      if (!isHandedOn) failure = { error }
      throw error
    }
  }
  try {
    await pipeline(Readable.from(lines(), { objectMode: false }), stream)
  } catch (error) {
    if (failure !== undefined) throw failure.error
    throw session.error(error, sql)
  }
  return stream.rowCount
}
