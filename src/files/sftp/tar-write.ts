import { randomBytes } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import { isUnpackedFolder } from '../paths.ts'
import { BLOCK, fileHeader, paddingOf } from '../tar.ts'
import { Beside } from './beside.ts'
import { namesIn } from './listing.ts'
import type { SftpPool } from './pool.ts'
import { TarLane } from './tar-lane.ts'

/** So many small files must be on their way at once before a command is worth it. */
const WORTH = 24
/** Of one archive: files, and bytes. */
const MOST_FILES = 256
const MOST_BYTES = 1024 * 1024
/** Unanswered of one lane before another connection's is begun beside it. */
const BUSY_BYTES = 512 * 1024
/** No more files are waited for when none came for so long. */
const QUIET_MS = 10
const SLAB = 64 * 1024
const ENDS_ARCHIVE = Buffer.alloc(2 * BLOCK)

interface Small {
  readonly bytes: Buffer
  readonly mode: number
  readonly mtimeSeconds: number
}

/**
 * Writes many small files through `tar` on hosts that let the account run commands: five requests for each file become one, a
 * rename. Whatever doesn't get there this way is written otherwise, which also tells what is wrong with it.
 */
export class TarWrites {
  readonly #pool: SftpPool
  readonly #most: number
  readonly #isUsable: () => boolean | Promise<boolean>
  readonly #refused: (said: string) => void
  #swept: Promise<void> | undefined
  /** Names of folders of this process's own, those that this one fills among them. */
  readonly #own: Set<string>
  readonly #lanes: TarLane[] = []
  #filling: Archive | undefined
  #waiting = 0
  readonly #beside: Beside
  #isOff = false
  #wasUseful = false
  #wasUsed = false
  readonly #running = new Set<Promise<void>>()

  /** `refused`: is told, once, what the host's programs said when they could not be used after all. `own`: folders in the root that are not to be swept. */
  constructor(
    pool: SftpPool,
    connections: number,
    isUsable: () => boolean | Promise<boolean>,
    refused: (said: string) => void,
    own: Set<string>,
  ) {
    this.#pool = pool
    this.#beside = new Beside(() => pool.loginMs)
    this.#most = connections
    this.#isUsable = isUsable
    this.#refused = refused
    this.#own = own
  }

  /** `root`: absolute, on the host. `otherwise`: another way. How many are on their way at this moment is counted over both. */
  async write<T>(root: string, file: Small, place: (from: string) => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    try {
      const unpacked = await this.#unpackIfMany(root, file)
      if (unpacked === undefined) return await this.#beside.run(otherwise)
      try {
        return await place(unpacked.path)
      } finally {
        unpacked.taken()
      }
    } finally {
      this.#waiting -= 1
    }
  }

