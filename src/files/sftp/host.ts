import { Readable } from 'node:stream'
import type { Finding } from '../../base/errors.ts'
import { isAway } from '../adrift.ts'
import { Asides } from '../asides.ts'
import { looksInto } from '../depth.ts'
import { endedBy } from '../ended-by.ts'
import { hashOf } from '../hash-of.ts'
import { lastLook } from '../last-look.ts'
import { parentOf, partPath, safePath } from '../paths.ts'
import type { FileEntry, FileHost, FilePowers, ListDepth, ReadOptions, Shell, WriteOptions, WrittenFile } from '../port.ts'
import { wholeContent, wholeOf } from '../whole.ts'
import { type SftpChannel, STATUS, type Statvfs } from './channel.ts'
import { checkRoot } from './check.ts'
import type { SftpConnection } from './connection.ts'
import { ignoring, mapped, SPACE } from './failures.ts'
import { ShellHashes } from './hashes.ts'
import { HASHED_THERE, hashesThere } from './hashes-there.ts'
import { RootOf, type SftpRoot } from './inside.ts'
import { entryAt, readFolder } from './listing.ts'
import { OnDisk } from './on-disk.ts'
import { labelOf, type SftpOptions } from './options.ts'
import { makeFolderAt, makeFoldersFor, makeLinkAt, placeWhole, removeIfEmpty, writeByPart } from './placing.ts'
import { LARGE, LARGE_BYTES, type SftpPool } from './pool.ts'
import { KnownPowers } from './powers.ts'
import { renamingBy } from './renaming.ts'
import { type FellBack, refusal, SmallFiles } from './small-files.ts'
import { readOpened, readSmall } from './transfer.ts'
import { LastListing, type ReadFolder, walk } from './walk.ts'

/** The files of a host over SFTP. */
export class SftpFiles implements FileHost {
  readonly label: string
  readonly #options: SftpOptions
  readonly #pool: SftpPool
  readonly #hashes: ShellHashes
  readonly #small: SmallFiles
  readonly #asides = new Asides()
  readonly #disk: OnDisk
  readonly #listed = new LastListing()
  readonly #root: RootOf
  readonly #powers: KnownPowers
  #remarks: string[] = []

