import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Finding } from '../../base/errors.ts'
import { MigrateError } from '../../base/errors.ts'
import { connectionLost, diskFull, fileMissing, filesFailed, permissionDenied } from '../failures.ts'
import { escapes, foldersAbove, parentOf, partPath, safePath, targetStaysInside } from '../paths.ts'
import type { FileEntry, FileHost, FilePowers, ListDepth, ReadOptions, WriteOptions, WrittenFile } from '../port.ts'
import { OPEN, type SftpChannel, STATUS, statusOf } from './channel.ts'
import { checkRoot } from './check.ts'
import { SftpRoot } from './inside.ts'
import { entryFrom, readFolder, walk } from './listing.ts'
import { labelOf, type SftpOptions } from './options.ts'
import type { SftpPool } from './pool.ts'
import { readAhead, readSmall, writePart } from './transfer.ts'

const REPLACE = 'posix-rename@openssh.com'
const SPACE = 'statvfs@openssh.com'

/** The files of a host over SFTP. */
export class SftpFiles implements FileHost {
  readonly label: string
  readonly #options: SftpOptions
  readonly #pool: SftpPool
  #boundary: Promise<SftpRoot> | undefined

  constructor(options: SftpOptions, pool: SftpPool) {
    this.label = labelOf(options)
    this.#options = options
    this.#pool = pool
  }

