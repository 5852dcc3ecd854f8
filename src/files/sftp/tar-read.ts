import { systemClock } from '../../base/clock.ts'
import type { FileEntry } from '../port.ts'
import { nameBytes, nameFrom } from '../raw-names.ts'
import { Beside } from './beside.ts'
import { type Command, startCommand } from './command.ts'
import type { Login } from './connection.ts'
import type { Lease, SftpPool } from './pool.ts'
import { FILLER, isFiller, RECORD_BLOCKS, tarCommand } from './tar-command.ts'
import { type Found, TarMembers } from './tar-members.ts'
import { WantedInOrder } from './wanted.ts'

/** Larger files are read by themselves. */
export const SMALL_BYTES = 128 * 1024
/** So many small files must be wanted at once before a command is worth it. */
const WORTH = 24
/** Of one command, asked for and not yet here: files, and bytes. More wait for their turn, or go through another one. */
const MOST_FILES = 2048
const MOST_BYTES = 16 * 1024 * 1024
/** Wanted of one command before another connection's is begun beside it. */
const BUSY_FILES = 96
/** Looked at so often. After so long without a further name it is given what fills its record: it holds back what it has until then. */
const LOOK_MS = 20
/** A command that gives nothing for so long, while something is wanted of it, hangs. */
const HANGS_MS = 10_000
/** One that nothing is wanted of for so long is told to end. */
const IDLE_MS = 3000
/**
 * Reads many small files through `tar` on hosts that let the account run commands. Whatever doesn't come this way (`undefined`) is
 * to be read otherwise, which also tells what is wrong with it.
 */
export class TarReads {
  readonly #pool: SftpPool
  readonly #most: number
  readonly #isUsable: () => boolean | Promise<boolean>
  readonly #refused: (said: string) => void
  readonly #streams: TarStream[] = []
  #waiting = 0
  readonly #beside: Beside
  #isOff = false
  #wasUseful = false

  /** `refused`: is told, once, what the host's tar said when it could not be used after all. */
  constructor(pool: SftpPool, connections: number, isUsable: () => boolean | Promise<boolean>, refused: (said: string) => void) {
    this.#pool = pool
    this.#beside = new Beside(() => pool.loginMs)
    this.#most = connections
    this.#isUsable = isUsable
    this.#refused = refused
  }

  /** `root`: absolute, on the host. `otherwise`: another way to read it. How many are wanted at this moment is counted over both. */
  read<T>(root: string, path: string, entry: FileEntry, otherwise: () => Promise<T>): Promise<Buffer | T> {
    const stream = this.#streams.length > 0 && this.#isUsable() === true ? this.#stream(root) : undefined
    if (stream === undefined) return this.#readLater(root, path, entry, otherwise)
    this.#waiting += 1
    return stream.read(path, entry.size).then<Buffer | T>((bytes) => {
      this.#waiting -= 1
      return bytes?.length === entry.size ? bytes : this.#otherwise(otherwise)
    })
  }

