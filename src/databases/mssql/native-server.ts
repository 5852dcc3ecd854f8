import { Connection, Request } from 'tedious'
import { authority, configuration, type MssqlOptions } from './connection.ts'
import { connectError, type ServerError, statementError, type Where } from './errors.ts'
import { withBackupHint } from './native-errors.ts'

/** What a server says beside its answer ([MS-TDS] 2.2.7.13). */
export interface ServerMessage {
  readonly number: number
  readonly message: string
}

/** Runs what a backup and a restore need on a connection of its own. What a fake of a server stands in for. */
export interface BackupServer {
  /** Rows by column name, as the driver gives them. */
  ask(database: 'own' | 'master', sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Runs a statement however long it takes, tells what the server says meanwhile, and cancels it when the signal aborts. */
  run(database: 'own' | 'master', sql: string, signal: AbortSignal, heard: (said: ServerMessage) => void): Promise<void>
}

interface Column {
  readonly value: unknown
  readonly metadata: { readonly colName: string }
}

/** A real server. Each question has a connection of its own: BACKUP and RESTORE end or break the ones that others use. */
export const backupServer = (options: MssqlOptions): BackupServer => ({
  ask: async (database, sql) => {
    const rows: Readonly<Record<string, unknown>>[] = []
    await withConnection(options, database, (connection, where) =>
      execute(connection, where, sql, undefined, (request) =>
        request.on('row', (columns: readonly Column[]) =>
          rows.push(Object.fromEntries(columns.map(({ metadata, value }) => [metadata.colName, value]))),
        ),
      ),
    )
    return rows
  },
  run: (database, sql, signal, heard) =>
    withConnection(options, database, async (connection, where) => {
      connection.on('infoMessage', ({ number, message }) => heard({ number, message }))
      await execute(connection, where, sql, signal)
    }),
})

/** A BACKUP or RESTORE that doesn't heed the cancel by then loses its connection, with which the server ends it. */
const CANCEL_MS = 1500

async function withConnection(
  options: MssqlOptions,
  database: 'own' | 'master',
  work: (connection: Connection, where: Where) => Promise<void>,
): Promise<void> {
  const name = database === 'own' ? options.database : 'master'
  const where: Where = { label: options.label, user: options.user, database: name }
  // A backup takes as long as it takes; it is ended by the run's signal, not by a clock.
  const settings = configuration({ ...options, database: name, requestTimeoutMs: 0 }, await authority(options))
  const connection = new Connection({ ...settings, options: { ...settings.options, cancelTimeout: CANCEL_MS } })
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
  try {
    await work(connection, where)
  } finally {
    connection.close()
  }
}

async function execute(
  connection: Connection,
  where: Where,
  sql: string,
  signal: AbortSignal | undefined,
  prepare: (request: Request) => void = () => undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const cancel = (): void => {
    connection.cancel()
  }
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      const request = new Request(sql, (error) => (error ? reject(error) : resolve()))
      prepare(request)
      connection.execSqlBatch(request)
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw withBackupHint(statementError(error, sql, where, false))
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}
