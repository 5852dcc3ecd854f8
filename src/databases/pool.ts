import { MigrateError } from '../base/errors.ts'
import { unlessStopped } from '../base/stop.ts'

/** A connection as the pool handles it. */
export interface Pooled {
  /** True when it can't be used any more. */
  readonly broken: boolean
  /** Closes it at once; what it was doing is rolled back by the server. */
  destroy(): void
}

/** Connections to one database, made when needed, kept for the next one who asks, never more than `limit` at a time. */
export abstract class Pool<S extends Pooled> {
  readonly label: string
  readonly limit: number
  readonly #idle: S[] = []
  readonly #waiting: ((slot: 'slot' | 'closed') => void)[] = []
  readonly #all = new Set<S>()
  #taken = 0
  #closed = false

  constructor(label: string, limit: number) {
    this.label = label
    this.limit = limit
  }

  /** Makes a connection. Throws the adapter's own errors. */
  protected abstract connect(): Promise<S>

  /** A connection, once there is a free one. Nobody waits for it beyond a stop (base/stop.ts). */
  acquire(): Promise<S> {
    return unlessStopped(this.#acquire(), (late) => this.release(late))
  }

  async #acquire(): Promise<S> {
    if (this.#closed) throw this.#closedError()
    if (this.#taken >= this.limit) {
      const answer = await new Promise<'slot' | 'closed'>((resolve) => this.#waiting.push(resolve))
      if (answer === 'closed') throw this.#closedError()
    } else this.#taken += 1
    return await this.#session()
  }

  /** A connection when one is free now, else `undefined`. */
  async tryAcquire(): Promise<S | undefined> {
    if (this.#closed || this.#taken >= this.limit) return undefined
    return await this.acquire()
  }

  release(session: S): void {
    if (session.broken || this.#closed) {
      session.destroy()
      this.#all.delete(session)
    } else this.#idle.push(session)
    this.#freeSlot()
  }

  close(): void {
    this.#closed = true
    for (const session of this.#all) session.destroy()
    this.#all.clear()
    for (const wake of this.#waiting.splice(0)) wake('closed')
  }

  async #session(): Promise<S> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (!session.broken) return session
      this.#all.delete(session)
    }
    try {
      const session = await this.connect()
      this.#all.add(session)
      return session
    } catch (error) {
      this.#freeSlot()
      throw error
    }
  }

  #freeSlot(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next('slot')
  }

  #closedError(): MigrateError {
    return new MigrateError('fault', `The connection to the ${this.label} was closed already. This is a fault in migrate.`)
  }
}
