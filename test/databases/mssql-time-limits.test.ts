import type { Request } from 'tedious'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { configuration, type MssqlOptions } from '../../src/databases/mssql/connection.ts'
import { rangeSum, rangeSums } from '../../src/databases/mssql/prints.ts'
import { type RawRows, RowConnection } from '../../src/databases/mssql/raw-rows.ts'
import { Session } from '../../src/databases/mssql/session.ts'

const OPTIONS: MssqlOptions = {
  host: 'localhost',
  user: 'shop',
  password: undefined,
  database: 'shop',
  connections: 1,
  label: 'old database shop',
}
const QUESTION_MS = 120_000

/** Not connected: notes how long the server is given, and answers nothing. */
class Noting extends RowConnection {
  readonly given: (number | undefined)[] = []

  constructor() {
    super(configuration(OPTIONS))
  }

  #note(request: Request): void {
    this.given.push(request.timeout)
    queueMicrotask(() => request.callback(null, 0))
  }

  override execSql(request: Request): void {
    this.#note(request)
  }
  override execSqlBatch(request: Request): void {
    this.#note(request)
  }
  override execRaw({ request }: RawRows): void {
    this.#note(request)
  }
}

describe('the time that SQL Server is given to answer', () => {
  it('is that of a question for all that only reads, and that of the connection for what writes or sums up all rows of a table', async () => {
    const connection = new Noting()
    const session = new Session(connection, { label: OPTIONS.label, user: 'shop', database: 'shop' }, QUESTION_MS)
    await session.query('SELECT 1')
    await session.ask(z.object({}), 'SELECT 1')
    for await (const _ of session.stream('SELECT 1', [], { drain: true })) expect.unreachable()
    for await (const _ of session.streamRaw('SELECT 1', [], { drain: true, flagged: false })) expect.unreachable()
    expect(connection.given.splice(0)).toEqual([QUESTION_MS, QUESTION_MS, QUESTION_MS, QUESTION_MS])
    const table = { name: { schema: 'dbo', name: 't' }, columns: [], primaryKey: null, uniqueKeys: [], key: [], triggers: [] }
    await rangeSum(session, table, { columns: [], apart: [] }, {})
    await expect(rangeSums(session, table, { columns: [], apart: [] }, [{}])).rejects.toThrow('checksum')
    expect(connection.given.splice(0)).toEqual([undefined, undefined])
    await session.batch('CREATE INDEX')
    await session.send('UPDATE', [])
    expect(connection.given).toEqual([undefined, undefined])
  })
})
