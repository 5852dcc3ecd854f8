import { systemClock } from '../../base/clock.ts'
import { codeOf, MigrateError, messageOf } from '../../base/errors.ts'
import { connectionLost } from '../failures.ts'
import { connect, type FtpConnection } from './connection.ts'
import { type FtpOptions, labelOf } from './options.ts'

/** Servers end a control connection that was silent for a while: one that rested longer is asked for a sign of life first. */
const RESTED_MS = 15_000

/** Up to `connections` logins, each lent to one task at a time. A broken one is dropped; the next task opens a new one. */
export class FtpPool {
  readonly #options: FtpOptions
  readonly #free: FtpConnection[] = []
  readonly #waiting: (() => void)[] = []
  /** Of connections that are lent once more: how many answers they had given before. */
  readonly #heard = new WeakMap<FtpConnection, number>()
  #limit: number
  #taken = 0
  #closed = false
  #wasReached = false

  constructor(options: FtpOptions) {
    this.#options = options
    this.#limit = Math.max(1, options.connections)
  }

  /** `work` is begun anew where the server had dropped the connection while it rested. */
  async use<T>(work: (connection: FtpConnection) => Promise<T>): Promise<T> {
    for (;;) {
      const connection = await this.take()
      try {
        return await work(connection)
      } catch (error) {
        if (!this.wasDropped(connection, error)) throw error
      } finally {
        this.giveBack(connection)
      }
    }
  }

  /**
   * True when a connection broke that had rested, before any answer came but that it ends (421, RFC 959, section 4.2.2): it had been dropped
   * already, and nothing came of the task.
   */
  wasDropped(connection: FtpConnection, error: unknown): boolean {
    const heard = this.#heard.get(connection)
    this.#heard.delete(connection)
    if (heard === undefined || codeOf(error) !== 'files-connection-lost') return false
    const since = connection.answers.count - heard
    return since === 0 || (since === 1 && connection.answers.last().startsWith('421'))
  }

  /** For work that doesn't end with a function, such as a stream: `giveBack` ends it. */
  async take(): Promise<FtpConnection> {
    for (;;) {
      if (this.#closed)
        throw new MigrateError('fault', 'Files were asked for after their connection was closed. This is a fault in migrate.')
      const rested = this.#free.pop()
      if (rested !== undefined) {
        this.#taken += 1
        if (await isAlive(rested)) {
          this.#heard.set(rested, rested.answers.count)
          return rested
        }
        this.#taken -= 1
      } else if (this.#taken < this.#limit) {
        const opened = await this.#open()
        if (opened !== undefined) return opened
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    }
  }

  giveBack(connection: FtpConnection): void {
    this.#taken -= 1
    connection.usedAt = systemClock.monotonic()
    if (this.#closed) connection.client.close()
    else if (!connection.client.closed) this.#free.push(connection)
    this.#waiting.shift()?.()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const connection of this.#free.splice(0)) connection.client.close()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** `undefined` when the host takes no further connection beside those that it gave: the work waits for one of them. */
  async #open(): Promise<FtpConnection | undefined> {
    this.#taken += 1
    try {
      const opened = await this.#login()
      this.#wasReached = true
      return opened
    } catch (error) {
      this.#taken -= 1
      this.#waiting.shift()?.()
      if (this.#taken === 0) throw this.#lost(error)
      this.#limit = this.#taken
      return undefined
    }
  }

  /** A login that a busy host left without an answer is tried once more: nothing was asked of it yet. */
  async #login(): Promise<FtpConnection> {
    try {
      return await connect(this.#options)
    } catch (error) {
      const isLate =
        error instanceof MigrateError && error.code === 'files-unreachable' && /timeout/i.test(messageOf(error.cause))
      if (!this.#wasReached || !isLate || this.#closed) throw error
      return await connect(this.#options)
    }
  }

  /** A host that answered before and doesn't now has been lost: what was under way can go on with another connection. */
  #lost(error: unknown): unknown {
    const isAway = error instanceof MigrateError && error.code === 'files-unreachable'
    return isAway && this.#wasReached ? connectionLost(labelOf(this.#options), null, error) : error
  }
}

async function isAlive(connection: FtpConnection): Promise<boolean> {
  if (connection.client.closed) return false
  if (systemClock.monotonic() - connection.usedAt < RESTED_MS) return true
  try {
    await connection.client.send('NOOP')
    return true
  } catch {
    // Nothing was asked of it yet: another connection does as well.
    connection.client.close()
    return false
  }
}
