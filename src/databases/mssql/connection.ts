import { readFile } from 'node:fs/promises'
import type { ConnectionConfiguration } from 'tedious'
import { MigrateError, messageOf } from '../../base/errors.ts'
import type { Secret } from '../../base/secret.ts'
import { stoppable } from '../../base/stop.ts'
import { Pool } from '../pool.ts'
import { connectError, isHungUp, type ServerError, type Where } from './errors.ts'
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
 * For a server that nobody vouches for as it is: SQL Server 2012 and 2014 speak no TLS 1.2 before an update of theirs ("TLS 1.2 support for
 * Microsoft SQL Server", KB 3135244), and made certificates of 1,024 bits for themselves. The best that both know is taken all the same.
 */
const OLD_TLS = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

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
      cryptoCredentialsDetails: {
        ...(authority === undefined ? {} : { ca: authority }),
        ...(options.trustServerCertificate === true ? OLD_TLS : {}),
      },
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
export class Connections extends Pool<Session> {
  readonly #options: MssqlOptions
  readonly #where: Where

  constructor(options: MssqlOptions) {
    super(options.label, Math.max(1, options.connections))
    this.#options = options
    this.#where = whereOf(options)
  }

  /** Lends a connection to `work`. One that had an error is closed afterwards, which also ends its transaction. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return await this.#lend(await this.acquire(), work)
  }

  /** Lends as many as are to be had now, at most `most`; nobody waits for one. */
  async useSpare<T>(
    most: number,
    work: (sessions: readonly Session[]) => Promise<T>,
    taken: readonly Session[] = [],
  ): Promise<T> {
    const session = taken.length < most ? await this.tryAcquire() : undefined
    if (session === undefined) return await work(taken)
    return await this.#lend(session, () => this.useSpare(most, work, [...taken, session]))
  }

  async #lend<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await stoppable(session, () => work(session))
    } catch (error) {
      session.destroy()
      throw error
    } finally {
      this.release(session)
    }
  }

  override async close(): Promise<void> {
    const sessions = this.all.filter((session) => !session.broken)
    super.close()
    await Promise.all(sessions.map((session) => session.ended))
  }

  protected override connect(): Promise<Session> {
    return connect(this.#options, this.#where)
  }

  protected override isFull(error: unknown): boolean {
    return super.isFull(error) || isHungUp(error)
  }
}
