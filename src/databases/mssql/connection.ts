import { readFile } from 'node:fs/promises'
import type { ConnectionConfiguration } from 'tedious'
import { MigrateError, messageOf } from '../../base/errors.ts'
import type { Secret } from '../../base/secret.ts'
import { stoppable, unlessStopped } from '../../base/stop.ts'
import { connectError, type ServerError, type Where } from './errors.ts'
import { RowConnection } from './raw-rows.ts'
import { LOCK_TIMEOUT_MS, Session } from './session.ts'

export interface MssqlOptions {
  readonly host: string
  /** 1433 when absent, or what the server's browser says when an instance is named. */
  readonly port?: number | undefined
  /** A named instance (`host\SQLEXPRESS`); the browser service on UDP 1434 is asked for its port. */
  readonly instanceName?: string | undefined
  readonly user: string
  readonly password: Secret | undefined
  /** Windows domain; NTLM is used when it is given. */
  readonly domain?: string | undefined
  readonly database: string
  /** TLS; on when absent. `strict` is TDS 8.0 (SQL Server 2022). */
  readonly encrypt?: boolean | 'strict' | undefined
  /** Accepts a certificate that no authority vouches for; off when absent. */
  readonly trustServerCertificate?: boolean | undefined
  /** Path of a PEM file with the authority that signed the server's certificate, where the machine doesn't know it. */
  readonly ca?: string | undefined
  /** Asks an availability group's listener for a secondary that may be read. */
  readonly readOnlyIntent?: boolean | undefined
  /** How the server's list of sessions names us. */
  readonly appName?: string | undefined
  readonly connectTimeoutMs?: number | undefined
  /** How long a statement may run before its first answer; an index on a large table takes long. One hour when absent. */
  readonly requestTimeoutMs?: number | undefined
  /** How long a question may take to its first answer; what writes has the time above. Two minutes when absent. */
  readonly statementTimeoutMs?: number | undefined
  /** At most so many connections at a time. With one, questions wait while rows are read. */
  readonly connections: number
  /** For messages: "old database shop on old.example.com". */
  readonly label: string
}

const CONNECT_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 3_600_000
const STATEMENT_TIMEOUT_MS = 120_000
/** The largest packet that TDS allows under TLS 1.2 records and still fits one: 16 KiB less the record's own bytes. */
const PACKET_BYTES = 16_368

/**
 * Settings of tedious for a connection; every SET option that indexed views and computed columns need is its default (ON).
 * `authority`: the text of `options.ca`.
 */
export function configuration(options: MssqlOptions, authority?: string): ConnectionConfiguration {
  const credentials = { userName: options.user, password: options.password?.reveal() }
  const where = options.instanceName === undefined ? { port: options.port ?? 1433 } : { instanceName: options.instanceName }
  return {
    server: options.host,
    authentication:
      options.domain === undefined
        ? { type: 'default', options: credentials }
        : { type: 'ntlm', options: { ...credentials, domain: options.domain } },
    options: {
      ...where,
      database: options.database,
      encrypt: options.encrypt ?? true,
      trustServerCertificate: options.trustServerCertificate ?? false,
      ...(authority === undefined ? {} : { cryptoCredentialsDetails: { ca: authority } }),
      readOnlyIntent: options.readOnlyIntent ?? false,
      appName: options.appName ?? 'migrate',
      connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      cancelTimeout: CONNECT_TIMEOUT_MS,
      packetSize: PACKET_BYTES,
      maxRetriesOnTransientErrors: 0,
      abortTransactionOnError: true,
      useColumnNames: false,
      textsize: 2_147_483_647,
    },
  }
}

const whereOf = (options: MssqlOptions): Where => ({ label: options.label, user: options.user, database: options.database })

/** The text of `ca`, where it is given. */
export async function authority({ ca, label }: MssqlOptions): Promise<string | undefined> {
  if (ca === undefined) return undefined
  try {
    return await readFile(ca, 'utf8')
  } catch (error) {
    throw new MigrateError(
      'database-unreachable',
      `${label}: the certificate authority's file ${ca} can't be read: ${messageOf(error)}.`,
      {
        hint: 'Correct ca: in the playbook.',
        cause: error,
      },
    )
  }
}

/**
 * What every session begins with: how long it waits for a lock, and that of a deadlock it is the victim, not a customer: the shop's
 * sessions have NORMAL as long as nobody changes that ("SET DEADLOCK_PRIORITY (Transact-SQL)"). Ours may be tried again (`database-busy`).
 */
export async function beginSession(session: Session): Promise<void> {
  await session.batch(`SET LOCK_TIMEOUT ${LOCK_TIMEOUT_MS};\nSET DEADLOCK_PRIORITY LOW`)
}

async function connect(options: MssqlOptions, where: Where): Promise<Session> {
  const connection = new RowConnection(configuration(options, await authority(options)))
  let told: ServerError | undefined
  connection.on('errorMessage', (token) => {
    told ??= { number: token.number, severity: token.class, message: token.message }
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  connection.on('error', reject)
  connection.connect((error) => (error ? reject(error) : resolve()))
  try {
    await promise
  } catch (error) {
    connection.close()
    throw connectError(error, told, where)
  }
  const session = new Session(connection, where, options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS)
  try {
    await beginSession(session)
    return session
  } catch (error) {
    session.abandon()
    throw error
  }
}

/** Connections to one database: opened when first needed, kept for the next one, never more than the limit. */
export class Connections {
  readonly limit: number
  readonly #options: MssqlOptions
  readonly #where: Where
  readonly #idle: Session[] = []
  readonly #waiting: (() => void)[] = []
  readonly #open = new Set<Session>()
  #taken = 0
  #closed = false

  constructor(options: MssqlOptions) {
    this.#options = options
    this.#where = whereOf(options)
    this.limit = Math.max(1, options.connections)
  }

  /** Lends a connection to `work`. One that had an error is closed afterwards, which also ends its transaction. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    // Nobody waits for a connection beyond a stop (base/stop.ts); one that comes too late is kept.
    const session = await unlessStopped(this.#take(), (late) => this.#give(late, true))
    let result: T
    try {
      result = await stoppable(session, () => work(session))
    } catch (error) {
      this.#give(session, false)
      throw error
    }
    this.#give(session, !session.broken)
    return result
  }

  async close(): Promise<void> {
    this.#closed = true
    const sessions = [...this.#open]
    this.#idle.length = 0
    this.#open.clear()
    await Promise.all(sessions.map((session) => session.close()))
  }

  async #take(): Promise<Session> {
    if (this.#taken >= this.limit) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#taken += 1
    try {
      for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
        if (!session.broken) return session
        this.#open.delete(session)
      }
      const session = await connect(this.#options, this.#where)
      this.#open.add(session)
      return session
    } catch (error) {
      this.#free()
      throw error
    }
  }

  #give(session: Session, healthy: boolean): void {
    if (healthy && !this.#closed) {
      this.#idle.push(session)
    } else {
      this.#open.delete(session)
      session.abandon()
    }
    this.#free()
  }

  /** Hands the place to whoever waits longest. */
  #free(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }
}
