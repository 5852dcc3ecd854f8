import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import pg from 'pg'
import { systemClock } from '../../base/clock.ts'
import { MigrateError, messageOf } from '../../base/errors.ts'
import type { Secret } from '../../base/secret.ts'
import { ANSWER_MS, type Line, stoppable } from '../../base/stop.ts'
import { Pool } from '../pool.ts'
import type { Cell } from '../port.ts'
import { WireSocket } from '../wire-socket.ts'
import { CopyAllIn } from './copy-all-in.ts'
import { CopyIn } from './copy-in.ts'
import { CopyOut } from './copy-out.ts'
import { databaseError } from './errors.ts'
import { setUnlessShared } from './pooler.ts'
import { settingsSql } from './settings.ts'
import { sessionSettings } from './values.ts'

export interface PostgresOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret | undefined
  readonly database: string
  /** As libpq's; `prefer` when absent: TLS where the server has it, its certificate not checked. */
  readonly sslmode?: 'disable' | 'prefer' | 'require' | 'verify-full' | undefined
  /** Path of a PEM file with the certificates to trust. */
  readonly ca?: string | undefined
  readonly connectTimeoutMs?: number | undefined
  /** How long the server may work on one question; rows that are copied may take their time. Two minutes when absent. */
  readonly statementTimeoutMs?: number | undefined
  /** At most so many connections at a time. With one, questions wait while rows are read. */
  readonly connections: number
  /** For messages: "old database shop on old.example.com". */
  readonly label: string
}

export interface Result {
  readonly rows: readonly (readonly Cell[])[]
  /** Rows that the statement returned or changed. */
  readonly count: number
  /** The command as the server names it: COMMIT, ROLLBACK, INSERT … */
  readonly command: string
}

const STATEMENT_TIMEOUT_MS = 120_000

/**
 * Names without a schema: the server's own alone, so that the catalog spells every other one in full, or also those on the account's usual
 * search path. To plan a question to a table the server looks into the functions of its indexes, whose bodies may name others so.
 */
export type Names = 'server' | 'shop'

/** One connection. Every value comes and goes as text. */
export class Session implements Line {
  readonly label: string
  /** Names of migrate's own tables as they were found, known to all connections of the database. */
  readonly ownTables: Map<string, string>
  readonly #client: pg.Client
  #failure: Error | undefined
  #told: Promise<void> | undefined
  #questions = 0
  #copy: CopyOut | undefined
  #finds: Names = 'server'

  constructor(client: pg.Client, label: string, ownTables: Map<string, string>) {
    this.#client = client
    this.label = label
    this.ownTables = ownTables
    client.on('error', (error) => {
      this.#failure ??= error
    })
    client.on('end', () => {
      this.#failure ??= new Error('Connection terminated unexpectedly')
    })
  }

  /** True when the connection can't be used any more. */
  get broken(): boolean {
    return this.#failure !== undefined
  }

  /** True while the server is at work on a question, or its rows aren't taken to the end. */
  get isAnswering(): boolean {
    return this.#questions > 0 || (this.#copy !== undefined && !this.#copy.ended && !this.#copy.failed)
  }

