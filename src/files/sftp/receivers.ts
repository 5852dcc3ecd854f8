import { Beside } from './beside.ts'
import type { SftpPool } from './pool.ts'
import { type Received, Receiver } from './receiver.ts'

/** So many small files must be on their way at once before a program is worth it. */
const WORTH = 24
/** Unanswered of one program before another one is begun beside it: OpenSSH takes in 2 MiB at most for each before it must be told to go on. */
const BUSY_BYTES = 512 * 1024

/** What comes of a file, and its other ways. */
interface Otherwise<T> {
  /** Said of one that was received. */
  readonly written: T
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
  readonly #beside = new Beside()
  #waiting = 0
  #isOff = false

  constructor(pool: SftpPool, connections: number, isUsable: () => boolean | Promise<boolean>) {
    this.#pool = pool
    this.#most = connections
    this.#isUsable = isUsable
  }

  /** Begins what takes a while to begin, also before it is known whether it may be used; resolves with whether there is such a program. */
  async prepare(root: string): Promise<boolean> {
    if (this.#isOff) return false
    const lane = this.#lanes[0] ?? this.#begin(root)
    await lane.shown
    return lane.isReady
  }

  /**
   * `root`: absolute, on the host. `ready`: sees to it that the file's folder is there, and within the root; `null`: it is known to be.
   */
  write<T>(root: string, file: Received, ready: (() => Promise<void>) | null, otherwise: Otherwise<T>): Promise<T> {
    const lane = ready === null && !this.#isOff && this.#isUsable() === true ? this.#shownLane(root) : undefined
    if (lane === undefined) return this.#writeLater(root, file, ready, otherwise)
    this.#waiting += 1
    return lane.receive(file).then((isThere) => {
      this.#waiting -= 1
      return isThere ? otherwise.written : otherwise.oneByOne()
    })
  }

  async #writeLater<T>(root: string, file: Received, ready: (() => Promise<void>) | null, otherwise: Otherwise<T>): Promise<T> {
    this.#waiting += 1
    try {
      const lane = await this.#laneFor(root)
      if (lane === 'none') return await otherwise.without()
      if (lane === undefined) return await this.#beside.run(otherwise.oneByOne)
      const isThere = await Promise.resolve(ready?.()).then(
        () => lane.receive(file),
        () => false,
      )
      return isThere ? otherwise.written : await otherwise.oneByOne()
    } finally {
      this.#waiting -= 1
    }
  }

  /** One that is known to be there, as long as there is one. */
  #shownLane(root: string): Receiver | undefined {
    if (this.#lanes.length === 0) return undefined
    const lane = this.#lane(root)
    return lane.isReady ? lane : undefined
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
      if (lane?.isReady) return lane
      // Some go another way meanwhile, the others wait.
      if (!this.#beside.isFull) return undefined
      await this.#beside.placeOr(lane?.shown ?? Promise.resolve(usable))
    }
  }

  /** The one with least to do; another one where all are busy. */
  #lane(root: string): Receiver {
    let best: Receiver | undefined
    let isStarting = false
    for (const lane of this.#lanes) {
      if (!lane.isReady) isStarting = true
      else if (best === undefined || lane.unansweredBytes < best.unansweredBytes) best = lane
    }
    best ??= this.#lanes[0]
    if (best === undefined) return this.#begin(root)
    if (best.unansweredBytes >= BUSY_BYTES && this.#lanes.length < this.#most && !isStarting) this.#begin(root)
    return best
  }

  #begin(root: string): Receiver {
    // As long as it isn't known, the folder may not be there.
    const isKnown = this.#isUsable() === true
    const lane = new Receiver(this.#pool, root)
    this.#lanes.push(lane)
    void lane.ended.then(({ isRefused }) => {
      this.#lanes.splice(this.#lanes.indexOf(lane), 1)
      this.#isOff ||= isRefused && isKnown
    })
    return lane
  }
}
