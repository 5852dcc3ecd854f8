import { MigrateError } from '../../base/errors.ts'
import { connect, type SftpConnection } from './connection.ts'
import type { SftpOptions } from './options.ts'

/** So many operations go through one connection before another one is opened. */
const BUSY = 8
/**
 * A large file counts as so many: the next one goes through another connection. OpenSSH takes no more than 2 MiB of what is written before it
 * answers, for each of them: on a long way that alone says how fast a large file gets there.
 */
export const LARGE = BUSY
/** At most so many at once through one connection: each may hold a file open, and servers let a session open a few hundred. */
const MOST_AT_ONCE = 192

export interface Lease {
  readonly connection: SftpConnection
  /** Call it once, when the work is done. */
  release(): void
}

/**
 * Up to `connections` logins, opened as the work needs them. A broken one is dropped; the next operation opens a new one.
 */
export class SftpPool {
  readonly #options: SftpOptions
  readonly #open: SftpConnection[] = []
  #limit: number
  #opening: Promise<SftpConnection> | undefined
  #closed = false
  readonly #waiting: (() => void)[] = []

  constructor(options: SftpOptions) {
    this.#options = options
    this.#limit = Math.max(1, options.connections)
  }

  /** Runs `work` on the connection that has least to do. `weight`: as so many operations it counts. */
  async use<T>(work: (connection: SftpConnection) => Promise<T>, weight = 1): Promise<T> {
    const { connection, release } = await this.lease(weight)
    try {
      return await work(connection)
    } finally {
      release()
    }
  }

  /** The same for work that doesn't end with a function, such as a stream. */
  async lease(weight = 1): Promise<Lease> {
    // Each time another one may be first at the connection that was waited for.
    let patience = weight < LARGE ? 0 : this.#limit
    for (;;) {
      const best = this.#best()
      if (best === undefined) {
        const first = await this.#connect()
        if (first.load < BUSY || patience === 0) return this.#lent(first, weight)
        continue
      }
      const isBusy = best.load >= BUSY && this.#open.length < this.#limit
      if (isBusy && patience > 0) {
        patience -= 1
        await this.#widen()
      } else if (best.load < MOST_AT_ONCE) {
        if (isBusy) void this.#widen()
        return this.#lent(best, weight)
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    }
  }

  #lent(connection: SftpConnection, weight: number): Lease {
    connection.load += weight
    return {
      connection,
      release: () => {
        connection.load -= weight
        this.#waiting.shift()?.()
      },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
    const opening = this.#opening
    if (opening !== undefined) await opening.catch(() => undefined) // whoever asked for it was told
    await Promise.all(this.#open.splice(0).map((connection) => connection.end()))
  }

  /** Of those that stand. */
  #best(): SftpConnection | undefined {
    if (this.#closed)
      throw new MigrateError('fault', 'Files were asked for after their connection was closed. This is a fault in migrate.')
    for (const lost of this.#open.filter((connection) => connection.channel.isLost))
      this.#open.splice(this.#open.indexOf(lost), 1)
    return this.#open.reduce<SftpConnection | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined)
  }

  #connect(): Promise<SftpConnection> {
    this.#opening ??= connect(this.#options)
      .then((connection) => {
        this.#open.push(connection)
        return connection
      })
      .finally(() => {
        this.#opening = undefined
      })
    return this.#opening
  }

  /** One more connection. A host that refuses it is not asked again: the work goes on with those it gave. Never rejects. */
  async #widen(): Promise<void> {
    const isAsked = this.#opening !== undefined
    await this.#connect().catch(() => {
      if (!isAsked) this.#limit = Math.max(1, this.#open.length)
    })
  }
}