  /** Begins what takes a while to begin: many files are about to be written. */
  async prepare(root: string): Promise<void> {
    if (this.#isOff) return
    if (this.#lanes.length === 0) this.#begin(root)
    await this.sweepOnce(root)
  }

  /** Waits for the folders that are under way now, and removes those that no one of this process fills. */
  async sweep(root: string): Promise<void> {
    this.#send(root)
    await Promise.all(this.#running)
    await this.sweepOnce(root)
    if (this.#wasUsed) await sweep(this.#pool, root, this.#own)
  }

  /** Waits until no folder of this one is left. */
  async close(): Promise<void> {
    this.#isOff = true
    this.#beside.close()
    this.#filling?.unpacked(false)
    this.#filling = undefined
    await Promise.all(this.#running)
    for (const lane of this.#lanes) lane.end()
    await Promise.all(this.#lanes.map((lane) => lane.ended))
  }

  /** Before the first folder of its own: removes what one that was killed left. */
  sweepOnce(root: string): Promise<void> {
    this.#swept ??= sweep(this.#pool, root, this.#own)
    return this.#swept
  }

  async #unpackIfMany(root: string, file: Small): Promise<Unpacked | undefined> {
    for (;;) {
      if (this.#waiting < WORTH || this.#isOff) return undefined
      const usable = this.#isUsable()
      if (usable === false) return undefined
      if (usable === true) await this.sweepOnce(root)
      // The first one shows whether it works: some others go another way meanwhile.
      const isShowing = !this.#wasUseful && this.#filling === undefined && this.#running.size > 0
      if (usable === true && !isShowing && !this.#isOff) return this.#unpack(root, file)
      if (await this.#beside.mayGo(usable === true ? Promise.race(this.#running) : usable)) return undefined
    }
  }

  async #unpack(root: string, file: Small): Promise<Unpacked | undefined> {
    if (this.#filling?.takes(file) === false) this.#send(root)
    const archive = this.#filling ?? new Archive(root)
    this.#own.add(archive.folder)
    const added = archive.add(file)
    if (this.#filling !== archive) {
      this.#filling = archive
      void this.#sendWhenQuiet(root, archive)
    }
    return added
  }

  async #sendWhenQuiet(root: string, archive: Archive): Promise<void> {
    for (let files = 0; files < archive.files && this.#filling === archive; ) {
      files = archive.files
      await systemClock.sleep(QUIET_MS)
    }
    if (this.#filling === archive) this.#send(root)
  }

  #send(root: string): void {
    const archive = this.#filling
    this.#filling = undefined
    if (archive === undefined) return
    this.#wasUsed = true
    const running = this.#carry(root, archive).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #carry(root: string, archive: Archive): Promise<void> {
    const isThere = await this.#lane(root).unpack(archive.folder, archive.whole())
    this.#wasUseful ||= isThere
    archive.unpacked(isThere)
    await archive.emptied
    await removeUnpacked(this.#pool, archive.path)
    this.#own.delete(archive.folder)
  }

  /** The one with least to do; another one where all are busy. */
  #lane(root: string): TarLane {
    const idle = this.#lanes.toSorted((a, b) => a.unansweredBytes - b.unansweredBytes)[0]
    const isEnough = this.#lanes.length >= this.#most || !this.#wasUseful
    if (idle !== undefined && (isEnough || idle.unansweredBytes < BUSY_BYTES)) return idle
    return this.#begin(root)
  }

  #begin(root: string): TarLane {
    const lane = new TarLane(this.#pool, root)
    this.#lanes.push(lane)
    void lane.ended.then(({ isRefused, said }) => {
      this.#lanes.splice(this.#lanes.indexOf(lane), 1)
      if (!isRefused || this.#isOff) return
      this.#isOff = true
      this.#refused(said)
    })
    return lane
  }
}

/** Removes what a run left that was killed while it unpacked. */
async function sweep(pool: SftpPool, root: string, own: ReadonlySet<string>): Promise<void> {
  const isLeft = (name: string): boolean => isUnpackedFolder(name) && !own.has(name)
  const left = await pool.use(({ channel }) => namesIn(channel, root, isLeft)).catch(() => [])
  for (const name of left) await removeUnpacked(pool, `${root === '/' ? '' : root}/${name}`)
}

/** What can't be removed does no harm, and is tried again at the next run. */
const removeUnpacked = (pool: SftpPool, folder: string): Promise<void> =>
  pool
    .use(async ({ channel }) => {
      // All of it was renamed, as a rule.
      const isGone = await channel.removeFolder(folder).then(
        () => true,
        () => false,
      )
      if (isGone) return
      for (const name of await namesIn(channel, folder, (each) => each !== '.' && each !== '..'))
        await channel.remove(`${folder}/${name}`)
      await channel.removeFolder(folder)
    })
    .catch(() => undefined)

/** Where a file stands, whole, with its mode and time, to be renamed from there. */
interface Unpacked {
  readonly path: string
  /** Call it once, when it was renamed or isn't wanted. The folder is removed after the last one. */
  taken(): void
}

/** Small files on their way together. */
class Archive {
  readonly folder = `.migrate-part-${randomBytes(6).toString('hex')}`
  /** Of the folder, on the host. */
  readonly path: string
  files = 0
  /** Resolves when every file was taken from its folder. */
  readonly emptied: Promise<void>
  readonly #isThere: Promise<boolean>
  readonly #slabs: Buffer[] = []
  #free: Buffer = Buffer.alloc(0)
  #bytes = 0
  #left = 0
  #tell: (isThere: boolean) => void = () => undefined
  #empty: () => void = () => undefined

  constructor(root: string) {
    this.path = `${root === '/' ? '' : root}/${this.folder}`
    this.#isThere = new Promise((resolve) => {
      this.#tell = resolve
    })
    this.emptied = new Promise((resolve) => {
      this.#empty = resolve
    })
  }

  takes({ bytes }: Small): boolean {
    return this.files < MOST_FILES && this.#bytes + bytes.length <= MOST_BYTES
  }

  async add({ bytes, mode, mtimeSeconds }: Small): Promise<Unpacked | undefined> {
    const name = `${this.files}`
    this.files += 1
    this.#left += 1
    this.#bytes += bytes.length
    this.#put(fileHeader(name, bytes.length, mode, mtimeSeconds))
    this.#put(bytes)
    this.#put(ENDS_ARCHIVE.subarray(0, paddingOf(bytes.length)))
    const isThere = await this.#isThere
    const taken = (): void => {
      this.#left -= 1
      if (this.#left === 0) this.#empty()
    }
    if (isThere) return { path: `${this.path}/${name}`, taken }
    taken()
    return undefined
  }

  /** Its bytes; nothing is added any more. */
  whole(): readonly Buffer[] {
    this.#put(ENDS_ARCHIVE)
    return this.#slabs.map((slab, index) =>
      index === this.#slabs.length - 1 ? slab.subarray(0, SLAB - this.#free.length) : slab,
    )
  }

  unpacked(isThere: boolean): void {
    this.#slabs.splice(0)
    this.#tell(isThere)
  }

  #put(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#free.length === 0) {
        this.#free = Buffer.allocUnsafeSlow(SLAB)
        this.#slabs.push(this.#free)
      }
      const taken = bytes.copy(this.#free, 0, at)
      this.#free = this.#free.subarray(taken)
      at += taken
    }
  }
}
