import { readFile } from 'node:fs/promises'
import mysql from 'mysql2'
import { systemClock } from '../../base/clock.ts'
import { codeOf } from '../../base/errors.ts'
import type { Secret } from '../../base/secret.ts'
import { ANSWER_MS, stoppable } from '../../base/stop.ts'
import { Pool } from '../pool.ts'
import { WireSocket } from '../wire-socket.ts'
import { databaseError, isTooMany } from './errors.ts'
import { Session } from './session.ts'
import { readKind, refuseOld, settingsOf } from './settings.ts'

export interface MysqlOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret | undefined
  readonly database: string
  /** `prefer` when absent: TLS where the server has it, its certificate not checked. */
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

const STATEMENT_TIMEOUT_MS = 120_000
/** How soon another connection is asked for where the account has as many as it may. */
const NEXT_TRY_MS = 50

/** Connections to one database, made when needed, kept for the next one who asks. */
export class Connections extends Pool<Session> {
  readonly #options: MysqlOptions
  #plain = false

  constructor(options: MysqlOptions) {
    super(options.label, Math.max(1, options.connections))
    this.#options = options
  }

  get database(): string {
    return this.#options.database
  }

  /** Runs `work` on a connection of its own, waiting for one when all are in use. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.acquire()
    try {
      return await this.stoppable([session], () => work(session))
    } finally {
      this.release(session)
    }
  }

  /** Runs `work`, which uses these sessions (more may be added meanwhile), until the stop in force comes (base/stop.ts). */
  async stoppable<T>(sessions: readonly Session[], work: () => Promise<T>): Promise<T> {
    let told: Promise<unknown> = Promise.resolve()
    const line = {
      interrupt: () => {
        const atWork = sessions.filter((session) => session.isAnswering)
        for (const session of sessions) {
          if (atWork.includes(session)) session.interrupt()
          // Its end leaves room for the connection that ends the others.
          else session.destroy()
        }
        told = Promise.all(atWork.map((session) => this.kill(session)))
      },
      destroy: () => {
        for (const session of sessions) session.destroy()
      },
    }
    try {
      return await stoppable(line, work)
    } finally {
      // Whoever ends the program before the server knows takes the word with him, and it works on for nobody.
      await told
    }
  }

  /**
   * Ends what the server does for a session ("KILL"): by a connection of its own for as long as that takes, since all others may be
   * taken. Waits for it a second at most, also for one of the account's to become free (its siblings are being closed at such a time), and
   * where it can't be had destroys the session. Never throws.
   */
  async kill(session: Session): Promise<void> {
    const over = new AbortController()
    const killed = this.#connectInTurn(over.signal).then(
      (helper) =>
        new Promise<void>((resolve) => {
          helper.query(`KILL QUERY ${session.threadId}`, () => {
            helper.destroy()
            resolve()
          })
        }),
      () => session.destroy(),
    )
    await Promise.race([killed, systemClock.sleep(ANSWER_MS, over.signal)]).catch(() => undefined)
    over.abort()
  }

  /**
   * Ends a session for good, and what the server still does for it: a server notices that nobody is there any more only when it has
   * something to send. Resolves as `kill`. Never throws.
   */
  async end(session: Session): Promise<void> {
    const isAtWork = session.isAnswering && !session.broken
    session.destroy()
    if (isAtWork) await this.kill(session)
  }

  protected override async connect(): Promise<Session> {
    try {
      const session = new Session(await this.#connectClient(), this.label)
      session.kind = await readKind(session)
      refuseOld(session.kind, this.label)
      session.questionMs = this.#options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS
      await session.query(settingsOf(session.kind))
      return session
    } catch (error) {
      throw databaseError(error, { label: this.label, connecting: true })
    }
  }

  /** A connection as soon as the server gives the account another one. */
  async #connectInTurn(signal: AbortSignal): Promise<mysql.Connection> {
    for (;;) {
      try {
        return await this.#connectClient()
      } catch (error) {
        if (!isTooMany(error)) throw error
        await systemClock.sleep(NEXT_TRY_MS, signal)
      }
    }
  }

  async #connectClient(): Promise<mysql.Connection> {
    const mode = this.#options.sslmode ?? 'prefer'
    if (mode === 'disable' || this.#plain) return await this.#open(undefined)
    try {
      return await this.#open(await this.#tls(mode))
    } catch (error) {
      if (mode !== 'prefer' || codeOf(error) !== 'HANDSHAKE_NO_SSL_SUPPORT') throw error
      this.#plain = true
      return await this.#open(undefined)
    }
  }

  async #tls(mode: 'prefer' | 'require' | 'verify-full'): Promise<mysql.SslOptions> {
    const { ca } = this.#options
    const trusted = ca === undefined ? {} : { ca: await readFile(ca, 'utf8') }
    return {
      ...trusted,
      rejectUnauthorized: mode === 'verify-full' || ca !== undefined,
      verifyIdentity: mode === 'verify-full',
    }
  }

  async #open(ssl: mysql.SslOptions | undefined): Promise<mysql.Connection> {
    const { host, port, user, password, database, connectTimeoutMs } = this.#options
    const stream = (): WireSocket => new WireSocket().connect({ host, port }).setNoDelay(true).setKeepAlive(true)
    const connection = mysql.createConnection({
      host,
      port,
      user,
      database,
      ...(password === undefined ? {} : { password: password.reveal() }),
      ...(ssl === undefined ? { stream } : { ssl }),
      charset: 'utf8mb4',
      connectTimeout: connectTimeoutMs ?? 20_000,
      connectAttributes: { program_name: 'migrate' },
    })
    return await new Promise((resolve, reject) => {
      // Without a listener, an error of an idle connection would end the process.
      connection.on('error', reject)
      connection.connect((error) => {
        if (error === null) return resolve(connection)
        connection.destroy()
        reject(error)
      })
    })
  }
}
