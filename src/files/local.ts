import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { codeOf, type Finding, MigrateError } from '../base/errors.ts'
import { CaseProbe } from './case-folding.ts'
import { looksInto } from './depth.ts'
import { endedBy } from './ended-by.ts'
import { diskFull, fileMissing, filesFailed, permissionDenied } from './failures.ts'
import { notAFolder, notReadable, notWritable } from './findings.ts'
import type { FolderEntries } from './folder-entries.ts'
import { counting, hashOf } from './hash-of.ts'
import { lastLook } from './last-look.ts'
import { LocalDisk } from './local-disk.ts'
import { lookAt, namesIn, readFolder } from './local-listing.ts'
import { isLink, makeFolders, onDisk, realPath } from './local-paths.ts'
import { readOpened, readSmall } from './local-reading.ts'
import { escapes, parentOf, partPath, safePath, targetStaysInside } from './paths.ts'
import type { FileEntry, FileHost, FilePowers, ListDepth, ReadOptions, WriteOptions, WrittenFile } from './port.ts'
import { ANY_TIME } from './times.ts'
import { readUnlessGone } from './vanishing.ts'
import { wholeContent } from './whole.ts'

/** Files up to this length are read at once. */
const SMALL_BYTES = 128 * 1024
const NAMES: Readonly<Record<string, FilePowers['names']>> = { win32: 'windows', darwin: 'unicode' }
/** A link that was put there since it was listed could lead anywhere, and a pipe hold up for ever who opens it. Windows has no such flags. */
const STILL_A_FILE = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
/** Files open at once: a process may often have no more than 256. */
const OPEN_AT_ONCE = 64

/** A folder on this machine as a FileHost. `root` is absolute. */
export function openLocal(root: string, label = `file://${root}`): FileHost {
  return new LocalFiles(root, label)
}

class LocalFiles implements FileHost {
  readonly label: string
  readonly #few = pLimit(OPEN_AT_ONCE)
  readonly #root: string
  readonly #disk: LocalDisk

  constructor(root: string, label: string) {
    this.#root = root
    this.#disk = new LocalDisk()
    this.label = label
  }

  async powers(): Promise<FilePowers> {
    await this.#do('', 'open', () => fs.stat(this.#root))
    const foldsCase = await this.#foldsCase()
    const unlimited = {
      atomicReplace: true,
      links: true,
      modes: true,
      freeSpace: true,
      times: true,
      lineBreaks: true,
      offsets: true,
      names: NAMES[process.platform] ?? ('bytes' as const),
      timeSeconds: 1,
      timeRange: ANY_TIME,
      flushes: 'all' as const,
      copies: false,
    }
    return { ...unlimited, hash: null, foldsCase, sealed: true }
  }

  /** By a name in the folder, or else by the folder's own. */
  async #foldsCase(): Promise<boolean | null> {
    const by = async (folder: string): Promise<boolean | null> => {
      const probe = new CaseProbe()
      for await (const name of namesIn(folder)) probe.see(name)
      return probe.foldsCase(async (name) => (await fs.lstat(onDisk(join(folder, name))).catch(() => undefined)) !== undefined)
    }
    return (await this.#do('', 'list', () => by(this.#root))) ?? (await by(dirname(this.#root)).catch(() => null))
  }

