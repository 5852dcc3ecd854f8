import { setImmediate as nextTurn, setTimeout as realDelay } from 'node:timers/promises'
import type { Clock } from '../../src/base/clock.ts'

interface Sleeper {
  readonly at: number
  readonly order: number
  wake(): void
}

/** How many turns of the event loop must pass without pending file work before the world counts as idle. */
const QUIET_TURNS = 4

/**
 * Virtual time. Sleepers wake in the order of their times (ties: in the order they went to sleep), one by one: the next one only
 * when all that the last one set off has come to rest. With `automatic` (the default) time moves by itself as soon as everything
 * else is idle, so hours of watching take milliseconds; otherwise only `advance` moves it.
 */
export class FakeClock implements Clock {
  #now: number
  #order = 0
  #moving = false
  #stopped = false
  readonly #automatic: boolean
  readonly #unseenWork: boolean
  readonly #sleepers = new Set<Sleeper>()

  /** `unseenWork`: whether something may be at work in the thread pool that nobody can see (`atRest`); true when absent. */
  constructor(
    start = Date.UTC(2009, 7, 26, 3, 30),
    options: { readonly automatic?: boolean; readonly unseenWork?: boolean } = {},
  ) {
    this.#now = start
    this.#automatic = options.automatic ?? true
    this.#unseenWork = options.unseenWork ?? true
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  /** Never to move again, and to wake nobody: the clock of a process that is dead. */
  stop(): void {
    this.#stopped = true
    this.#sleepers.clear()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      if (this.#stopped) return
      this.#order += 1
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const sleeper: Sleeper = {
        at: this.#now + Math.max(0, ms),
        order: this.#order,
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.add(sleeper)
      if (this.#automatic && !this.#moving) void this.#moveWhileIdle()
    })
  }

  /** Moves time on by `ms`, waking everyone whose time comes meanwhile, each after the one before has come to rest. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms
    for (let next = this.#next(); next !== undefined && next.at <= target; next = this.#next()) {
      this.#now = Math.max(this.#now, next.at)
      next.wake()
      await atRest()
    }
    this.#now = target
    await atRest()
  }

  get sleeping(): number {
    return this.#sleepers.size
  }

  async #moveWhileIdle(): Promise<void> {
    this.#moving = true
    try {
      for (;;) {
        await (this.#unseenWork ? atRest() : quiet())
        const next = this.#next()
        if (next === undefined || this.#stopped) return
        this.#now = Math.max(this.#now, next.at)
        next.wake()
      }
    } finally {
      this.#moving = false
    }
  }

  #next(): Sleeper | undefined {
    let first: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      if (first === undefined || sleeper.at < first.at || (sleeper.at === first.at && sleeper.order < first.order))
        first = sleeper
    }
    return first
  }
}

/** A wall clock that somebody sets meanwhile. */
export class JumpingClock extends FakeClock {
  #ahead = 0

  set(byMs: number): void {
    this.#ahead += byMs
  }

  override now(): number {
    return super.now() + this.#ahead
  }
}

/** Real work that is on its way to the thread pool or a server, during which virtual time must stand still. */
const REAL_WORK = /^(FSReq|CloseReq|GetAddrInfo|GetNameInfo|ProcessWrap|ShutdownWrap|WriteWrap|TCPConnectWrap|PipeConnectWrap)/

const busy = (): boolean => process.getActiveResourcesInfo().some((resource) => REAL_WORK.test(resource))

/** Resolves once nothing but sleepers is left: no file work, no callbacks waiting for their turn. */
export async function atRest(): Promise<void> {
  await quiet()
  // Compression and hashing in the thread pool aren't listed as resources: leave them a moment of real time.
  await realDelay(1)
  if (busy()) await atRest()
}

/** As far as it can be seen. */
async function quiet(): Promise<void> {
  let turns = 0
  while (turns < QUIET_TURNS) {
    await nextTurn()
    turns = busy() ? 0 : turns + 1
  }
}
