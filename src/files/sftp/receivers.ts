import { Beside } from './beside.ts'
import type { SftpPool } from './pool.ts'
import { type Received, Receiver } from './receiver.ts'

/** So many small files must be on their way at once before a program is worth it. */
const WORTH = 24
/** Unanswered of one program before another one is begun beside it: OpenSSH takes in 2 MiB at most for each before it must be told to go on. */
const BUSY_BYTES = 1024 * 1024
/** Given to one at most and not answered: on a long way the others, as soon as they are there, are to have their share. */
const MOST_BYTES = 4 * 1024 * 1024

/** The other ways of a file. */
export interface Otherwise<T> {
  /** By itself; also tells what is wrong with it. */
  readonly oneByOne: () => Promise<T>
  /** On hosts without the program. */
  readonly without: () => Promise<T>
}

/**
 * Writes many small files through a program on hosts that have Perl: a file costs nothing but its own bytes, however long the way. What isn't
 * received so is written otherwise.
 */
export class Receivers {
  readonly #pool: SftpPool
  readonly #most: number
  readonly #isUsable: () => boolean | Promise<boolean>
  readonly #lanes: Receiver[] = []
  readonly #beside: Beside
  #waiting = 0
  /** Bytes that may be given, and what waits for its turn. */
  #admitted = 0
  readonly #queue: { readonly bytes: number; begin(): void }[] = []
  #isOff = false

  constructor(pool: SftpPool, connections: number, isUsable: () => boolean | Promise<boolean>) {
    this.#pool = pool
    this.#beside = new Beside(() => pool.loginMs)
    this.#most = connections
    this.#isUsable = isUsable
  }

  /**
   * Begins what takes a while to begin, also before it is known whether it may be used; resolves with whether there is such a program. `bytes`:
   * about so many are to be written.
   */
  async prepare(root: string, bytes: number): Promise<boolean> {
    if (this.#isOff) return false
    const lane = this.#lanes[0] ?? this.#begin(root)
    const wanted = Math.min(this.#most, Math.ceil(bytes / MOST_BYTES))
    while (this.#lanes.length < wanted) this.#begin(root)
    await lane.shown
    return lane.isReady
  }

  /**
   * `root`: absolute, on the host. `ready`: sees to it that the file's folder is there, and within the root. Resolves with `undefined` when the file
   * stands under its name.
   */
  async write<T>(root: string, file: Received, ready: () => Promise<void>, otherwise: Otherwise<T>): Promise<T | undefined> {
    const { length } = file.bytes
    this.#waiting += 1
    await this.#turn(length)
    try {
      const lane = await this.#laneFor(root)
      if (lane === 'none') return await otherwise.without()
      if (lane === undefined) return await this.#beside.run(otherwise.oneByOne)
      const isThere = await ready().then(
        () => lane.receive(file),
        () => false,
      )
      return isThere ? undefined : await otherwise.oneByOne()
    } finally {
      this.#waiting -= 1
      this.#admitted -= length
      this.#admit()
    }
  }

  /** Brings what was written to the host's disk, where a program is there already; false when that couldn't be done so. */
  async sync(): Promise<boolean> {
    const lane = this.#lanes.find(({ isReady }) => isReady)
    return lane !== undefined && (await lane.sync())
  }

  /** The host's programs can't be used. */
  stop(): void {
    this.#isOff = true
    this.#beside.close()
    for (const lane of this.#lanes) lane.stop()
  }

  async close(): Promise<void> {
    this.#isOff = true
    this.#beside.close()
    for (const lane of this.#lanes) lane.end()
    await Promise.all(this.#lanes.map((lane) => lane.ended))
  }

  /** `undefined`: not now, or not for so few; `none`: this host has no such program. */
  async #laneFor(root: string): Promise<Receiver | 'none' | undefined> {
    for (;;) {
      if (this.#isOff) return 'none'
      if (this.#waiting < WORTH && this.#lanes.length === 0) return undefined
      const usable = this.#isUsable()
      if (usable === false) return undefined
      const lane = usable === true ? this.#lane(root) : undefined
      if (lane?.isReady) return lane
      // Some go another way meanwhile, the others wait.
      if (await this.#beside.mayGo(lane?.shown ?? Promise.resolve(usable))) return undefined
    }
  }

  #turn(bytes: number): Promise<void> {
    const turn = new Promise<void>((begin) => this.#queue.push({ bytes, begin }))
    this.#admit()
    return turn
  }

  readonly #admit = (): void => {
    const ready = this.#lanes.filter((lane) => lane.isReady).length
    const most = this.#lanes.length === 0 ? Number.POSITIVE_INFINITY : MOST_BYTES * Math.max(1, ready)
    while (this.#admitted < most) {
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#admitted += next.bytes
      next.begin()
    }
  }

  /** The one with least to do; others, begun side by side, where there is enough to do for them. */
  #lane(root: string): Receiver {
    const ready = this.#lanes.filter((lane) => lane.isReady)
    const best = ready.toSorted((a, b) => a.unansweredBytes - b.unansweredBytes)[0] ?? this.#lanes[0]
    if (best === undefined) return this.#begin(root)
    const unanswered = ready.reduce((sum, lane) => sum + lane.unansweredBytes, 0)
    if (unanswered >= BUSY_BYTES * this.#lanes.length && this.#lanes.length < this.#most) this.#begin(root)
    return best
  }

  #begin(root: string): Receiver {
    // As long as it isn't known, the folder may not be there.
    const isKnown = this.#isUsable() === true
    const lane = new Receiver(this.#pool, root)
    this.#lanes.push(lane)
    void lane.shown.then(this.#admit)
    void lane.ended.then(({ isRefused }) => {
      this.#lanes.splice(this.#lanes.indexOf(lane), 1)
      this.#isOff ||= isRefused && isKnown
      this.#admit()
    })
    return lane
  }
}