  async check(purpose: 'read' | 'write'): Promise<readonly Finding[]> {
    try {
      if (!(await fs.stat(this.#root)).isDirectory()) return [notAFolder(this.label)]
      await fs.access(this.#root, constants.R_OK | constants.X_OK)
    } catch (error) {
      return [codeOf(error) === 'EACCES' ? notReadable(this.label) : notAFolder(this.label)]
    }
    if (purpose === 'read') return []
    const allowed = await fs.access(this.#root, constants.W_OK).then(
      () => true,
      () => false,
    )
    return allowed ? [] : [notWritable(this.label, 'error')]
  }

  async *list(folder = '', signal?: AbortSignal, depth: ListDepth = 'below'): AsyncIterable<FileEntry> {
    yield* this.#walk(await this.#entriesOf(folder, signal), signal, looksInto(depth))
  }

  async *#walk(
    entries: FolderEntries,
    signal: AbortSignal | undefined,
    isEntered: (folder: string) => boolean,
  ): AsyncGenerator<FileEntry> {
    const read = (path: string): Promise<FolderEntries> => this.#entriesOf(path, signal)
    for (const entry of entries) {
      yield entry
      if (entry.kind !== 'folder' || !isEntered(entry.path)) continue
      const below = await readUnlessGone(entry.path, { read, stat: (path) => this.stat(path) })
      if (below !== undefined) yield* this.#walk(below, signal, isEntered)
    }
    entries.close()
  }

  async #entriesOf(path: string, signal: AbortSignal | undefined): Promise<FolderEntries> {
    signal?.throwIfAborted()
    const full = path === '' ? this.#root : await this.#inside(path, true)
    return this.#do(path, 'list', () => readFolder({ label: this.label, root: this.#root, path, full }, signal))
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    const full = await this.#inside(path, false)
    return this.#do(path, 'look at', () => lookAt(path, full))
  }

  async read(path: string, options: ReadOptions = {}): Promise<Readable> {
    const full = await this.#inside(path, true)
    const { entry, offset = 0, signal } = options
    const size = entry?.path === path && entry.kind === 'file' ? entry.size : null
    if (size !== null && size <= SMALL_BYTES && offset === 0)
      return wholeContent(await this.#do(path, 'read', () => this.#few(() => readSmall(full, STILL_A_FILE, size))))
    const handle = await this.#do(path, 'read', () => fs.open(full, size === null ? constants.O_RDONLY : STILL_A_FILE))
    const failed = (error: unknown): unknown => this.#mapped(error, path, 'read')
    return endedBy(readOpened(handle, offset, size, failed), signal)
  }

  async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    const part = partPath(path)
    await this.makeFolder(parentOf(path), null)
    const [full, partFull] = [await this.#inside(path, false), await this.#inside(part, false)]
    await fs.rm(partFull, { force: true })
    const { through, came } = counting()
    const put = async (): Promise<void> => {
      const handle = await fs.open(partFull, 'wx', 0o600)
      // Where something is replaced, neither it nor the new file may be lost to a power cut.
      const flush = await fs.lstat(full).then(
        () => true,
        () => false,
      )
      await pipeline(content, through, handle.createWriteStream({ flush }), { ...(signal ? { signal } : {}) })
      // Node takes a number of before 1970 for now, but not its digits.
      const time = `${options.mtimeSeconds}`
      await fs.utimes(partFull, time, time)
      await fs.chmod(partFull, options.mode ?? 0o644)
      await lastLook(options, { label: this.label, path }, () => this.stat(path)).catch(async (error: unknown) => {
        await fs.rm(partFull, { force: true })
        throw error
      })
      await fs.rename(partFull, full)
    }
    await this.#do(path, 'write', () => this.#few(put))
    await this.#do(path, 'write', () => this.#disk.wrote(join(this.#root, path)))
    return came()
  }

  async makeFolder(path: string, mode: number | null): Promise<void> {
    if (path === '') return
    const full = await this.#inside(path, true)
    await this.#do(path, 'make the folder', async () => {
      await makeFolders(this.#root, path)
      if (mode !== null) await fs.chmod(full, mode)
    })
  }

  async link(path: string, target: string): Promise<void> {
    if (!targetStaysInside(safePath(path, this.label), target, this.#root))
      throw escapes(this.label, path, `would be a link to ${target}`)
    await this.makeFolder(parentOf(path), null)
    const [full, part] = [await this.#inside(path, false), await this.#inside(partPath(path), false)]
    await this.#do(path, 'make the link', async () => {
      await fs.rm(part, { force: true })
      await fs.symlink(onDisk(target), part)
      await fs.rename(part, full)
    })
  }

  async remove(path: string): Promise<void> {
    const full = await this.#inside(path, false)
    await this.#do(path, 'remove', () => fs.unlink(full)).catch(ignoreMissing)
  }

  async removeFolder(path: string): Promise<void> {
    const full = await this.#inside(path, false)
    try {
      await fs.rmdir(full)
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw this.#mapped(error, path, 'remove')
    }
  }

  async sha256(path: string, signal?: AbortSignal): Promise<string> {
    return hashOf(await this.read(path, signal ? { signal } : {}))
  }

  async hashes(paths: readonly string[]): Promise<readonly (string | null)[]> {
    return paths.map(() => null)
  }

  async freeBytes(): Promise<number | null> {
    const stats = await this.#do('', 'look at', () => fs.statfs(this.#root))
    return stats.bavail * stats.bsize
  }

  async freeFiles(): Promise<number | null> {
    const stats = await this.#do('', 'look at', () => fs.statfs(this.#root))
    return stats.files === 0 ? null : stats.ffree
  }

  sweep = (): Promise<void> => this.#do('', 'bring to the disk', () => this.#disk.sync())

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /**
   * The absolute path, once it is sure that no link on the way leads out of the root. `follow`: the last part too is followed
   * when it is a link; otherwise it names the link itself.
   */
  async #inside(path: string, follow: boolean): Promise<string | Buffer> {
    const full = onDisk(join(this.#root, safePath(path, this.label)))
    const root = await this.#do('', 'open', () => realPath(this.#root))
    let existing = follow ? path : parentOf(path)
    while (existing !== '') {
      const real = await realPath(join(this.#root, existing)).catch(() => null)
      if (real !== null) {
        if (real === root || real.startsWith(`${root}/`)) return full
        throw escapes(this.label, path, 'leads outside the folder through a link')
      }
      if (await isLink(join(this.#root, existing))) throw escapes(this.label, path, 'goes through a link that leads nowhere')
      existing = parentOf(existing)
    }
    return full
  }

  async #do<T>(path: string, doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.#mapped(error, path, doing)
    }
  }

  #mapped(error: unknown, path: string, doing: string): unknown {
    if (error instanceof MigrateError) return error
    if (error instanceof Error && error.name === 'AbortError') return error
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return fileMissing(this.label, path, error)
    if (code === 'ELOOP' && doing === 'read')
      return escapes(this.label, path, 'is a link by now, and was a file when it was listed')
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return permissionDenied(this.label, path, doing, error)
    if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(this.label, path, null, error)
    return filesFailed(this.label, path, doing, error)
  }
}

const ignoreMissing = (error: unknown): void => {
  if (!(error instanceof MigrateError) || error.code !== 'file-missing') throw error
}