  async #readLater<T>(root: string, path: string, entry: FileEntry, otherwise: () => Promise<T>): Promise<Buffer | T> {
    this.#waiting += 1
    try {
      const stream = await this.#streamFor(root)
      const bytes = await stream?.read(path, entry.size)
      return bytes?.length === entry.size ? bytes : await this.#beside.run(otherwise)
    } finally {
      this.#waiting -= 1
    }
  }

  #otherwise<T>(otherwise: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    return this.#beside.run(otherwise).finally(() => {
      this.#waiting -= 1
    })
  }

  /** Begins what takes a while to begin: many files are about to be read. */
  prepare(root: string): void {
    if (!this.#isOff && this.#streams.length === 0) this.#begin(root)
  }

  async #streamFor(root: string): Promise<TarStream | undefined> {
    for (;;) {
      const isMany = this.#waiting >= WORTH || this.#streams.length > 0
      if (!isMany || this.#isOff) return undefined
      const usable = this.#isUsable()
      if (usable === false) return undefined
      const stream = usable === true ? this.#stream(root) : undefined
      const awaited = usable === true ? this.#streams.find((each) => !each.isUseful)?.shown : usable
      if (stream !== undefined || awaited === undefined || (await this.#beside.mayGo(awaited))) return stream
    }
  }

  close(): void {
    this.#isOff = true
    this.#beside.close()
    for (const stream of this.#streams) stream.stop()
  }

  /** The one with least to do that takes more; another one where all are busy; `undefined` when none can be had at once. */
  #stream(root: string): TarStream | undefined {
    if (this.#isOff) return undefined
    let best: TarStream | undefined
    for (const stream of this.#streams) {
      if (!stream.takesMore() || !stream.isUseful) continue
      if (best === undefined || stream.wanted < best.wanted) best = stream
    }
    if (best !== undefined && (best.wanted < BUSY_FILES || this.#streams.length >= this.#most)) return best
    const isProven = this.#wasUseful || this.#streams.length === 0 || this.#streams.some((stream) => stream.isUseful)
    const isStarting = this.#streams.some((stream) => !stream.isUseful)
    if (this.#streams.length < this.#most && isProven && !isStarting) this.#begin(root)
    return best
  }

  #begin(root: string): TarStream {
    // As long as it isn't known, the folder may not be there.
    const isKnown = this.#isUsable() === true
    const stream = new TarStream(this.#pool, tarCommand(root))
    this.#streams.push(stream)
    void stream.ended.then((wasUseful) => {
      this.#streams.splice(this.#streams.indexOf(stream), 1)
      this.#wasUseful ||= wasUseful
      if (this.#wasUseful || this.#isOff || !isKnown || stream.wasCut) return
      this.#isOff = true
      this.#refused(stream.said())
    })
    return stream
  }
}

/** No path of a site is so. */
const fillingName = (number: number): string => `./${number}`

/** One `tar` at work. Members come in the order in which they were asked for; what it can't read is left out. */
class TarStream {
  /** Resolves when it is over, with whether it gave anything. Never rejects. */
  readonly ended: Promise<boolean>
  /** Resolves when it has given something, or is over. */
  readonly shown: Promise<void>
  readonly #pool: SftpPool
  readonly #queue = new WantedInOrder()
  readonly #over = new AbortController()
  #command: Command | undefined
  #names: string[] = []
  #lease: Lease<Login> | undefined
  #isClosing = false
  #isUseful = false
  #active = true
  #flushing = false
  /** Names that it was given since it was last looked at; and since its record was filled. */
  #isFed = false
  #isUnfilled = false
  #fillings = 0
  #fillersSeen = 0
  #show: () => void = () => undefined

  constructor(pool: SftpPool, command: string) {
    this.#pool = pool
    this.shown = new Promise((resolve) => {
      this.#show = resolve
    })
    this.ended = this.#run(command)
      .catch(() => undefined)
      .then(async () => {
        // What is said of the connection comes after what is said of the command.
        await new Promise((resolve) => setImmediate(resolve))
        this.#show()
        return this.#isUseful
      })
  }

  /** The end of what it said on its error output. */
  said(): string {
    return this.#command?.said() ?? ''
  }

  get isUseful(): boolean {
    return this.#isUseful
  }

  /** Its connection broke, or there was none: nothing is said against tar then. */
  get wasCut(): boolean {
    return this.#lease?.connection.isLost ?? true
  }

  get wanted(): number {
    return this.#queue.size
  }

  takesMore(): boolean {
    return !this.#isClosing && this.#queue.size < MOST_FILES && this.#queue.bytes < MOST_BYTES
  }

  read(path: string, size: number): Promise<Buffer | undefined> {
    if (this.#queue.has(path)) return Promise.resolve(undefined)
    return new Promise((settle) => {
      this.#queue.add({ name: path, size, settle })
      this.#names.push(path)
      if (this.#flushing) return
      this.#flushing = true
      setImmediate(() => this.#flush())
    })
  }

  stop(): void {
    this.#isClosing = true
    this.#over.abort()
    this.#command?.channel.close()
  }

  async #run(command: string): Promise<void> {
    try {
      this.#lease = await this.#pool.leaseForProgram()
      const members = new TarMembers(SMALL_BYTES, (member) => this.#found(member))
      this.#command = await startCommand(this.#lease.connection, command, (bytes) => this.#take(members, bytes))
      if (this.#isClosing) this.#command.channel.close()
      this.#flush()
      // Before anything is wanted of it, it shows that it works: it gives a record when it has more than that.
      for (let records = 0; records < 2; records += 1) this.#fill()
      void this.#watch().catch(() => undefined)
      await this.#command.ended
    } finally {
      this.#lease?.release()
      this.#isClosing = true
      this.#over.abort()
      for (let left = this.#queue.next(); left !== undefined; left = this.#queue.next()) left.settle(undefined)
    }
  }

  #take(members: TarMembers, bytes: Buffer): void {
    this.#active = true
    try {
      members.push(bytes)
    } catch {
      // Something else than tar answers: all is read otherwise.
      this.stop()
    }
  }

  #flush(): void {
    this.#flushing = false
    if (this.#command === undefined || this.#isClosing || this.#names.length === 0) return
    this.#command.channel.write(nameBytes(`${this.#names.join('\0')}\0`))
    this.#names = []
    this.#isFed = true
    this.#isUnfilled = true
  }

  /** What was asked for and hasn't come when this comes can't be read. */
  #fill(): void {
    this.#isUnfilled = false
    const name = fillingName(this.#fillings)
    this.#fillings += 1
    this.#queue.add({ name, size: 0, settle: () => undefined })
    this.#command?.channel.write(FILLER)
  }

  /** Those that were asked for before it and didn't come can't be read. */
  #found({ name, bytes }: Found): void {
    const path = isFiller(name) ? this.#nextFilling() : nameFrom(name)
    if (!this.#queue.has(path)) return
    this.#isUseful ||= bytes !== null || isFiller(name)
    if (this.#isUseful) this.#show()
    for (let wanted = this.#queue.next(); wanted !== undefined; wanted = this.#queue.next()) {
      if (wanted.name !== path) {
        wanted.settle(undefined)
        continue
      }
      wanted.settle(bytes ?? undefined)
      return
    }
  }

  /** The filling that a filler is the first of; of the others, which come with later records, nothing is waited for. */
  #nextFilling(): string {
    const seen = this.#fillersSeen
    this.#fillersSeen += 1
    return seen % RECORD_BLOCKS === 0 ? fillingName(seen / RECORD_BLOCKS) : ''
  }

  async #watch(): Promise<void> {
    for (let quietMs = 0; ; quietMs += LOOK_MS) {
      await systemClock.sleep(LOOK_MS, this.#over.signal)
      if (this.#active || this.#isFed) quietMs = 0
      if (!this.#isFed && this.#isUnfilled && !this.#isClosing) this.#fill()
      this.#active = false
      this.#isFed = false
      const isIdle = this.#queue.size === 0 && !this.#isClosing
      if (quietMs < (isIdle ? IDLE_MS : HANGS_MS)) continue
      if (!isIdle) return this.stop()
      this.#isClosing = true
      this.#command?.channel.end()
      quietMs = 0
    }
  }
}
