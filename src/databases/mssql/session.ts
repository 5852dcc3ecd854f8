import { Request } from 'tedious'
import type { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import type { Line } from '../../base/stop.ts'
import { bulkType, type RawTarget, rawType } from './bulk-types.ts'
import { statementError, tooSlow, type Where } from './errors.ts'
import { type BulkValue, type Flow, firstOf, isQuiet, type StreamOptions, toRows } from './flow.ts'
import { bind, bindStreamed, type Parameter, type Streamed } from './parameters.ts'
import { type CodedBatch, RawRows, type RowConnection } from './raw-rows.ts'
import { RowBuffer, type Values } from './row-buffer.ts'
import type { Native, Wire } from './values.ts'

export interface Result {
  readonly rows: readonly Values[]
  /** Rows returned or changed, as the server counted them. */
  readonly count: number
  /** What the server said besides (PRINT, DBCC). */
  readonly messages: readonly string[]
}

/** How long a statement waits for a lock, milliseconds; then its transaction ends as `database-busy`. */
export const LOCK_TIMEOUT_MS = 10_000

interface Column {
  readonly value: unknown
}

type BulkLoad = ReturnType<RowConnection['newBulkLoad']>
type BulkLoadOptions = Parameters<RowConnection['newBulkLoad']>[1]

/** One connection, one statement at a time. Parameters are @p0, @p1, … */
export class Session implements Line {
  readonly where: Where
  readonly #connection: RowConnection
  readonly #questionMs: number
  /** Resolves once the connection is closed. */
  readonly ended: Promise<void>
  #failure: Error | undefined
  #busy = false
  #stopped = false
  /** True while a transaction may have written something that a lost connection could have committed. */
  #unsure = false

  /** `questionMs`: how long a question (`query`, `ask`, `stream`) may take to its first answer. */
  constructor(connection: RowConnection, where: Where, questionMs: number) {
    this.#connection = connection
    this.where = where
    this.#questionMs = questionMs
    connection.on('error', (error) => {
      this.#failure ??= error
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    connection.on('end', () => {
      this.#failure ??= new Error('The connection was closed')
      resolve()
    })
  }

  /** True when the connection can't be used any more. */
  get broken(): boolean {
    return this.#failure !== undefined
  }

  /** Runs a statement with parameters (sp_executesql): temporary tables and SET options that it makes end with it. */
  query(sql: string, parameters: readonly Parameter[] = []): Promise<Result> {
    return this.#run(sql, (request) => {
      bind(request, parameters)
      request.setTimeout(this.#questionMs)
      this.#connection.execSql(request)
    })
  }

  /** Runs a statement that writes with parameters that are sent as they come. */
  send(sql: string, parameters: readonly Streamed[]): Promise<Result> {
    return this.#run(sql, (request) => {
      bindStreamed(request, parameters)
      this.#connection.execSql(request)
    })
  }

  /** Runs a batch as it stands, in the connection's own scope. */
  batch(sql: string): Promise<Result> {
    return this.#run(sql, (request) => this.#connection.execSqlBatch(request))
  }

  /** Rows of a short catalog query, checked against `row`; the select list's names are the members'. Several statements may answer, all with the same names. */
  async ask<T>(row: z.ZodType<T>, sql: string, parameters: readonly Parameter[] = []): Promise<readonly T[]> {
    const names: string[] = []
    const result = await this.#run(
      sql,
      (request) => {
        bind(request, parameters)
        request.setTimeout(this.#questionMs)
        this.#connection.execSql(request)
      },
      names,
    )
    return result.rows.map((values) => row.parse(Object.fromEntries(values.map((value, index) => [names[index] ?? '', value]))))
  }

  /**
   * Commits. When the connection breaks meanwhile, nobody knows whether it did: unless the transaction may be run again
   * (`repeatable`: it set a mark), the error isn't retrySafe.
   */
  async commit(repeatable: boolean): Promise<void> {
    this.#unsure = !repeatable
    await this.batch('COMMIT TRANSACTION')
    this.#unsure = false
  }

  /**
   * Batches of rows, read as they are taken: between two of them the server waits. Ending early cancels the statement, or with
   * `drain` reads the rest of its answer and drops it, which keeps the transaction alive.
   */
  async *stream(
    sql: string,
    parameters: readonly Parameter[],
    options: StreamOptions & { readonly drain: boolean },
  ): AsyncGenerator<readonly Values[]> {
    const buffer = new RowBuffer(sql)
    yield* this.#flow(sql, parameters, options, buffer, () => this.#connection.execSql(buffer.request))
  }

  /** The same rows as bytes, before anything is made of them. `flagged`: see RowSplitter. */
  async *streamRaw(
    sql: string,
    parameters: readonly Parameter[],
    options: StreamOptions & { readonly drain: boolean; readonly flagged: boolean },
  ): AsyncGenerator<CodedBatch> {
    const raw = new RawRows(sql, options.flagged)
    yield* this.#flow(sql, parameters, options, raw, () => this.#connection.execRaw(raw))
  }

  async *#flow<T>(
    sql: string,
    parameters: readonly Parameter[],
    options: StreamOptions & { readonly drain: boolean },
    buffer: Flow<T>,
    send: () => void,
  ): AsyncGenerator<T> {
    options.signal?.throwIfAborted()
    const { request } = buffer
    bind(request, parameters)
    if (options.long !== true) request.setTimeout(this.#questionMs)
    this.#begin(sql)
    const cancel = (): void => request.cancel()
    options.signal?.addEventListener('abort', cancel, { once: true })
    let isLate = false
    try {
      send()
      while (true) {
        isLate = await isQuiet(buffer, options.quietMs)
        options.signal?.throwIfAborted()
        if (isLate) throw tooSlow(this.where, options.quietMs, sql)
        if (buffer.end?.error) throw this.#explain(buffer.end.error, sql)
        const isOver = buffer.end !== undefined
        const batch = buffer.take()
        if (batch !== undefined) yield batch
        if (isOver) return
        buffer.resume()
      }
    } finally {
      options.signal?.removeEventListener('abort', cancel)
      await buffer.drop(!options.drain || isLate || options.signal?.aborted === true)
      this.#busy = false
    }
  }

  /** Streams rows into a table whose name and columns need no quoting, within the running transaction. */
  async bulk(
    table: string,
    columns: readonly { readonly name: string; readonly kind: Wire | Native }[],
    rows: Iterable<readonly BulkValue[]>,
  ): Promise<void> {
    await this.#bulk(`INSERT BULK ${table}`, table, { keepNulls: true }, (load) => {
      for (const { name, kind } of columns) {
        const { type, options } = bulkType(kind)
        load.addColumn(name, type, { ...options, nullable: true })
      }
      this.#connection.execBulkLoad(load, toRows(rows))
    })
  }

  async #bulk(sql: string, table: string, options: BulkLoadOptions, send: (load: BulkLoad) => void): Promise<number> {
    this.#begin(sql)
    try {
      return await new Promise<number>((resolve, reject) => {
        send(this.#connection.newBulkLoad(table, options, (error, rows) => (error ? reject(error) : resolve(rows ?? 0))))
      })
    } catch (error) {
      throw this.#explain(error, sql)
    } finally {
      this.#busy = false
    }
  }

  /** Streams rows that came from `streamRaw` into columns of the same types, within the running transaction; returns how many the server took. */
  bulkRaw(table: string, columns: readonly RawTarget[], batches: AsyncIterable<Buffer>): Promise<number> {
    const sql = `INSERT BULK ${table}`
    return this.#bulk(sql, table, { keepNulls: true, checkConstraints: true }, (load) => {
      for (const [at, { name, declaration, type, nullable }] of columns.entries())
        load.addColumn(name, rawType(type, declaration, at === 0), { length: 1, nullable })
      this.#connection.execBulkLoad(load, firstOf(batches))
    })
  }

  /**
   * Runs `work` in a transaction; rolled back when it throws. Errors of any statement end it (XACT_ABORT is ON).
   * `repeatable`: running it again does nothing twice.
   */
  async transaction<T>(repeatable: boolean, work: () => Promise<T>): Promise<T> {
    await this.batch('BEGIN TRANSACTION')
    let result: T
    try {
      result = await work()
    } catch (error) {
      await this.rollback()
      throw error
    }
    await this.commit(repeatable)
    return result
  }

  /** Rolls back what is open. A connection on which even that fails is closed, with the same end. */
  async rollback(): Promise<void> {
    if (this.broken) return
    try {
      await this.batch('IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION')
    } catch {
      this.abandon()
    }
  }

  /** Closes without waiting; the server rolls back what was open. */
  abandon(): void {
    if (this.broken) return
    this.#failure = new Error('The connection was closed')
    this.#connection.close()
  }

  /** See Line: an attention ([MS-TDS] 2.2.1.7) ends the statement in hand, and none is begun after it. */
  interrupt(): void {
    this.#stopped = true
    if (this.#busy && !this.broken) this.#connection.cancel()
  }

  destroy(): void {
    this.abandon()
  }

  async #run(sql: string, send: (request: Request) => void, names?: string[]): Promise<Result> {
    const rows: Values[] = []
    const messages: string[] = []
    const heard = (token: { readonly message: string }): void => {
      messages.push(token.message)
    }
    this.#begin(sql)
    this.#connection.on('infoMessage', heard)
    try {
      const count = await new Promise<number>((resolve, reject) => {
        const request = new Request(sql, (error, affected) => (error ? reject(error) : resolve(affected ?? 0)))
        request.on('row', (columns: readonly Column[]) => rows.push(columns.map((column) => column.value)))
        if (names !== undefined) {
          request.on('columnMetadata', (columns) => {
            if (Array.isArray(columns)) names.push(...columns.map((column) => column.colName))
          })
        }
        send(request)
      })
      return { rows, count, messages }
    } catch (error) {
      throw this.#explain(error, sql)
    } finally {
      this.#connection.removeListener('infoMessage', heard)
      this.#busy = false
    }
  }

  #begin(sql: string): void {
    if (this.#busy) {
      throw new MigrateError(
        'fault',
        `${this.where.label}: a statement was begun while another one was read. This is a fault in migrate.`,
      )
    }
    if (this.#stopped) throw new MigrateError('stopped', `${this.where.label}: stopped, as asked.`)
    if (this.#failure !== undefined) throw this.#explain(Object.assign(this.#failure, { code: 'ECONNCLOSED' }), sql)
    this.#busy = true
  }

  #explain(error: unknown, sql: string): MigrateError {
    return statementError(error, sql, this.where, !this.#unsure)
  }
}
