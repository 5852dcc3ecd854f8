import { systemClock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { unlessStopped } from '../base/stop.ts'

/** A connection as the pool handles it. */
export interface Pooled {
  /** True when it can't be used any more. */
  readonly broken: boolean
  /** Closes it at once; what it was doing is rolled back by the server. */
  destroy(): void
}

/** So long a server that gave no further connection isn't asked for another one. */
const FULL_MS = 5000

/**
 * Connections to one database, made when needed, kept for the next one who asks, never more than `limit` at a time. Where the server gives
 * fewer (shared hosts allow an account two or ten, the shop's own among them), it does with those: only whoever would be the only one is
 * told that there is none.
 */
export abstract class Pool<S extends Pooled> {
  readonly label: string
  readonly limit: number
  readonly #idle: S[] = []
  readonly #waiting: ((slot: 'slot' | 'closed') => void)[] = []
  readonly #all = new Set<S>()
  #taken = 0
  #full: { readonly most: number; readonly since: number } | undefined
  #closed = false

  constructor(label: string, limit: number) {
    this.label = label
    this.limit = limit
  }

  /** Makes a connection. Throws the adapter's own errors: `database-busy` where the server gives no further one. */
  protected abstract connect(): Promise<S>

  /** True for an error of `connect` that leaves those of ours that stand as they are: the server gives no further one. */
  protected isFull(error: unknown): boolean {
    return error instanceof MigrateError && error.code === 'database-busy'
  }

  /** A connection, once there is a free one. Nobody waits for it beyond a stop (base/stop.ts). */
  acquire(): Promise<S> {
    return unlessStopped(this.#acquire(), (late) => this.release(late))
  }

  async #acquire(): Promise<S> {
    for (;;) {
      await this.#slot()
      const session = await this.#session()
      if (session !== undefined) return session
    }
  }

  async #slot(): Promise<void> {
    if (this.#closed) throw this.#closedError()
    if (this.#taken >= this.#most) {
      const answer = await new Promise<'slot' | 'closed'>((resolve) => this.#waiting.push(resolve))
      if (answer === 'closed') throw this.#closedError()
    } else this.#taken += 1
  }

  /** A connection when one is free now, else `undefined`. */
  async tryAcquire(): Promise<S | undefined> {
    if (this.#closed || this.#taken >= this.#most) return undefined
    this.#taken += 1
    return await unlessStopped(this.#session(), (late) => late !== undefined && this.release(late))
  }

  /** How many there may be now. */
  get #most(): number {
    if (this.#full !== undefined && systemClock.monotonic() - this.#full.since >= FULL_MS) this.#full = undefined
    return this.#full === undefined ? this.limit : Math.min(this.limit, this.#full.most)
  }

  release(session: S): void {
    if (session.broken || this.#closed) {
      session.destroy()
      this.#all.delete(session)
    } else this.#idle.push(session)
    this.#freeSlot()
  }

  /** Those that stand, lent or not. */
  protected get all(): readonly S[] {
    return [...this.#all]
  }

  /** Whoever waits for one is told so; all are destroyed. */
  close(): void | Promise<void> {
    this.#closed = true
    for (const session of this.#all) session.destroy()
    this.#all.clear()
    for (const wake of this.#waiting.splice(0)) wake('closed')
  }

  /** For a slot that was taken. `undefined`, the slot given up, where the server gives no further one but others of ours are there to wait for. */
  async #session(): Promise<S | undefined> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (!session.broken) return session
      this.#all.delete(session)
    }
    try {
      const session = await this.connect()
      this.#all.add(session)
      return session
    } catch (error) {
      const others = Math.max(this.#taken - 1, this.#idle.length)
      if (others === 0 || !this.isFull(error)) {
        this.#freeSlot()
        throw error
      }
      this.#full = { most: others, since: systemClock.monotonic() }
      this.#taken -= 1
      // Whoever waits is woken by the end of one that is at work; where there is none, now.
      if (this.#taken === 0 && this.#waiting.length > 0) {
        this.#taken = 1
        this.#freeSlot()
      }
      return undefined
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
