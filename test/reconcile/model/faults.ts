import { MigrateError } from '../../../src/base/errors.ts'
import type { Database, Reader, Transaction } from '../../../src/databases/port.ts'

/** What goes wrong, and at which of a pass's effects. */
export interface Fault {
  /**
   * `killed`: the process ends before the effect; `killed-after`: when it has happened; `answer-lost`: the commit is kept, and nobody
   * is told; `cut`: the connection breaks, and nothing is kept.
   */
  readonly kind: 'killed' | 'killed-after' | 'answer-lost' | 'cut'
  readonly at: number
}

/** Everything that happens around a pass. */
export interface Watch {
  /** Before each transaction on the host that receives, and after it when it was kept. */
  before(): Promise<void>
  after(): Promise<void>
}

const forever = new Promise<never>(() => undefined)

/** The two databases as one process sees them, which may die of `fault`. */
export class Process {
  readonly died: Promise<'died'>
  readonly #fault: Fault | null
  readonly #watch: Watch
  #effects = 0
  #dying = false
  #dead = false
  #die: (value: 'died') => void = () => undefined

  constructor(fault: Fault | null, watch: Watch) {
    this.#fault = fault
    this.#watch = watch
    this.died = new Promise((resolve) => {
      this.#die = resolve
    })
  }

  /** What the process reads from. */
  reading(database: Database): Database {
    return this.#wrap(database, {})
  }

  /** What it writes to. */
  writing(database: Database): Database {
    return this.#wrap(database, {
      transaction: (tables, work) => this.#commit(() => database.transaction(tables, (own) => this.#inside(own, work))),
      raiseIdentity: (identity, value) => this.#commit(() => database.raiseIdentity(identity, value)),
    })
  }

  #wrap(database: Database, own: Partial<Database>): Database {
    return new Proxy(database, {
      get: (target, name) => {
        const member: unknown = Reflect.get(own, name) ?? Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        return (...args: readonly unknown[]): unknown => {
          if (this.#dead) return forever
          const bound = name === 'read' ? [args[0], this.#broken(args[1])] : args
          return Reflect.apply(member, target, bound)
        }
      },
    })
  }

  /** A reader whose connection may break. */
  #broken(work: unknown): unknown {
    if (typeof work !== 'function') return work
    return async (readers: readonly Reader[]): Promise<unknown> => {
      this.#effect(['cut'])
      return Reflect.apply(work, undefined, [readers])
    }
  }

  /** Counts an effect; says whether the fault strikes here, and with what, among the kinds that can. */
  #effect(kinds: readonly Fault['kind'][]): Fault['kind'] | undefined {
    this.#effects += 1
    const strikes = this.#fault !== null && this.#fault.at === this.#effects && kinds.includes(this.#fault.kind)
    if (!strikes) return undefined
    if (this.#fault.kind === 'cut') throw lost(true)
    return this.#fault.kind
  }

  async #commit<T>(effect: () => Promise<T>): Promise<T> {
    await this.#watch.before()
    const strikes = this.#effect(['killed', 'killed-after', 'answer-lost', 'cut'])
    if (strikes === 'killed') return this.#kill()
    let result: T
    try {
      result = await effect()
    } catch (error) {
      if (this.#dying) return this.#kill()
      throw error
    }
    await this.#watch.after()
    if (strikes === 'killed-after') return this.#kill()
    if (strikes === 'answer-lost') throw lost(false)
    return result
  }

  /** A transaction that is given up in its middle: the server takes it back. */
  async #inside<T>(own: Transaction, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const guarded = new Proxy(own, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        return async (...args: readonly unknown[]): Promise<unknown> => {
          if (this.#effect(['killed', 'cut']) === 'killed') {
            this.#dying = true
            throw new Error('the process dies in the middle of a transaction')
          }
          return Reflect.apply(member, target, args)
        }
      },
    })
    return work(guarded)
  }

  #kill(): Promise<never> {
    this.#dead = true
    this.#die('died')
    return forever
  }
}

const lost = (retrySafe: boolean): MigrateError =>
  new MigrateError('database-connection-lost', 'The connection broke, as this history wants it.', { retrySafe })
