import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type mysql from 'mysql2'
import { systemClock } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import { databaseError } from './errors.ts'
import { Flow } from './flow.ts'
import type { Collector } from './rows.ts'
import { socketOf } from './wire.ts'

/** What the server is, by its own word ("Information Functions", VERSION()). */
export interface ServerKind {
  readonly family: 'mysql' | 'mariadb'
  readonly version: readonly [number, number, number]
  /** Largest statement or row, bytes. */
  readonly maxPacket: number
  /** True when LOAD DATA LOCAL is let in. */
  readonly localInfile: boolean
}

/** True for this family from this version on. */
export const isSince = (kind: ServerKind, family: ServerKind['family'], ...version: readonly number[]): boolean => {
  if (kind.family !== family) return false
  for (const [at, wanted] of version.entries()) {
    const has = kind.version[at] ?? 0
    if (has !== wanted) return has > wanted
  }
  return true
}

export interface Result {
  readonly rows: readonly Row[]
  /** Rows that the statement changed, or found for an UPDATE that changed nothing. */
  readonly count: number
  /** "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0", where the statement has such words. */
  readonly info: string
  readonly warnings: number
}

/**
 * The same SELECT with its time: MariaDB's "SET STATEMENT", max_statement_time in seconds; MySQL's "Optimizer Hints",
 * MAX_EXECUTION_TIME in milliseconds.
 */
export const timedSql = (sql: string, kind: ServerKind, ms: number): string => {
  const hinted =
    kind.family === 'mariadb'
      ? `SET STATEMENT max_statement_time = ${ms / 1000} FOR SELECT`
      : `SELECT /*+ MAX_EXECUTION_TIME(${ms}) */`
  return sql.replace(/^\s*SELECT\b/i, hinted)
}

/**
 * Before a statement that takes rows over as they are: a shop may have written some while MariaDB minded no CHECK (check_constraint_checks),
 * which MySQL always does.
 */
export const uncheckedPrefix = ({ family }: ServerKind): string =>
  family === 'mariadb' ? 'SET STATEMENT check_constraint_checks = 0 FOR ' : ''

/** How a session's statements are read. */
export const TEXT_SETTINGS = 'character_set_client = utf8mb4, SESSION collation_connection = utf8mb4_general_ci'

/** Numbers of the collations binary and utf8mb4_general_ci, by which the driver knows how statements become bytes. */
const BINARY = 63
const UTF8MB4 = 45

/** Enough of a statement for an error's message. */
const SAID_LENGTH = 1000

/** The result of a question to a table that isn't there. */
export const NO_ROWS: Result = { rows: [], count: 0, info: '', warnings: 0 }

/** One connection. Every value comes and goes as text. */
export class Session {
  readonly label: string
  readonly #connection: mysql.Connection
  readonly #socket: Socket
  /** Milliseconds; without it a question has no end. */
  questionMs: number | undefined
  #kind: ServerKind | undefined
  #failure: Error | undefined
  #form: 'text' | 'bytes' = 'text'
  #isInBytes = false
  #answering = 0
  #heardAt = 0