  constructor(options: SftpOptions, pool: SftpPool, shell: Shell) {
    this.#hashes = new ShellHashes(shell)
    this.label = labelOf(options)
    const remark = (text: string): void => void this.#remarks.push(text)
    const fellBack: FellBack = (way, said) => remark(refusal(this.label, way, said))
    this.#small = new SmallFiles(pool, options.connections, this.#hasPrograms, fellBack, this)
    this.#disk = new OnDisk(this.label, { shell, byProgram: () => this.#small.sync() }, this.#hasPrograms, remark)
    this.#options = options
    this.#pool = pool
    this.#root = new RootOf(options, pool)
    this.#powers = new KnownPowers(this.#hashes, (find) =>
      this.#use('', 'open', (channel, boundary) => find(channel, boundary.full(''))),
    )
  }

  powers(): Promise<FilePowers> {
    this.#hashes.begin(this.#inside(), this.#pool.loggedIn())
    return this.#powers.get()
  }

  readonly prepare: NonNullable<FileHost['prepare']> = (purpose, bytes = 0) => {
    const small = this.#inside().then((boundary) => this.#small.prepare(boundary.full(''), purpose, bytes))
    // Whoever lists, reads or writes is told when the host can't be reached.
    for (const begun of [small, this.#pool.widen(), this.powers()]) begun.catch(() => undefined)
  }

  check = (purpose: 'read' | 'write'): Promise<readonly Finding[]> =>
    this.#use('', 'look at', (channel, boundary) =>
      checkRoot(channel, this.label, boundary.full(''), this.#options.user, purpose),
    )

  async *list(folder = '', signal?: AbortSignal, depth: ListDepth = 'below'): AsyncIterable<FileEntry> {
    const root = await this.#inside()
    // Listed ahead: what they hold is kept only if the folder above has them still.
    const expected = this.#listed.foldersOf(folder).filter((each) => root.knows(each))
    // What were folders may have been exchanged for links since: all of them are seen anew.
    if (folder === '') root.forget()
    else await this.#use(safePath(folder, this.label), 'list', (channel) => root.checkFollowed(folder, root.by(channel)))
    const read: ReadFolder = (path, soFar) =>
      this.#use(path, 'list', (channel) => readFolder(channel, this.label, path, root.full(path), this.#see, soFar))
    const saw = (path: string): void => {
      if (root.knows(parentOf(path))) root.remember(path)
    }
    const tree = { isEntered: looksInto(depth), read, stat: (path: string) => this.stat(path), saw, expected }
    yield* this.#listed.remembered(folder, walk(folder, tree, signal))
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    safePath(path, this.label)
    return this.#use(path, 'look at', async (channel, boundary) => {
      await boundary.check(path, boundary.by(channel))
      await this.#asides.mend(renamingBy(channel, this.#place(boundary, path)), path)
      return entryAt(channel, path, boundary.full(path))
    })
  }

  async read(path: string, options: ReadOptions = {}): Promise<Readable> {
    safePath(path, this.label)
    const { entry, offset = 0, signal } = options
    const isFile = entry?.path === path && entry.kind === 'file'
    const boundary = this.#root.known ?? (await this.#inside())
    const small = isFile && offset === 0 ? await this.#readSmall(boundary, path, entry, signal) : null
    if (small !== null) return wholeContent(small)
    const bytes = this.#stream(path, offset, isFile ? entry.size : null)
    return endedBy(Readable.from(bytes, { objectMode: false, highWaterMark: 1 }), signal)
  }

  #readSmall(boundary: SftpRoot, path: string, entry: FileEntry, signal: AbortSignal | undefined): Promise<Buffer | null> | null {
    const bySftp = async (): Promise<Buffer | null> => {
      signal?.throwIfAborted()
      return await this.#use(path, 'read', async (channel) => {
        await boundary.check(path, boundary.by(channel))
        return readSmall(channel, boundary.full(path), entry.size)
      })
    }
    return this.#small.read(boundary, path, entry, bySftp)
  }

  /** Whether programs of the host can be used on the folder; `null` as long as it isn't there, or can't be asked. */
  readonly #hasPrograms = (): Promise<boolean | null> => {
    const asked = this.#use('', 'look at', (channel, boundary) => this.#hashes.areUsable(channel, boundary.full('')))
    return asked.catch((error: unknown) => (isAway(error) ? null : false))
  }

  /** Holds its connection until the reader is done. */
  async *#stream(path: string, offset: number, size: number | null): AsyncGenerator<Buffer> {
    const boundary = await this.#inside()
    const { connection, release } = await this.#pool.lease(size !== null && size >= LARGE_BYTES ? LARGE : 1)
    const { channel } = connection
    try {
      if (size === null) await boundary.checkFollowed(path, boundary.by(channel))
      else await boundary.check(path, boundary.by(channel))
      const within = (): Promise<void> => boundary.checkStanding(path, channel)
      yield* readOpened(channel, { label: this.label, path, full: boundary.full(path), offset, size, within })
    } catch (error) {
      throw await this.#failure(error, path, 'read', channel, boundary)
    } finally {
      release()
    }
  }

  async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    safePath(path, this.label)
    const bySftp = (): Promise<WrittenFile> => this.#writeBySftp(path, content, options, signal)
    const whole = wholeOf(content)
    if (whole === undefined) return bySftp()
    const root = this.#root.known ?? (await this.#inside())
    const place = async (from: string | null): Promise<void> => {
      // Nothing is to be asked of the host then, nor a place on a connection to be waited for.
      if (from === null && root.knows(parentOf(path))) return
      await this.#use(path, 'write', async (channel, boundary) => {
        if (!boundary.knows(parentOf(path))) await makeFoldersFor(channel, boundary, path)
        await this.#lastLook(channel, boundary, path, options)
        if (from !== null) await placeWhole(channel, from, boundary.full(path), boundary.full(partPath(path)))
      })
    }
    try {
      const isReady = root.knows(parentOf(path))
      return await this.#small.write(root.full(''), path, whole, options, { place, isReady, bySftp })
    } finally {
      this.#disk.wrote()
    }
  }

  async #writeBySftp(
    path: string,
    content: Readable,
    options: WriteOptions,
    signal: AbortSignal | undefined,
  ): Promise<WrittenFile> {
    signal?.throwIfAborted()
    await this.#small.settle()
    const write = async (channel: SftpChannel, boundary: SftpRoot): Promise<WrittenFile> => {
      if (!boundary.knows(parentOf(path))) await makeFoldersFor(channel, boundary, path)
      const look = (): Promise<void> => this.#lastLook(channel, boundary, path, options)
      const place = { ...this.#place(boundary, path), look, flushes: this.#disk.flushes(channel) }
      return writeByPart(channel, place, content, options, () => this.sha256(partPath(path), signal), signal)
    }
    // What may be gone on with is large.
    return this.#disk.one(() => this.#use(path, 'write', write, options.again === undefined ? 1 : LARGE))
  }

  #lastLook(channel: SftpChannel, boundary: SftpRoot, path: string, options: WriteOptions): Promise<void> {
    return lastLook(options, { label: this.label, path }, () => entryAt(channel, path, boundary.full(path)))
  }

  async makeFolder(path: string, mode: number | null): Promise<void> {
    if (path === '') return
    safePath(path, this.label)
    await this.#use(path, 'make the folder', async (channel, boundary) => {
      await makeFolderAt(channel, boundary, path)
      if (mode !== null) await channel.setAttributes(boundary.full(path), { mode: mode & 0o7777 })
    })
  }

  async link(path: string, target: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'make the link', async (channel, boundary) => {
      await makeLinkAt(channel, this.#place(boundary, path), target)
      boundary.forget()
    })
  }

  async remove(path: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'remove', async (channel, boundary) => {
      await boundary.check(path, boundary.by(channel))
      await channel.remove(boundary.full(path)).catch((error: unknown) => ignoring(STATUS.missing, error))
      boundary.forget()
    })
  }

  async removeFolder(path: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'remove', async (channel, boundary) => {
      await boundary.check(path, boundary.by(channel))
      boundary.forget()
      await removeIfEmpty(channel, this.label, path, boundary.full(path))
    })
  }

  async sha256(path: string, signal?: AbortSignal): Promise<string> {
    const found = await this.#hashIfLarge(path, signal)
    return found ?? hashOf(await this.read(path, signal ? { signal } : {}))
  }

  /** A small file is read sooner than a program is started. */
  async #hashIfLarge(path: string, signal: AbortSignal | undefined): Promise<string | null> {
    safePath(path, this.label)
    const size = await this.#use(path, 'read', async (channel, boundary) => {
      await boundary.checkFollowed(path, boundary.by(channel))
      return (await channel.stat(boundary.full(path))).size
    })
    return size < HASHED_THERE ? null : ((await this.hashes([path], signal))[0] ?? null)
  }

  async hashes(paths: readonly string[], signal?: AbortSignal): Promise<readonly (string | null)[]> {
    for (const path of paths) safePath(path, this.label)
    return this.#use('', 'hash files in', (channel, boundary) => hashesThere(channel, boundary, this.#hashes, paths, signal))
  }

  freeBytes = (): Promise<number | null> => this.#space((space) => space.freeBytes)
  freeFiles = (): Promise<number | null> => this.#space((space) => space.freeFiles)

  #space(part: (space: Statvfs) => number | null): Promise<number | null> {
    return this.#use('', 'look at', async (channel, boundary) =>
      channel.has(SPACE) ? part(await channel.space(boundary.full(''))) : null,
    )
  }

  async sweep(): Promise<void> {
    const boundary = await this.#inside()
    // What it removes needn't reach the disk.
    const swept = this.#small.sweep(boundary.full(''))
    swept.catch(() => undefined) // awaited below
    for (const path of this.#asides.pending())
      await this.#use(path, 'put back', (channel) => this.#asides.settle(renamingBy(channel, this.#place(boundary, path)), path))
    await this.#disk.sync(boundary.full(''))
    await swept
  }

  wayMs = (): number => this.#pool.shortestMs
  remarks = (): readonly string[] => this.#remarks.splice(0)
  close = (): Promise<void> => this.#small.close().finally(() => this.#pool.close())

  readonly #see = (path: string): void => {
    for (const each of [this.#asides, this.#small]) each.see(path)
  }

  readonly #place = (boundary: SftpRoot, path: string) => {
    return { path, label: this.label, boundary, asides: this.#asides, newPart: this.#small.newPart }
  }

  readonly #inside = (): Promise<SftpRoot> => this.#root.find()

  async #use<T>(
    path: string,
    doing: string,
    work: (channel: SftpChannel, boundary: SftpRoot) => Promise<T>,
    weight = 1,
  ): Promise<T> {
    const boundary = await this.#inside()
    const working = async ({ channel }: SftpConnection): Promise<T> => {
      try {
        return await work(channel, boundary)
      } catch (error) {
        throw await this.#failure(error, path, doing, channel, boundary)
      }
    }
    return this.#pool.use(working, weight)
  }

  readonly #failure = (error: unknown, path: string, doing: string, channel: SftpChannel, boundary: SftpRoot): Promise<unknown> =>
    mapped(error, { label: this.label, path, doing, root: boundary.full('') }, channel)
}
