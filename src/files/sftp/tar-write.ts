import { randomBytes } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import { fileHeader, paddingOf } from '../tar.ts'
import type { SftpChannel } from './channel.ts'
import { type Command, shellWord, startCommand } from './command.ts'
import type { SftpPool } from './pool.ts'

/** So many small files must be on their way at once before a command is worth it. */
const WORTH = 24
/** Of one command: files, and bytes. */
const MOST_FILES = 512
const MOST_BYTES = 4 * 1024 * 1024
/** Commands under way, of each connection: one takes files in, another one's end is waited for. */
const PER_CONNECTION = 2
/** No more files are waited for when none came for so long. */
const QUIET_MS = 10
/** A command that doesn't end for so long after its input has ended hangs. */
const HANGS_MS = 30_000
const FLUSHED = 256 * 1024
const ENDS_ARCHIVE = Buffer.alloc(1024)

/** Folders in the root that files are unpacked into, before each is renamed to where it belongs. */
const UNPACKED = /^\.migrate-part-[0-9a-f]{12}$/

/**
 * Unpacks into a new folder that nobody else may look into: its `mkdir` fails where anything stands under that name. The files have numbers
 * for names, so nothing on the way can be a link, and the names of the site are never read by a shell.
 */
const command = (root: string, folder: string): string =>
  `cd -- ${shellWord(root)} && mkdir -m 700 ${folder} && LC_ALL=C exec tar --extract --file=- --directory=${folder} --same-permissions --no-same-owner`

interface Small {
  readonly bytes: Buffer
  readonly mode: number
  readonly mtimeSeconds: number
}

/**
 * Writes many small files through `tar` on hosts that let the account run commands: five requests for each file become one, a
 * rename. Whatever doesn't get there this way (`undefined`) is to be written otherwise, which also tells what is wrong with it.
 */
export class TarWrites {
  readonly #pool: SftpPool
  readonly #most: number
  readonly #isUsable: () => Promise<boolean>
  #swept: Promise<void> | undefined
  /** Names of the folders that this one fills. */
  readonly #own = new Set<string>()
  #filling: Unpacking | undefined
  #under = 0
  #waiting = 0
  #isOff = false
  #wasUseful = false
  readonly #running = new Set<Promise<void>>()
  readonly #turns: (() => void)[] = []

  constructor(pool: SftpPool, connections: number, isUsable: () => Promise<boolean>) {
    this.#pool = pool
    this.#most = connections * PER_CONNECTION
    this.#isUsable = isUsable
  }

  /** `root`: absolute, on the host. `otherwise`: another way. How many are on their way at this moment is counted over both. */
  async write<T>(root: string, file: Small, place: (from: string) => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    try {
      const isMany = this.#waiting >= WORTH && !this.#isOff && (await this.#isUsable())
      const unpacked = isMany ? await this.#unpack(root, file) : undefined
      if (unpacked === undefined) return await otherwise()
      try {
        return await place(unpacked.path)
      } finally {
        unpacked.taken()
      }
    } finally {
      this.#waiting -= 1
    }
  }