  constructor(connection: mysql.Connection, label: string) {
    this.#connection = connection
    this.label = label
    this.#socket = socketOf(connection)
    connection.on('error', (error) => {
      this.#failure ??= error
    })
    this.#socket.once('close', () => {
      this.#failure ??= new Error('Connection lost: The server closed the connection.')
    })
  }

  /** True when the connection can't be used any more. */
  get broken(): boolean {
    return this.#failure !== undefined
  }

  /** True while the server is at work on a statement, or its answer isn't taken to the end. */
  get isAnswering(): boolean {
    return this.#answering > 0
  }

  /** When anything last came of rows that are read (monotonic clock). */
  get heardAt(): number {
    return this.#heardAt
  }

  get threadId(): number {
    return this.#connection.threadId ?? 0
  }

  get kind(): ServerKind {
    if (this.#kind === undefined) throw new MigrateError('fault', `The ${this.label} was used before it was asked what it is.`)
    return this.#kind
  }

  set kind(kind: ServerKind) {
    this.#kind = kind
  }

  /** Text comes in utf8mb4 from now on, or in each column's own bytes. */
  async resultsAs(form: 'text' | 'bytes'): Promise<void> {
    if (this.#form === form) return
    await this.query(`SET SESSION character_set_results = ${form === 'text' ? 'utf8mb4' : 'NULL'}`)
    this.#form = form
  }

  /**
   * While `work` runs, statements are bytes: each character of theirs stands for one (latin1), and text in them is of no character set
   * unless it says so ("Character Set Introducers").
   */
  async inBytes<T>(work: () => Promise<T>): Promise<T> {
    const { config } = this.#connection
    await this.query('SET SESSION character_set_client = binary, SESSION collation_connection = binary')
    config.charsetNumber = BINARY
    this.#isInBytes = true
    try {
      return await work()
    } finally {
      config.charsetNumber = UTF8MB4
      this.#isInBytes = false
      if (!this.broken) await this.query(`SET SESSION ${TEXT_SETTINGS}`)
    }
  }

  /** Runs one statement. */
  query(sql: string): Promise<Result> {
    return this.#send({ sql })
  }

  /** Runs a SELECT that asks for little, which the server may work on for as long as `questionMs` says, and then ends by itself. */
  question(sql: string): Promise<Result> {
    return this.query(this.timed(sql))
  }

  /** The same SELECT with that time. */
  timed(sql: string): string {
    return this.questionMs === undefined ? sql : timedSql(sql, this.kind, this.questionMs)
  }

  /** Runs LOAD DATA LOCAL with `source` as its file. An error of the source is thrown as it is, after the statement has ended. */
  async loadLocal(sql: string, source: Readable): Promise<Result> {
    let failure: unknown
    source.once('error', (error) => {
      failure = error
    })
    try {
      return await this.#send({ sql, infileStreamFactory: () => source })
    } catch (error) {
      throw failure !== undefined && !this.broken ? failure : error
    } finally {
      source.destroy()
    }
  }

  #send(options: mysql.QueryOptions): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.error(this.#failure, options.sql))
      this.#answering += 1
      this.#connection.query(
        { ...options, rowsAsArray: true, typeCast: (field) => field.string('utf8') },
        (error: unknown, answer: unknown) => {
          this.#answering -= 1
          if (error !== null) reject(this.error(error, options.sql))
          else resolve(resultOf(answer))
        },
      )
    })
  }

  /**
   * The statement's rows as `collector` makes them, none read ahead beyond what one read of the socket brings. Left early, `giveUp`
   * is called to end the statement on the server, and what it had sent already is thrown away.
   */
  async *rows<T>(sql: string, collector: Collector<T>, giveUp: () => Promise<void>): AsyncGenerator<T> {
    const flow = new Flow(collector, this.#socket, () => {
      this.#heardAt = systemClock.monotonic()
    })
    const ended = this.#send({ sql }).then(
      () => flow.end(undefined),
      (error: unknown) => flow.end(error),
    )
    try {
      for (let next = await flow.next(); next !== undefined; next = await flow.next()) yield next
    } finally {
      if (!flow.isEnded && !this.broken) {
        flow.discard()
        await giveUp()
      }
      if (this.broken) this.#socket.destroy()
      await ended
      flow.release()
    }
  }

  error(error: unknown, sql?: string): MigrateError {
    const cause = this.#failure !== undefined && !(error instanceof MigrateError) ? this.#failure : error
    const said = this.#isInBytes && sql !== undefined ? Buffer.from(sql.slice(0, SAID_LENGTH), 'latin1').toString() : sql
    return databaseError(cause, { label: this.label, ...(said === undefined ? {} : { sql: said }) })
  }

  /** Begins nothing more on it; whoever calls this has the server end what it is doing. */
  interrupt(): void {
    this.#failure ??= new Error('Connection lost: stopped, as asked')
  }

  /** Closes the connection at once; what it was doing is rolled back by the server. */
  destroy(): void {
    this.#failure ??= new Error('Connection lost: closed')
    this.#connection.destroy()
    this.#socket.destroy(this.#failure)
  }
}

function resultOf(answer: unknown): Result {
  if (Array.isArray(answer)) return { rows: answer as Cell[][], count: answer.length, info: '', warnings: 0 }
  const header = answer as mysql.ResultSetHeader
  return { rows: [], count: header.affectedRows ?? 0, info: header.info ?? '', warnings: header.warningStatus ?? 0 }
}
