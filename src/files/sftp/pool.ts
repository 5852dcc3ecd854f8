import { MigrateError } from '../../base/errors.ts'
import { connect, type SftpConnection } from './connection.ts'
import type { SftpOptions } from './options.ts'

/** So many operations go through one connection before another one is opened. */
const BUSY = 8
/** Connections that are being opened at a time: sshd turns some away when more than ten are logging in (MaxStartups). */
const OPENED_AT_ONCE = 4
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
  readonly #opening = new Set<Promise<SftpConnection>>()
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
    return this.#lend(connection)
  }

  /** The same for a command, which holds no file open there: it waits for nobody. */
  async leaseForCommand(): Promise<Lease> {
    return this.#lend(await this.#pick())
  }

  #lend(connection: SftpConnection): Lease {
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
    await Promise.allSettled(this.#opening) // whoever asked for one was told
    await Promise.all(this.#open.splice(0).map((connection) => connection.end()))
  }

  async #pick(): Promise<SftpConnection> {
    if (this.#closed)
      throw new MigrateError('fault', 'Files were asked for after their connection was closed. This is a fault in migrate.')
    const alive = this.#alive()
    const best = alive.reduce<SftpConnection | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined)
    if (best === undefined) return [...this.#opening][0] ?? this.#connect()
    if (best.load >= BUSY) this.#widen(alive)
    return best
  }

  #alive(): readonly SftpConnection[] {
    for (const lost of this.#open.filter((connection) => connection.channel.isLost))
      this.#open.splice(this.#open.indexOf(lost), 1)
    return this.#open
  }

  #connect(): Promise<SftpConnection> {
    const opening = connect(this.#options)
      .then((connection) => {
        this.#open.push(connection)
        return connection
      })
      .finally(() => this.#opening.delete(opening))
    this.#opening.add(opening)
    return opening
  }

  /**
   * As many connections as the work is worth, side by side and in the background. A host that refuses one is not asked again: the work goes
   * on with those it gave.
   */
  #widen(alive: readonly SftpConnection[]): void {
    const load = alive.reduce((sum, connection) => sum + connection.load, this.#waiting.length)
    const most = Math.min(this.#limit, Math.ceil(load / BUSY) + 1)
    while (alive.length + this.#opening.size < most && this.#opening.size < OPENED_AT_ONCE)
      this.#connect().catch(() => {
        this.#limit = Math.max(1, this.#open.length + this.#opening.size)
      })
  }
}