  /** Waits for the folders that are under way now, and removes those that no one of this process fills. */
  async sweep(root: string): Promise<void> {
    this.#filling?.end()
    this.#filling = undefined
    await Promise.all(this.#running)
    await sweep(this.#pool, root, this.#own)
  }

  /** Waits until no folder of this one is left. */
  async close(): Promise<void> {
    this.#isOff = true
    this.#filling?.end()
    for (const turn of this.#turns.splice(0)) turn()
    await Promise.all(this.#running)
  }

  async #unpack(root: string, file: Small): Promise<Unpacked | undefined> {
    this.#swept ??= sweep(this.#pool, root, this.#own)
    await this.#swept
    while (this.#filling === undefined || !this.#filling.takes(file)) {
      if (this.#isOff) return undefined
      this.#filling?.end()
      this.#filling = undefined
      const most = this.#wasUseful ? this.#most : 1
      if (this.#under >= most) await new Promise<void>((resolve) => this.#turns.push(resolve))
      else this.#begin(root)
    }
    return this.#filling.add(file)
  }

  #begin(root: string): void {
    const folder = `.migrate-part-${randomBytes(6).toString('hex')}`
    const unpacking = new Unpacking(this.#pool, command(root, folder), `${root === '/' ? '' : root}/${folder}`)
    this.#filling = unpacking
    this.#own.add(folder)
    this.#under += 1
    const running = unpacking.ended
      .then(async (wasUseful) => {
        this.#under -= 1
        if (this.#filling === unpacking) this.#filling = undefined
        this.#wasUseful ||= wasUseful
        this.#isOff ||= !wasUseful
        for (const turn of this.#turns.splice(0)) turn()
        await unpacking.settled
        await removeUnpacked(this.#pool, unpacking.folder)
        this.#own.delete(folder)
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

/** Removes what a run left that was killed while it unpacked. */
async function sweep(pool: SftpPool, root: string, own: ReadonlySet<string>): Promise<void> {
  const left = await pool.use(({ channel }) => namesIn(channel, root)).catch(() => [])
  for (const name of left)
    if (UNPACKED.test(name) && !own.has(name)) await removeUnpacked(pool, `${root === '/' ? '' : root}/${name}`)
}

/** What can't be removed does no harm, and is tried again at the next run. */
const removeUnpacked = (pool: SftpPool, folder: string): Promise<void> =>
  pool
    .use(async ({ channel }) => {
      for (const name of await namesIn(channel, folder)) await channel.remove(`${folder}/${name}`)
      await channel.removeFolder(folder)
    })
    .catch(() => undefined)

async function namesIn(channel: SftpChannel, folder: string): Promise<readonly string[]> {
  const handle = await channel.openFolder(folder)
  const found: string[] = []
  for (let names = await channel.readFolder(handle); names !== null; names = await channel.readFolder(handle))
    found.push(...names.map(({ filename }) => filename).filter((name) => name !== '.' && name !== '..'))
  await channel.close(handle)
  return found
}

/** Where a file stands, whole, with its mode and time, to be renamed from there. */
interface Unpacked {
  readonly path: string
  /** Call it once, when it was renamed or isn't wanted. The folder is removed after the last one. */
  taken(): void
}

/** One `tar` at work. */
class Unpacking {
  readonly folder: string
  /** Resolves when the command has ended, with whether all is there. Never rejects. */
  readonly ended: Promise<boolean>
  /** Resolves when every file was taken from its folder. */
  readonly settled: Promise<void>
  readonly #over = new AbortController()
  #settle: () => void = () => undefined
  #command: Command | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #files = 0
  #bytes = 0
  #left = 0
  #isEnding = false
  #isOver = false
  #grew = true
  #isFlushing = false

  constructor(pool: SftpPool, command: string, folder: string) {
    this.folder = folder
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.ended = this.#run(pool, command).catch(() => false)
  }

  takes({ bytes }: Small): boolean {
    return !this.#isEnding && this.#files < MOST_FILES && this.#bytes + bytes.length <= MOST_BYTES
  }

  async add({ bytes, mode, mtimeSeconds }: Small): Promise<Unpacked | undefined> {
    const name = `${this.#files}`
    this.#files += 1
    this.#left += 1
    this.#bytes += bytes.length
    this.#grew = true
    this.#held.push(fileHeader(name, bytes.length, mode, mtimeSeconds), bytes, Buffer.alloc(paddingOf(bytes.length)))
    this.#heldBytes += bytes.length
    if (this.#heldBytes >= FLUSHED) this.#flush()
    else if (!this.#isFlushing) {
      this.#isFlushing = true
      setImmediate(() => this.#flush())
    }
    const isThere = await this.ended
    const taken = (): void => {
      this.#left -= 1
      if (this.#left === 0) this.#settle()
    }
    if (isThere) return { path: `${this.folder}/${name}`, taken }
    taken()
    return undefined
  }

  /** No more files come. */
  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    if (this.#command === undefined) return
    this.#flush()
    this.#command.channel.end(ENDS_ARCHIVE)
  }

  async #run(pool: SftpPool, command: string): Promise<boolean> {
    const lease = await pool.lease()
    try {
      const started = await startCommand(lease.connection, command, () => undefined)
      this.#command = started
      if (this.#isEnding) {
        this.#isEnding = false
        this.end()
      } else this.#flush()
      void this.#watch(started).catch(() => undefined)
      return (await started.ended) === 0
    } finally {
      this.#isOver = true
      this.#isEnding = true
      this.#over.abort()
      lease.release()
      if (this.#left === 0) this.#settle()
    }
  }

  #flush(): void {
    this.#isFlushing = false
    if (this.#command === undefined || this.#isOver || this.#heldBytes === 0) return
    this.#command.channel.write(Buffer.concat(this.#held))
    this.#held = []
    this.#heldBytes = 0
  }

  async #watch({ channel }: Command): Promise<void> {
    while (!this.#isEnding) {
      this.#grew = false
      await systemClock.sleep(QUIET_MS, this.#over.signal)
      if (!this.#grew) this.end()
    }
    await systemClock.sleep(HANGS_MS, this.#over.signal)
    channel.close()
  }
}
