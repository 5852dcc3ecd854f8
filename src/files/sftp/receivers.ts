import { type Adrift, isAway } from './adrift.ts'
import { Beside } from './beside.ts'
import type { SftpPool } from './pool.ts'
import { type Received, Receiver } from './receiver.ts'

/** So many small files must be on their way at once before a program is worth it. */
const WORTH = 24
/** Unanswered of one program before another one is begun beside it: OpenSSH takes in 2 MiB at most for each before it must be told to go on. */
const BUSY_BYTES = 1024 * 1024

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
  readonly #adrift: Adrift
  readonly #lanes: Receiver[] = []
  readonly #beside = new Beside()
  #waiting = 0
  #isOff = false

  constructor(pool: SftpPool, connections: number, isUsable: () => boolean | Promise<boolean>, adrift: Adrift) {
    this.#pool = pool
    this.#most = connections
    this.#isUsable = isUsable
    this.#adrift = adrift
  }

  /** Begins what takes a while to begin, also before it is known whether it may be used; resolves with whether there is such a program. */
  async prepare(root: string): Promise<boolean> {
    if (this.#isOff) return false
    const lane = this.#lanes[0] ?? this.#begin(root)
    await lane.shown
    if (lane.isReady && this.#isUsable() === true) await this.#enter(lane)
    return lane.isReady && !this.#isOff
  }

  /**
   * `root`: absolute, on the host. `ready`: sees to it that the file's folder is there, and within the root. Resolves with `undefined` when the file
   * stands under its name.
   */
  async write<T>(root: string, file: Received, ready: () => Promise<void>, otherwise: Otherwise<T>): Promise<T | undefined> {
    this.#waiting += 1
    try {
      const lane = await this.#laneFor(root)
      if (lane === 'none') return await otherwise.without()
      if (lane === undefined) return await this.#beside.run(otherwise.oneByOne)
      const isThere = await ready().then(
        () => lane.receive(file),
        () => false,
      )
      if (isThere) return undefined
      // What it may have in hand still must not get the file's name after that.
      if (lane.isOver) await lane.ended
      await this.#adrift.settle()
      return await otherwise.oneByOne()
    } finally {
      this.#waiting -= 1
    }
  }

  /** Returns when none of the programs has a folder there any more, until it is given a file again. */
  async sweep(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.rest()))
  }

  /** The host's programs can't be used. */
  stop(): void {
    this.#isOff = true
    for (const lane of this.#lanes) lane.stop()
  }

  async close(): Promise<void> {
    this.#isOff = true
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
      if (lane?.isInside) return lane
      // Some go another way meanwhile, the others wait.
      if (!this.#beside.isFull) return undefined
      const begun = lane?.isReady ? this.#enter(lane) : lane?.shown
      await this.#beside.placeOr(begun ?? Promise.resolve(usable))
    }
  }

  /** Never rejects: where no folder can be made for it, the program can't be used. */
  #enter(lane: Receiver): Promise<void> {
    return lane.enter(() => this.#adrift.make(lane.lane)).catch((error: unknown) => (isAway(error) ? lane.stop() : this.stop()))
  }

  /** The one with least to do; another one where all are busy. */
  #lane(root: string): Receiver {
    const inside = this.#lanes.filter((lane) => lane.isInside)
    const best = inside.toSorted((a, b) => a.unansweredBytes - b.unansweredBytes)[0] ?? this.#lanes[0]
    if (best === undefined) return this.#begin(root)
    const isStarting = inside.length < this.#lanes.length
    if (isStarting) for (const lane of this.#lanes) if (lane.isReady && !lane.isInside) void this.#enter(lane)
    if (best.unansweredBytes >= BUSY_BYTES && this.#lanes.length < this.#most && !isStarting) this.#begin(root)
    return best
  }

  #begin(root: string): Receiver {
    // As long as it isn't known, the folder may not be there.
    const isKnown = this.#isUsable() === true
    const lane = new Receiver(this.#pool, root, this.#adrift.newLane())
    this.#lanes.push(lane)
    void lane.ended.then(({ isRefused, hasEnded }) => {
      if (lane.hadFolder && !hasEnded) this.#adrift.lost(lane.lane, lane.inHand)
      else this.#adrift.ended(lane.lane)
      this.#lanes.splice(this.#lanes.indexOf(lane), 1)
      this.#isOff ||= isRefused && isKnown
    })
    return lane
  }
}
