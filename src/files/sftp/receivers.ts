import { type Adrift, isAway } from '../adrift.ts'
import { Beside } from './beside.ts'
import type { SftpPool } from './pool.ts'
import { type Received, Receiver } from './receiver.ts'

/** So many small files must be on their way at once before a program is worth it. */
const WORTH = 24
/** Unanswered of one program before another one is begun beside it: OpenSSH takes in 2 MiB at most for each before it must be told to go on. */
const BUSY_BYTES = 512 * 1024
/** Given to one at most and not answered: on a long way the others, as soon as they are there, are to have their share. */
const MOST_BYTES = 4 * 1024 * 1024

/** What comes of a file, and its other ways. */
interface Ways<T> {
  /** Said of one that was received. */
  readonly written: T
  /** Its folder is known to be there, and within the root. */
  readonly isReady: boolean
  /** Sees to it that it is. */
  readonly ready: () => Promise<void>
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
  readonly #beside: Beside
  /** Those whose folder is being made. */
  readonly #entering = new Map<Receiver, Promise<void>>()
  /** None is to have a folder until there is something for it. */
  #isResting = false
  #waiting = 0
  /** Bytes that may be given, and what waits for its turn. */
  #admitted = 0
  readonly #queue: { readonly bytes: number; begin(): void }[] = []
  #isOff = false

  constructor(pool: SftpPool, connections: number, isUsable: () => boolean | Promise<boolean>, adrift: Adrift) {
    this.#pool = pool
    this.#beside = new Beside(() => pool.loginMs)
    this.#most = connections
    this.#isUsable = isUsable
    this.#adrift = adrift
  }

