import type { EventEmitter } from 'node:events'
import type { Request } from 'tedious'
import { configuration } from '../../src/databases/mssql/connection.ts'
import { RowConnection } from '../../src/databases/mssql/raw-rows.ts'
import { Session } from '../../src/databases/mssql/session.ts'

type Row = Readonly<Record<string, string | number | boolean | null>>
/** The rows for a question with such a text; a server that changes makes them when asked, or throws its error. */
export type Answer = readonly [pattern: RegExp, rows: readonly Row[] | ((sql: string) => readonly Row[])]

/** A connection to nowhere that answers each question by the first pattern that its text has, and notes them. */
class Answering extends RowConnection {
  readonly asked: string[] = []
  readonly #answers: readonly Answer[]

  constructor(answers: readonly Answer[]) {
    super(
      configuration({
        host: 'localhost',
        user: 'shop',
        password: undefined,
        database: 'shop',
        connections: 1,
        label: 'old database',
      }),
    )
    this.#answers = answers
  }

  #answer(request: Request): void {
    const sql = request.sqlTextOrProcedure ?? ''
    this.asked.push(sql)
    const answer = this.#answers.find(([pattern]) => pattern.test(sql))?.[1] ?? []
    let rows: readonly Row[]
    try {
      rows = typeof answer === 'function' ? answer(sql) : answer
    } catch (error) {
      queueMicrotask(() => request.callback(error instanceof Error ? error : new Error(String(error))))
      return
    }
    // The driver's types tell only what it emits itself.
    const events: EventEmitter = request
    queueMicrotask(() => {
      events.emit(
        'columnMetadata',
        Object.keys(rows[0] ?? {}).map((colName) => ({ colName })),
      )
      for (const row of rows)
        events.emit(
          'row',
          Object.values(row).map((value) => ({ value })),
        )
      request.callback(null, rows.length)
    })
  }

  override execSql(request: Request): void {
    this.#answer(request)
  }
  override execSqlBatch(request: Request): void {
    this.#answer(request)
  }
}

/** A session whose server is what `answers` say, where a test needs what no server here has. */
export function answered(...answers: readonly Answer[]): {
  readonly session: Session
  readonly asked: readonly string[]
} {
  const connection = new Answering(answers)
  const session = new Session(connection, { label: 'old database', user: 'shop', database: 'shop' }, 1000)
  return { session, asked: connection.asked }
}
