import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Row } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { ownTable, setMark } from './marks.ts'
import { inTransaction } from './transaction.ts'
import { withoutTriggers } from './triggers.ts'
import { encodeRows, quoteNames, quoteTable } from './values.ts'

/** See the port. COPY writes identity values as they are given, also to GENERATED ALWAYS columns (documentation of COPY, "Notes"). */
export async function load(
  session: Session,
  table: Table,
  rows: AsyncIterable<readonly Row[]>,
  mark: { readonly run: string; readonly name: string },
): Promise<number> {
  const marks = await ownTable(session, 'migrate_marks')
  return await inTransaction(
    session,
    'write',
    async () => {
      if (!(await setMark(session, marks, mark))) return 0
      return await withoutTriggers(session, [table], () => copyIn(session, table, rows))
    },
    true,
  )
}

/** Copies rows into a table within the open transaction; returns how many. An error of the source itself is passed on as it is. */
export async function copyIn(session: Session, table: Table, rows: AsyncIterable<readonly Row[]>): Promise<number> {
  const columns = readableColumns(table).map((column) => column.name)
  const sql = `COPY ${quoteTable(table.name)} (${quoteNames(columns)}) FROM STDIN`
  const stream = session.copyIn(columns.length === 0 ? `COPY ${quoteTable(table.name)} FROM STDIN` : sql)
  let failure: { readonly error: unknown } | undefined
  async function* lines(): AsyncGenerator<Buffer> {
    let isHandedOn = false
    try {
      for await (const batch of rows) {
        if (batch.length === 0) continue
        const bytes = encodeRows(batch)
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
