import { systemClock } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { connect, type Login, type SftpConnection } from './connection.ts'
import { failsAs, Haste } from './haste.ts'
import type { SftpOptions } from './options.ts'

/** So many operations go through one connection before another one is opened. */
const BUSY = 8
/** Connections that are being opened at a time: sshd turns some away when more than ten are logging in (MaxStartups). */
const OPENED_AT_ONCE = 4
/**
 * A large file counts as so many: the next one goes through another connection. OpenSSH takes no more than 2 MiB of what is written before it
 * answers, for each of them: on a long way that alone says how fast a large file gets there.
 */
export const LARGE = BUSY
/** From so many bytes on a file is large. */
export const LARGE_BYTES = 2 * 1024 * 1024
/** At most so many at once through one connection: each may hold a file open, and servers let a session open a few hundred. */
const MOST_AT_ONCE = 192

export interface Lease<C extends Login = SftpConnection> {
  readonly connection: C
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
  /** Connections that are being opened, with their logins, which are there sooner. */
  readonly #opening = new Map<Promise<SftpConnection>, Promise<Login>>()
  #logins: readonly Login[] = []
  /** Those that are on their way; and of those that are there, how many programs each carries that move a lot. */
  readonly #coming = new Set<Promise<Login>>()
  readonly #programs = new WeakMap<Login, number>()
  readonly #haste = new Haste()
  #closed = false
  /** The last login took so long, milliseconds: some round trips. */
  loginMs = 0
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
      const best = this.#best() ?? (await this.#first())
      const isWidening = this.#widenFor(best)
      if (isWidening && patience > 0) {
        patience -= 1
        await Promise.race(this.#opening.keys()).catch(() => undefined)
      } else if (best.load < MOST_AT_ONCE) {
        return this.#lent(best, weight)
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
    }
  }

  /** The same for a command, which holds no file open there and needs no session: it waits for nobody. */
  async leaseForCommand(): Promise<Lease<Login>> {
    const best = this.#best()
    if (best !== undefined) this.#widenFor(best)
    this.#logins = this.#logins.filter((login) => !login.isLost)
    return this.#lent(leastLoaded(this.#logins) ?? (await this.#firstLogin()), 1)
  }

  /**
   * The same for a program that moves a lot: each by a login of its own, also one that is on its way, as far as there are so many. What they send
   * begins slowly on every line (TCP), and they would share one.
   */
  async leaseForProgram(): Promise<Lease<Login>> {
    const { connection: first, release } = await this.leaseForCommand()
    release()
    for (;;) {
      const login = this.#withFewestPrograms() ?? first
      const carried = this.#programs.get(login) ?? 0
      if (carried === 0 || this.#coming.size === 0) return this.#lentToProgram(login)
      await Promise.race(this.#coming).catch(() => undefined) // another one, or none more
    }
  }

  #withFewestPrograms(): Login | undefined {
    this.#logins = this.#logins.filter((login) => !login.isLost)
    const carried = (login: Login): number => this.#programs.get(login) ?? 0
    return this.#logins.toSorted((a, b) => carried(a) - carried(b) || a.load - b.load)[0]
  }

  #lentToProgram(login: Login): Lease<Login> {
    const count = (more: number): void => void this.#programs.set(login, (this.#programs.get(login) ?? 0) + more)
    const lease = this.#lent(login, 1)
    count(1)
    return {
      connection: login,
      release: () => {
        count(-1)
        lease.release()
      },
    }
  }

  /** Returns when the account is let in, a few round trips before there is a session. */
  async loggedIn(): Promise<void> {
    await this.#firstLogin()
  }

  /**
   * Opens as many connections as it may, in the background: a lot of work is known to come. All at the same time, but one logs in first: a
   * password that is wrong is tried once.
   */
  async widen(): Promise<void> {
    const loggedIn = this.loggedIn()
    this.#openUpTo(this.#limit)
    await loggedIn
    this.#openUpTo(this.#limit)
  }

  /** The shortest time in which the host has answered on those that stand, milliseconds; `Infinity` before any answer. */
  get shortestMs(): number {
    return Math.min(...this.#open.map(({ channel }) => channel.shortestMs))
  }

  #lent<C extends Login>(connection: C, weight: number): Lease<C> {
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
    await Promise.allSettled(this.#opening.keys()) // whoever asked for one was told
    await Promise.all(this.#open.splice(0).map((connection) => connection.end()))
  }

  /** Of those that stand. */
  #best(): SftpConnection | undefined {
    if (this.#closed)
      throw new MigrateError('fault', 'Files were asked for after their connection was closed. This is a fault in migrate.')
    for (const lost of this.#open.filter((connection) => connection.channel.isLost))
      this.#open.splice(this.#open.indexOf(lost), 1)
    return leastLoaded(this.#open)
  }

  /** Where none stands: the one that is being opened, or one that is opened now. */
  #first(): Promise<SftpConnection> {
    return [...this.#opening.keys()][0] ?? this.#connect()
  }

  #firstLogin(): Promise<Login> | Login {
    const best = this.#best()
    if (best !== undefined) return best
    if (this.#opening.size === 0) this.#connect().catch(() => undefined) // told by the login
    return [...this.#opening.values()][0] ?? this.#first()
  }

  /** `after`: logs in after another one. */
  #connect(after?: Promise<Login>): Promise<SftpConnection> {
    const login = Promise.withResolvers<Login>()
    const begun = systemClock.monotonic()
    this.#coming.add(login.promise)
    const come = (): void => void this.#coming.delete(login.promise)
    login.promise.then(come, come)
    const loggedIn = (standing: Login): void => {
      this.#logins = [...this.#logins, standing]
      login.resolve(standing)
    }
    const opening = this.#haste
      .login((hasten) => connect(this.#options, { hasten, loggedIn, after }), after)
      .then((connection) => {
        this.#open.push(connection)
        this.loginMs = systemClock.monotonic() - begun
        return connection
      })
      .catch((error: unknown) => {
        login.reject(error)
        throw error
      })
      .finally(() => this.#opening.delete(opening))
    this.#opening.set(opening, login.promise)
    return opening
  }

  /**
   * Where the one with least to do has enough: as many connections as the work is worth, side by side and in the background. A host that refuses
   * one is not asked again: the work goes on with those it gave. True while any is being opened for it.
   */
  #widenFor(best: SftpConnection): boolean {
    if (this.#closed || best.load < BUSY || this.#open.length >= this.#limit) return false
    const load = this.#open.reduce((sum, connection) => sum + connection.load, this.#waiting.length)
    this.#openUpTo(Math.min(this.#limit, Math.ceil(load / BUSY) + 1))
    return this.#opening.size > 0
  }

  #openUpTo(most: number): void {
    if (this.#closed) return
    const after = this.#open.length > 0 ? undefined : [...this.#opening.values()][0]
    while (this.#open.length + this.#opening.size < most && this.#opening.size < OPENED_AT_ONCE)
      this.#connect(after).catch(async (error: unknown) => {
        if (!(await failsAs(after, error))) this.#limit = Math.max(1, this.#open.length + this.#opening.size)
      })
  }
}

const leastLoaded = <C extends Login>(logins: readonly C[]): C | undefined =>
  logins.reduce<C | undefined>((a, b) => (a !== undefined && a.load <= b.load ? a : b), undefined)
