import { MigrateError } from '../../base/errors.ts'
import { connect, type SftpConnection } from './connection.ts'
import type { SftpOptions } from './options.ts'

/** So many operations go through one connection before another one is opened. */
const BUSY = 8
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

  /** Runs `work` on the connection that has least to do. */
  async use<T>(work: (connection: SftpConnection) => Promise<T>): Promise<T> {
    const { connection, release } = await this.lease()
    try {
      return await work(connection)
    } finally {
      release()
    }
  }

  /** The same for work that doesn't end with a function, such as a stream. */
  async lease(): Promise<Lease> {
    let connection = await this.#pick()
    while (connection.load >= MOST_AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
      connection = await this.#pick()
    }
    connection.load += 1
    return {
      connection,
      release: () => {
        connection.load -= 1
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

  async #pick(): Promise<SftpConnection> {
    if (this.#closed)
      throw new MigrateError('fault', 'Files were asked for after their connection was closed. This is a fault in migrate.')
    const alive = this.#alive()
    const best = alive.reduce<SftpConnection | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined)
    if (best === undefined) return this.#connect()
    if (best.load >= BUSY && alive.length < this.#limit) this.#widen()
    return best
  }

  #alive(): readonly SftpConnection[] {
    for (const lost of this.#open.filter((connection) => connection.channel.isLost))
      this.#open.splice(this.#open.indexOf(lost), 1)
    return this.#open
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

  /** One more connection, in the background. A host that refuses it is not asked again: the work goes on with those it gave. */
  #widen(): void {
    if (this.#opening !== undefined) return
    this.#connect().catch(() => {
      this.#limit = Math.max(1, this.#open.length)
    })
  }
}