  /** Between transactions: which names statements find from here on. */
  async finds(names: Names): Promise<void> {
    if (this.#finds === names) return
    await this.query(`SET search_path TO ${names === 'server' ? sessionSettings.search_path : 'DEFAULT'}`)
    this.#finds = names
  }

  /** Runs one statement, or several without parameters (the last one's result is returned). */
  async query(sql: string, values: readonly (Cell | readonly Cell[])[] = []): Promise<Result> {
    this.#questions += 1
    try {
      if (this.#failure !== undefined) throw this.#failure
      const text = values.length === 0 ? { text: sql } : { text: sql, values: [...values] }
      const answer = await this.#client.query<Cell[]>({ ...text, rowMode: 'array' })
      const last = Array.isArray(answer) ? (answer.at(-1) as pg.QueryArrayResult<Cell[]>) : answer
      return { rows: last.rows ?? [], count: last.rowCount ?? 0, command: last.command }
    } catch (error) {
      throw this.error(error, sql)
    } finally {
      this.#questions -= 1
    }
  }

  /** Starts COPY … TO STDOUT. Its errors are the driver's own: pass them through `error`. */
  copyOut(sql: string, options: ConstructorParameters<typeof CopyOut>[1]): CopyOut {
    const copy = new CopyOut(sql, options)
    this.#copy = copy
    if (this.#failure === undefined) this.#client.query(copy)
    else copy.handleError(this.#failure)
    return copy
  }

  /** Starts COPY … FROM STDIN. Its errors are the driver's own: pass them through `error`. */
  copyIn(sql: string): CopyIn {
    const copy = new CopyIn(sql)
    if (this.#failure === undefined) this.#client.query(copy)
    else copy.handleError(this.#failure)
    return copy
  }

  /** Several COPY … FROM STDIN with all that they are given, in one question; the rows that each took. Throws as `query` does. */
  async copyAllIn(copies: readonly { readonly sql: string; readonly bytes: Buffer }[]): Promise<readonly number[]> {
    const copy = new CopyAllIn(copies)
    this.#questions += 1
    try {
      if (this.#failure !== undefined) throw this.#failure
      this.#client.query(copy)
      return await copy.taken
    } catch (error) {
      throw this.error(error, copy.atWork)
    } finally {
      this.#questions -= 1
    }
  }

  error(error: unknown, sql?: string): MigrateError {
    const cause = this.#failure !== undefined && !(error instanceof MigrateError) ? lostOr(error, this.#failure) : error
    return databaseError(cause, { label: this.label, ...(sql === undefined ? {} : { sql }) })
  }

  /** Has the server end the statement in hand with an error. Resolves when the server was told: it can't hit a later one. */
  async cancel(): Promise<void> {
    await cancelOnServer(this.#client, CANCEL_TIMEOUT_MS)
  }

  /** See Line: the statement ends with an error, none is begun after it, and the connection isn't used again. */
  interrupt(): void {
    this.#failure ??= new Error('Connection terminated, as asked')
    this.#told ??= cancelOnServer(this.#client, ANSWER_MS)
  }

  /**
   * Resolves once the server knows of an interrupt, or can't be told; at once when there was none. Whoever ends the program before
   * that takes the word with him, and the server works on for nobody.
   */
  async told(): Promise<void> {
    await this.#told
  }

  /** Closes the connection at once; what it was doing is rolled back by the server. */
  destroy(): void {
    this.#failure ??= new Error('Connection terminated')
    // The socket may be dead already, which is what is wanted.
    this.#client.end().catch(() => undefined)
  }
}

/** The server's own farewell (57P01) says more than that the socket closed after it. */
const lostOr = (error: unknown, failure: Error): unknown =>
  messageOf(error).startsWith('Connection terminated') ? failure : error

/** Length and code of a CancelRequest (PostgreSQL documentation, "Message Formats"). */
const CANCEL_BYTES = 16
const CANCEL_CODE = 80_877_102
const CANCEL_TIMEOUT_MS = 5000

/**
 * Asks the server to end what a connection is doing (PostgreSQL documentation, "Canceling Requests in Progress"): by a connection
 * that needs no login and takes no place among the server's. It closes it once it has passed the request on. Waits no longer than
 * told. Never throws.
 */
async function cancelOnServer(client: pg.Client, mostMs: number): Promise<void> {
  const [processId, secretKey]: readonly unknown[] = [Reflect.get(client, 'processID'), Reflect.get(client, 'secretKey')]
  if (typeof processId !== 'number' || typeof secretKey !== 'number') return
  const request = Buffer.alloc(CANCEL_BYTES)
  for (const [at, value] of [CANCEL_BYTES, CANCEL_CODE, processId, secretKey].entries()) request.writeInt32BE(value, 4 * at)
  const socket = connect({ host: client.host, port: client.port })
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.resume().end(request)
  const over = new AbortController()
  systemClock.sleep(mostMs, over.signal).then(
    () => socket.destroy(),
    () => undefined,
  )
  await closed
  over.abort()
}

/** Connections to one database, made when needed, kept for the next one who asks. */
export class Connections extends Pool<Session> {
  readonly #options: PostgresOptions
  readonly #ownTables = new Map<string, string>()
  #plain = false

  constructor(options: PostgresOptions) {
    super(options.label, Math.max(1, options.connections))
    this.#options = options
  }

  /** Runs `work` on a connection of its own, waiting for one when all are in use. */
  async use<T>(work: (session: Session) => Promise<T>, names: Names = 'server'): Promise<T> {
    const session = await this.acquire()
    try {
      return await stoppable(session, async () => {
        await session.finds(names)
        return await work(session)
      })
    } finally {
      this.release(session)
      await session.told()
    }
  }

  protected override async connect(): Promise<Session> {
    try {
      const client = await this.#connectClient()
      const session = new Session(client, this.label, this.#ownTables)
      try {
        const settings = settingsSql(this.#options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS, this.limit)
        const beside = async () => new Session(await this.#connectClient(), this.label, this.#ownTables)
        await setUnlessShared(session, client, settings, beside)
        return session
      } catch (error) {
        session.destroy()
        throw error
      }
    } catch (error) {
      throw databaseError(error, { label: this.label, connecting: true })
    }
  }

  async #connectClient(): Promise<pg.Client> {
    const mode = this.#options.sslmode ?? 'prefer'
    if (mode === 'disable' || this.#plain) return await this.#open(false)
    try {
      return await this.#open(await this.#tls(mode))
    } catch (error) {
      if (mode !== 'prefer' || !/does not support SSL/.test(messageOf(error))) throw error
      this.#plain = true
      return await this.#open(false)
    }
  }

  async #tls(mode: 'prefer' | 'require' | 'verify-full'): Promise<pg.ClientConfig['ssl']> {
    const { ca } = this.#options
    const trusted = ca === undefined ? {} : { ca: await readFile(ca, 'utf8') }
    return { ...trusted, rejectUnauthorized: mode === 'verify-full' || ca !== undefined }
  }

  async #open(ssl: pg.ClientConfig['ssl'] | false): Promise<pg.Client> {
    const { host, port, user, password, database, connectTimeoutMs } = this.#options
    const client = new pg.Client({
      host,
      port,
      user,
      database,
      ...(password === undefined ? {} : { password: password.reveal() }),
      ssl,
      ...(ssl === false ? { stream: () => new WireSocket() } : {}),
      application_name: 'migrate',
      connectionTimeoutMillis: connectTimeoutMs ?? 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      types: { getTypeParser: () => (value: string) => value },
    })
    // Without a listener, an error of an idle connection would end the process.
    let early: unknown
    client.on('error', (error) => {
      early = error
    })
    try {
      await client.connect()
      if (early !== undefined) throw early
      return client
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
  }
}