  powers(): Promise<FilePowers> {
    return this.#use('', 'open', async (channel) => ({
      atomicReplace: channel.has(REPLACE),
      links: true,
      modes: true,
      freeSpace: channel.has(SPACE),
    }))
  }

  check(purpose: 'read' | 'write'): Promise<readonly Finding[]> {
    return this.#use('', 'look at', (channel, boundary) =>
      checkRoot(channel, this.label, boundary.full(''), this.#options.user, purpose),
    )
  }

  async *list(folder = '', signal?: AbortSignal, depth: ListDepth = 'below'): AsyncIterable<FileEntry> {
    if (folder !== '') {
      safePath(folder, this.label)
      await this.#use(folder, 'list', (channel, boundary) => boundary.checkFollowed(folder, boundary.by(channel)))
    }
    const read = (path: string): Promise<readonly FileEntry[]> =>
      this.#use(path, 'list', async (channel, boundary) => {
        const entries = await readFolder(channel, this.label, path, boundary.full(path))
        for (const entry of entries) if (entry.kind === 'folder' && boundary.knows(path)) boundary.remember(entry.path)
        return entries
      })
    yield* depth === 'here' ? await read(folder) : walk(folder, read, signal)
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    safePath(path, this.label)
    return this.#use(path, 'look at', async (channel, boundary) => {
      await boundary.check(path, boundary.by(channel))
      try {
        return await entryFrom(channel, path, boundary.full(path), await channel.lstat(boundary.full(path)))
      } catch (error) {
        if (statusOf(error) === STATUS.missing) return undefined
        throw error
      }
    })
  }

  async read(path: string, options: ReadOptions = {}): Promise<Readable> {
    safePath(path, this.label)
    const { entry, offset = 0, signal } = options
    const isFile = entry?.path === path && entry.kind === 'file'
    if (isFile && offset === 0) {
      const small = await this.#use(path, 'read', async (channel, boundary) => {
        await boundary.check(path, boundary.by(channel))
        return readSmall(channel, boundary.full(path), entry.size)
      })
      if (small !== null) return small
    }
    const stream = Readable.from(this.#stream(path, offset, isFile ? entry.size : null), { objectMode: false, highWaterMark: 1 })
    signal?.addEventListener('abort', () => stream.destroy(signal.reason), { once: true })
    return stream
  }

  /** Holds its connection until the reader is done. */
  async *#stream(path: string, offset: number, size: number | null): AsyncGenerator<Buffer> {
    const boundary = await this.#inside()
    const { connection, release } = await this.#pool.lease()
    const { channel } = connection
    try {
      if (size === null) await boundary.checkFollowed(path, boundary.by(channel))
      else await boundary.check(path, boundary.by(channel))
      const handle = await channel.open(boundary.full(path), OPEN.read)
      try {
        yield* readAhead(channel, handle, offset, size)
      } finally {
        if (!channel.isLost) await channel.close(handle)
      }
    } catch (error) {
      throw await this.#mapped(error, path, 'read', channel)
    } finally {
      release()
    }
  }

  async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    safePath(path, this.label)
    signal?.throwIfAborted()
    return this.#use(path, 'write', async (channel, boundary) => {
      if (!boundary.knows(parentOf(path))) await this.#folderFor(channel, boundary, path)
      const part = boundary.full(partPath(path))
      try {
        const written = await writePart(channel, part, content, options, signal)
        await this.#putInPlace(channel, part, boundary.full(path))
        return written
      } catch (error) {
        content.destroy()
        // A leftover does no harm, but on a full disk it takes room; the first error is the one to tell.
        if (!channel.isLost) await channel.remove(part).catch(() => undefined)
        throw error
      }
    })
  }

  async makeFolder(path: string, mode: number | null): Promise<void> {
    if (path === '') return
    safePath(path, this.label)
    await this.#use(path, 'make the folder', async (channel, boundary) => {
      await this.#folderFor(channel, boundary, `${path}/x`)
      if (mode !== null) await channel.setAttributes(boundary.full(path), { mode: mode & 0o7777 })
    })
  }

  async link(path: string, target: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'make the link', async (channel, boundary) => {
      if (!targetStaysInside(path, target, boundary.full(''))) throw escapes(this.label, path, `would be a link to ${target}`)
      await this.#folderFor(channel, boundary, path)
      const part = boundary.full(partPath(path))
      await channel.remove(part).catch((error: unknown) => ignoring(STATUS.missing, error))
      await channel.makeLink(part, target)
      await this.#putInPlace(channel, part, boundary.full(path))
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
      try {
        await channel.removeFolder(boundary.full(path))
      } catch (error) {
        if (statusOf(error) === STATUS.missing) return
        // "Failure" is all that servers say of a folder that isn't empty.
        if (statusOf(error) !== STATUS.failure) throw error
        const held = await readFolder(channel, this.label, path, boundary.full(path))
        if (held.length === 0) throw error
      }
    })
  }

  async sha256(path: string, signal?: AbortSignal): Promise<string> {
    const hash = createHash('sha256')
    for await (const bytes of await this.read(path, signal ? { signal } : {})) hash.update(bytes)
    return hash.digest('hex')
  }

  freeBytes(): Promise<number | null> {
    return this.#use('', 'look at', async (channel, boundary) =>
      channel.has(SPACE) ? (await channel.space(boundary.full(''))).freeBytes : null,
    )
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  /** Makes the folders above a path that aren't there, none of them through a link that leads outside. */
  async #folderFor(channel: SftpChannel, boundary: SftpRoot, path: string): Promise<void> {
    await boundary.check(path, boundary.by(channel))
    if (boundary.knows(parentOf(path))) return
    for (const folder of foldersAbove(path)) {
      if (boundary.knows(folder)) continue
      try {
        await channel.makeFolder(boundary.full(folder))
        boundary.remember(folder)
      } catch (error) {
        // Servers say only "failure" of a folder that is there already.
        const there = await channel.stat(boundary.full(folder)).catch(() => undefined)
        if (there === undefined || !there.isDirectory()) throw error
      }
    }
  }

  /**
   * Renames over the target. Without the extension, and where a plain rename doesn't replace, the old file steps aside first: for
   * an instant there is none under the name, but never half a one.
   */
  async #putInPlace(channel: SftpChannel, part: string, full: string): Promise<void> {
    if (channel.has(REPLACE)) return channel.replace(part, full)
    try {
      await channel.rename(part, full)
    } catch (error) {
      const aside = `${part}-old`
      if (await isMissing(channel, full)) throw error
      await channel.remove(aside).catch((failed: unknown) => ignoring(STATUS.missing, failed))
      await channel.rename(full, aside)
      await channel.rename(part, full)
      await channel.remove(aside)
    }
  }

  #inside(): Promise<SftpRoot> {
    this.#boundary ??= this.#findRoot().catch((error: unknown) => {
      this.#boundary = undefined
      throw error
    })
    return this.#boundary
  }

  async #findRoot(): Promise<SftpRoot> {
    const { root } = this.#options
    if (!root.startsWith('~')) return new SftpRoot(this.label, root.replace(/(?<=.)\/+$/, ''))
    const home = await this.#pool.use(({ channel }) => channel.realPath('.'))
    const below = root.slice(1).replace(/\/+$/, '')
    return new SftpRoot(this.label, below === '' ? home : `${home === '/' ? '' : home}${below}`)
  }

  async #use<T>(path: string, doing: string, work: (channel: SftpChannel, boundary: SftpRoot) => Promise<T>): Promise<T> {
    const boundary = await this.#inside()
    return this.#pool.use(async ({ channel }) => {
      try {
        return await work(channel, boundary)
      } catch (error) {
        throw await this.#mapped(error, path, doing, channel)
      }
    })
  }

  async #mapped(error: unknown, path: string, doing: string, channel: SftpChannel): Promise<unknown> {
    if (error instanceof MigrateError || (error instanceof Error && error.name === 'AbortError')) return error
    if (channel.isLost) return connectionLost(this.label, path, error)
    switch (statusOf(error)) {
      case STATUS.missing:
        return fileMissing(this.label, path, error)
      case STATUS.denied:
        return permissionDenied(this.label, path, doing, error)
      case STATUS.noConnection:
      case STATUS.connectionLost:
        return connectionLost(this.label, path, error)
      case STATUS.failure:
        return (await this.#fullDisk(error, path, doing, channel)) ?? filesFailed(this.label, path, doing, error)
      default:
        return filesFailed(this.label, path, doing, error)
    }
  }

  /** SFTP has no status for a full disk (OpenSSH says "Failure"): the words of the server tell, or the free space. */
  async #fullDisk(error: unknown, path: string, doing: string, channel: SftpChannel): Promise<MigrateError | undefined> {
    if (!(doing === 'write' || doing.startsWith('make'))) return undefined
    if (error instanceof Error && /no space|disk (is )?full|quota/i.test(error.message))
      return diskFull(this.label, path, null, error)
    if (!channel.has(SPACE)) return undefined
    const space = await channel.space((await this.#inside()).full('')).catch(() => undefined)
    if (space === undefined) return undefined
    return space.freeBytes < 1024 * 1024 || space.freeFiles === 0 ? diskFull(this.label, path, space.freeBytes, error) : undefined
  }
}

const isMissing = (channel: SftpChannel, full: string): Promise<boolean> =>
  channel.lstat(full).then(
    () => false,
    (error: unknown) => statusOf(error) === STATUS.missing,
  )

function ignoring(status: number, error: unknown): void {
  if (statusOf(error) !== status) throw error
}