  /**
   * Begins what takes a while to begin, also before it is known whether it may be used; resolves with whether there is such a program. `bytes`:
   * about so many are to be written.
   */
  async prepare(root: string, bytes: number): Promise<boolean> {
    if (this.#isOff) return false
    this.#isResting = false
    return await this.prepareOn(root, bytes)
  }

  /** The same once more, now that it is known whether it may be used. Where all was written meanwhile (`sweep`), no program has a folder made. */
  async prepareOn(root: string, bytes: number): Promise<boolean> {
    if (this.#isOff || this.#isResting) return !this.#isOff
    const lane = this.#beginFor(root, bytes)
    for (const each of this.#lanes) if (each.isReady && this.#isUsable() === true) void this.#enter(each)
    await lane.shown
    if (lane.isReady && !this.#isResting && this.#isUsable() === true) await this.#enter(lane)
    return lane.isReady && !this.#isOff
  }

  /** The same where perhaps nothing is to be written: the programs are begun, and none of them has a folder there yet. */
  prepareToWait(root: string, bytes: number): void {
    if (this.#isOff || this.#lanes.length > 0) return
    this.#isResting = true
    this.#beginFor(root, bytes)
  }

  /** Gives the first of the programs. */
  #beginFor(root: string, bytes: number): Receiver {
    const lane = this.#lanes[0] ?? this.#begin(root)
    const wanted = Math.min(this.#most, Math.ceil(bytes / MOST_BYTES))
    while (this.#lanes.length < wanted) this.#begin(root)
    return lane
  }

  /** `root`: absolute, on the host. Nothing is waited for that needn't be: there are very many files. */
  write<T>(root: string, file: Received, ways: Ways<T>): Promise<T> {
    const { length } = file.bytes
    const lane = ways.isReady ? this.#laneNow(root) : undefined
    if (lane === undefined) return this.#writeInTurn(root, file, ways)
    this.#waiting += 1
    this.#admitted += length
    return lane.receive(file).then((isThere) => {
      this.#over(length)
      return isThere ? ways.written : this.#otherwise(lane, ways)
    })
  }

  async #writeInTurn<T>(root: string, file: Received, ways: Ways<T>): Promise<T> {
    const { length } = file.bytes
    this.#waiting += 1
    await this.#turn(length)
    try {
      const lane = await this.#laneFor(root)
      if (lane === 'none') return await ways.without()
      if (lane === undefined) return await this.#beside.run(ways.oneByOne)
      const isThere = await ways.ready().then(
        () => lane.receive(file),
        () => false,
      )
      return isThere ? ways.written : await this.#otherwise(lane, ways)
    } finally {
      this.#over(length)
    }
  }

  #over(bytes: number): void {
    this.#waiting -= 1
    this.#admitted -= bytes
    this.#admit()
  }

  /** What the program may have in hand still must not get the file's name after it was written otherwise. */
  async #otherwise<T>(lane: Receiver, ways: Ways<T>): Promise<T> {
    if (lane.isOver) await lane.ended
    await this.#adrift.settle()
    return ways.oneByOne()
  }

  /** One that can be given files at once. */
  #laneNow(root: string): Receiver | undefined {
    if (this.#isOff || this.#lanes.length === 0 || this.#queue.length > 0 || this.#admitted >= this.#mostAdmitted())
      return undefined
    const lane = this.#isUsable() === true ? this.#lane(root) : undefined
    return lane?.isInside ? lane : undefined
  }

  /** Returns when none of the programs has a folder there any more, until it is given a file again. */
  async sweep(): Promise<void> {
    this.#isResting = true
    await Promise.all(this.#lanes.map((lane) => Promise.resolve(this.#entering.get(lane)).then(() => lane.rest())))
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
    await Promise.all(
      this.#lanes.map(async (lane) => {
        await this.#entering.get(lane)
        lane.end()
        await lane.ended
      }),
    )
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
      const begun = lane?.isReady ? this.#enter(lane) : lane?.shown
      if (await this.#beside.mayGo(begun ?? Promise.resolve(usable))) return undefined
    }
  }

  #turn(bytes: number): Promise<void> {
    const turn = new Promise<void>((begin) => this.#queue.push({ bytes, begin }))
    this.#admit()
    return turn
  }

  readonly #admit = (): void => {
    if (this.#queue.length === 0) return
    while (this.#admitted < this.#mostAdmitted()) {
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#admitted += next.bytes
      next.begin()
    }
  }

  #mostAdmitted(): number {
    if (this.#lanes.length === 0) return Number.POSITIVE_INFINITY
    let inside = 0
    for (const lane of this.#lanes) if (lane.isInside) inside += 1
    return MOST_BYTES * Math.max(1, inside)
  }

  /**
   * Never rejects. Where no folder can be made for it, the program can't be used; as long as it isn't known whether it can, the root may not be
   * there, and it is tried again.
   */
  #enter(lane: Receiver): Promise<void> {
    const under = this.#entering.get(lane)
    if (under !== undefined || lane.isInside) return under ?? Promise.resolve()
    const isKnown = this.#isUsable() === true
    const entering = lane
      .enter(() => this.#adrift.make(lane.lane))
      .catch((error: unknown) => {
        if (isAway(error)) lane.stop()
        else if (isKnown) this.stop()
      })
      .finally(() => {
        this.#entering.delete(lane)
        this.#admit()
      })
    this.#entering.set(lane, entering)
    return entering
  }

  /** The one with least to do; others, begun side by side, where there is enough to do for them. */
  #lane(root: string): Receiver {
    this.#isResting = false
    let best: Receiver | undefined
    let unanswered = 0
    for (const lane of this.#lanes) {
      if (lane.isInside) {
        unanswered += lane.unansweredBytes
        if (best === undefined || lane.unansweredBytes < best.unansweredBytes) best = lane
      } else if (lane.isReady) void this.#enter(lane)
    }
    best ??= this.#lanes[0]
    if (best === undefined) return this.#begin(root)
    if (unanswered >= BUSY_BYTES * this.#lanes.length && this.#lanes.length < this.#most) this.#begin(root)
    return best
  }

  #begin(root: string): Receiver {
    // As long as it isn't known, the folder may not be there.
    const isKnown = this.#isUsable() === true
    const lane = new Receiver(this.#pool, root, this.#adrift.newLane())
    this.#lanes.push(lane)
    // Its folder is asked for beside what is waited for anyway: the program, or whether it can be used.
    if (isKnown && !this.#isResting) void this.#enter(lane)
    else void lane.shown.then(() => (lane.isReady && !this.#isOff && !this.#isResting ? this.#enter(lane) : undefined))
    void lane.ended.then(({ isRefused, hasEnded }) => {
      this.#hasEnded(lane, hasEnded)
      this.#lanes.splice(this.#lanes.indexOf(lane), 1)
      this.#isOff ||= isRefused && isKnown
      this.#admit()
    })
    return lane
  }

  /** One that has ended by itself has removed its folder; no other one may be left with it. */
  #hasEnded(lane: Receiver, byItself: boolean): void {
    const isLeft = lane.hadFolder && !(byItself && lane.isReady)
    const entering = this.#entering.get(lane)
    if (isLeft) this.#adrift.lost(lane.lane, lane.inHand)
    else if (entering === undefined) this.#adrift.ended(lane.lane)
    // It may have been made after that.
    void entering?.then(() => this.#adrift.lost(lane.lane, new Set()))
  }
}
