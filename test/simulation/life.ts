import { hostname } from 'node:os'
import { Readable } from 'node:stream'
import type { Holder } from '../../src/run/lock.ts'
import type { Effects } from '../../src/run/step.ts'
import { FakeClock } from '../fakes/clock.ts'

/** Larger than any process id that Linux gives (proc(5), pid_max: 2^22 at most). */
const FIRST_PID = 2 ** 30
let lives = 0

const forever = new Promise<never>(() => undefined)

/**
 * One process of a simulation. It dies at its `killAt`-th point: before and after each effect. From then on nothing of it reaches the
 * world or the disk: whatever it calls never returns, its streams break off, and transactions that it holds are rolled back, as
 * servers do when a connection is lost.
 */
export class Life {
  readonly clock: FakeClock
  readonly holder: Holder
  /** What the points were called, in order. */
  readonly points: string[] = []
  /** For each point the step that was last heard of. */
  readonly steps: string[] = []
  /** The step that was last heard of. */
  step = ''
  readonly died: Promise<void>
  readonly #killAt: number
  readonly #untilDeath: Promise<never>
  #die: () => void = () => undefined
  #breakOff: (reason: Error) => void = () => undefined
  #dead = false

  constructor(start: number | undefined, killAt = Number.POSITIVE_INFINITY) {
    lives += 1
    this.clock = new FakeClock(start)
    this.holder = { pid: FIRST_PID + lives, host: hostname(), started: `life ${lives}` }
    this.#killAt = killAt
    this.died = new Promise((resolve) => {
      this.#die = resolve
    })
    this.#untilDeath = new Promise((_, reject) => {
      this.#breakOff = reject
    })
    this.#untilDeath.catch(() => undefined)
  }

  get dead(): boolean {
    return this.#dead
  }

  /** Here the process may die. */
  async point(name: string): Promise<void> {
    if (this.#dead) await forever
    this.points.push(name)
    this.steps.push(this.step)
    if (this.points.length !== this.#killAt) return
    this.#dead = true
    this.clock.stop()
    this.#breakOff(new Error('the process died'))
    this.#die()
    await forever
  }

  readonly effects: Effects = async (name, effect) => {
    await this.point(`before ${name}`)
    const result = await effect()
    await this.point(`after ${name}`)
    return result
  }

  /** A port as this process sees it. `writes` names the methods that change the world. */
  guard<T extends object>(port: T, writes: ReadonlySet<string>): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function' || typeof name !== 'string') return member
        return (...args: readonly unknown[]): unknown => {
          const call = (): unknown =>
            Reflect.apply(
              member,
              target,
              args.map((arg) => this.#lend(arg, writes)),
            )
          return writes.has(name) ? this.effects(name, async () => call()) : this.#receive(call())
        }
      },
    })
  }

  /** What the world is given to call back or to read from breaks off when the process dies. */
  #lend(value: unknown, writes: ReadonlySet<string>): unknown {
    if (typeof value === 'function') {
      return (...inner: readonly unknown[]): unknown => {
        const own = inner.map((each) => this.#guardInner(each, writes))
        return Promise.race([this.#untilDeath, Promise.resolve(Reflect.apply(value, undefined, own))])
      }
    }
    if (value instanceof Readable) {
      value.on('error', () => undefined)
      void this.died.then(() => value.destroy(new Error('the process died')))
      return value
    }
    if (Array.isArray(value)) return value.map((each) => this.#lend(each, writes))
    if (isAsyncIterable(value)) return this.#breakable(value)
    const held = typeof value === 'object' && value !== null ? Object.entries(value) : []
    if (!held.some(([, each]) => isAsyncIterable(each))) return value
    return Object.fromEntries(held.map(([name, each]) => [name, this.#lend(each, writes)]))
  }

  #guardInner(value: unknown, writes: ReadonlySet<string>): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#guardInner(each, writes))
    return typeof value === 'object' && value !== null ? this.guard(value, writes) : value
  }

  async *#breakable<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = source[Symbol.asyncIterator]()
    for (;;) {
      const next = await Promise.race([this.#untilDeath, iterator.next()])
      if (next.done === true) return
      yield next.value
    }
  }

  /** What the process gets from the world; nothing once it is dead. */
  #receive(value: unknown): unknown {
    if (value instanceof Promise) return value.finally(() => this.#silence())
    if (isAsyncIterable(value) && !(value instanceof Readable)) return this.#heard(value)
    return value
  }

  async *#heard<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    await this.#silence()
    for await (const item of source) {
      await this.#silence()
      yield item
    }
  }

  async #silence(): Promise<void> {
    if (this.#dead) await forever
  }
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value
