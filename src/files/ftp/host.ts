import type { Readable } from 'node:stream'
import { FTPError } from 'basic-ftp'
import { type Finding, MigrateError } from '../../base/errors.ts'
import { Adrift } from '../adrift.ts'
import { Asides } from '../asides.ts'
import { Boundary } from '../boundary.ts'
import { looksInto } from '../depth.ts'
import { endedBy } from '../ended-by.ts'
import { fileMissing, filesFailed, permissionDenied } from '../failures.ts'
import type { FolderEntries } from '../folder-entries.ts'
import { hashOf } from '../hash-of.ts'
import { escapes, foldersAbove, parentOf, partPath, safePath, targetStaysInside } from '../paths.ts'
import type { FileEntry, FileHost, FilePowers, ListDepth, ReadOptions, WriteOptions, WrittenFile } from '../port.ts'
import { checkRoot, findRoot, wholePath } from './check.ts'
import type { FtpConnection } from './connection.ts'
import { lastWord, mapped, meaningOf } from './failures.ts'
import { listFolder, lookUp } from './folder.ts'
import { OneEntry } from './one-entry.ts'
import { type FtpOptions, labelOf } from './options.ts'
import { renamingBy, writeByPart } from './parts.ts'
import type { FtpPool } from './pool.ts'
import { findPowers, freeBytes, serverHash } from './powers.ts'
import { download, noLinks, sizeOf } from './transfer.ts'
import { walk } from './walk.ts'

export class FtpFiles implements FileHost {
  readonly label: string
  readonly #options: FtpOptions
  readonly #pool: FtpPool
  readonly #boundary: Boundary
  readonly #asides = new Asides()
  readonly #adrift = new Adrift(this)
  readonly #one = new OneEntry()
  readonly #tries = { asides: this.#asides, adrift: this.#adrift, late: new Set<string>() }
  #root: string | undefined

  constructor(options: FtpOptions, pool: FtpPool) {
    this.#options = options
    this.#pool = pool
    this.label = labelOf(options)
    this.#boundary = new Boundary(this.label, null)
  }

  async powers(): Promise<FilePowers> {
    return this.#pool.use(async (connection) => {
      const root = await findRoot(connection, this.#options)
      const entries = root === undefined ? [] : await listFolder(connection, { at: root, path: '', label: this.label })
      return findPowers(connection, this.#options.tls !== 'none', root ?? '', entries)
    })
  }

  check = (purpose: 'read' | 'write'): Promise<readonly Finding[]> =>
    this.#pool.use((connection) => checkRoot(connection, this.label, this.#options, purpose))

  async *list(folder = '', signal?: AbortSignal, depth: ListDepth = 'below'): AsyncIterable<FileEntry> {
    signal?.throwIfAborted()
    if (folder !== '') {
      safePath(folder, this.label)
      await this.#use(folder, 'list', (connection) => this.#inside(connection, folder, true))
    }
    const entries = await this.#entries(folder)
    const tree = { connections: this.#options.connections, signal, isEntered: looksInto(depth) }
    yield* walk(entries, { ...tree, read: (path) => this.#entries(path), stat: (path) => this.stat(path) })
  }

  async #entries(folder: string): Promise<FolderEntries> {
    const see = (path: string): void => {
      this.#asides.see(path)
      this.#adrift.see(path)
    }
    const where = { path: folder, label: this.label, see, counted: this.#one.counting(folder) }
    const entries = await this.#use(folder, 'list', (connection) => listFolder(connection, { ...where, at: this.#full(folder) }))
    if (folder !== '') this.#boundary.remember(folder)
    return entries
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    safePath(path, this.label)
    return this.#use(path, 'look at', async (connection) => {
      await this.#inside(connection, path, false)
      await this.#asides.mend(this.#renaming(connection), path)
      return this.#entry(connection, path)
    })
  }

  /** Links not followed. By itself where the answers settle it; else the folder's listing does. */
  async #entry(connection: FtpConnection, path: string): Promise<FileEntry | undefined> {
    const found = connection.features.has('MLST')
      ? await lookUp(connection, this.#full(path), path)
      : await this.#one.lookUp(connection, this.#full(parentOf(path)), path)
    return found === 'unclear' ? this.#listed(connection, path) : found
  }

  /** An entry by the listing of its folder. Throws for a folder that may not be listed: what it holds nobody can say. */
  async #listed(connection: FtpConnection, path: string): Promise<FileEntry | undefined> {
    const folder = parentOf(path)
    try {
      const where = { at: this.#full(folder), path: folder, label: this.label, counted: this.#one.counting(folder) }
      const [entry] = await listFolder(connection, { ...where, only: path })
      return entry
    } catch (error) {
      const meaning = meaningOf(error, connection)
      if (meaning === 'missing') return undefined
      if (meaning !== 'unclear') throw error
      const stands = folder === '' || (await this.#entry(connection, folder))?.kind === 'folder'
      if (stands) throw permissionDenied(this.label, folder, 'list', error)
      return undefined
    }
  }

  async #inside(connection: FtpConnection, path: string, followed: boolean): Promise<void> {
    // By a listing: MLST says nothing of a link that leads nowhere, or outside.
    const look = (each: string): Promise<FileEntry | undefined> => this.#listed(connection, each)
    if (followed) await this.#boundary.checkFollowed(path, look)
    else await this.#boundary.check(path, look)
  }

  async read(path: string, options: ReadOptions = {}): Promise<Readable> {
    safePath(path, this.label)
    const { entry, offset = 0, signal } = options
    signal?.throwIfAborted()
    const connection = await this.#pool.take()
    try {
      await this.#ready(connection)
      const known = entry?.path === path && entry.kind === 'file' ? entry : undefined
      await this.#inside(connection, path, known === undefined)
      const size = known?.size ?? (await sizeOf(connection, this.#full(path)))
      const { stream, ended } = download(connection, this.#full(path), {
        offset,
        size,
        failed: (error) => this.#failure(error, path, 'read', connection),
      })
      void ended.then(() => this.#pool.giveBack(connection))
      return endedBy(stream, signal)
    } catch (error) {
      const failure = await this.#failure(error, path, 'read', connection)
      const wasDropped = this.#pool.wasDropped(connection, failure)
      this.#pool.giveBack(connection)
      if (wasDropped) return this.read(path, options)
      throw failure
    }
  }

  async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    safePath(path, this.label)
    signal?.throwIfAborted()
    try {
      await this.#adrift.settle()
      return await this.#use(path, 'write', async (connection) => {
        await this.#folderFor(connection, path)
        const failed = (error: unknown) => this.#failure(error, path, 'write', connection)
        return writeByPart(connection, { ...this.#place(connection), ...this.#tries, path, failed }, content, options, signal)
      })
    } catch (error) {
      content.destroy()
      // A leftover does no harm, but on a full disk it takes room; the first error is the one to tell.
      if (error instanceof MigrateError && !error.retrySafe) await this.remove(partPath(path)).catch(() => undefined)
      throw error
    }
  }

  async makeFolder(path: string, mode: number | null): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'make', async (connection) => {
      await this.#folderFor(connection, `${path}/x`)
      if (mode !== null)
        await connection.client.sendIgnoringError(`SITE CHMOD ${(mode & 0o7777).toString(8)} ${this.#full(path)}`)
    })
  }

  /** Makes every folder above a path that isn't there. */
  async #folderFor(connection: FtpConnection, path: string): Promise<void> {
    for (const folder of foldersAbove(path)) {
      if (this.#boundary.knows(folder)) continue
      await this.#inside(connection, folder, true)
      if (this.#boundary.knows(folder)) continue
      const there = await this.#entry(connection, folder)
      if (there === undefined) await this.#make(connection, folder)
      else if (there.kind === 'file' || there.kind === 'other')
        throw filesFailed(this.label, folder, 'use as a folder', new Error('something else stands there'))
      this.#boundary.remember(folder)
    }
  }

  /** Another connection may have made it meanwhile. */
  async #make(connection: FtpConnection, folder: string): Promise<void> {
    try {
      await connection.client.send(`MKD ${this.#full(folder)}`)
    } catch (error) {
      if ((await this.#entry(connection, folder))?.kind !== 'folder') throw error
    }
  }

  async link(path: string, target: string): Promise<void> {
    safePath(path, this.label)
    if (!targetStaysInside(path, target, null)) throw escapes(this.label, path, 'would be a link that leads outside')
    throw noLinks(this.label, path)
  }

  async remove(path: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'remove', async (connection) => {
      await this.#inside(connection, path, false)
      await this.#renaming(connection).remove(path)
      this.#boundary.forget()
    })
  }

  async removeFolder(path: string): Promise<void> {
    safePath(path, this.label)
    await this.#use(path, 'remove', async (connection) => {
      await this.#inside(connection, path, false)
      const answer = await connection.client.sendIgnoringError(`RMD ${this.#full(path)}`)
      this.#boundary.forget()
      if (answer.code < 400 || (await this.#entry(connection, path)) === undefined) return
      const held = await listFolder(connection, { at: this.#full(path), path, label: this.label })
      if (held.length === 0) throw permissionDenied(this.label, path, 'remove', new FTPError(answer))
    })
  }

  async sha256(path: string, signal?: AbortSignal): Promise<string> {
    safePath(path, this.label)
    const found = await this.#use(path, 'read', async (connection) => {
      await this.#inside(connection, path, true)
      return serverHash(connection, this.#full(path))
    })
    return found ?? hashOf(await this.read(path, signal ? { signal } : {}))
  }

  async hashes(paths: readonly string[], signal?: AbortSignal): Promise<readonly (string | null)[]> {
    const found: (string | null)[] = []
    for (const path of paths) {
      signal?.throwIfAborted()
      safePath(path, this.label)
      const hash = await this.#use(path, 'hash', async (connection) => {
        await this.#inside(connection, path, false)
        return serverHash(connection, this.#full(path))
      })
      found.push(hash ?? null)
    }
    return found
  }

  freeBytes = () => this.#use('', 'look at', (connection) => freeBytes(connection, this.#full('')))
  freeFiles = (): Promise<null> => Promise.resolve(null) // FTP has no word for it

  async sweep(): Promise<void> {
    await this.#adrift.settle()
    for (const path of this.#asides.pending())
      await this.#use(path, 'put back', (connection) => this.#asides.settle(this.#renaming(connection), path))
  }

  close = (): Promise<void> => this.#pool.close()

  readonly #place = (connection: FtpConnection) => {
    const look = (path: string): Promise<FileEntry | undefined> => this.#entry(connection, path)
    return { label: this.label, full: (path: string): string => this.#full(path), look }
  }

  readonly #renaming = (connection: FtpConnection) => renamingBy(connection, this.#place(connection))

  async #use<T>(path: string, doing: string, work: (connection: FtpConnection) => Promise<T>): Promise<T> {
    return this.#pool.use(async (connection) => {
      try {
        await this.#ready(connection)
        return await work(connection)
      } catch (error) {
        throw await this.#failure(error, path, doing, connection)
      }
    })
  }

  /** The words of a refusal may leave open whether the file is there at all: then it is looked for. */
  async #failure(error: unknown, path: string, doing: string, connection: FtpConnection): Promise<MigrateError> {
    if (error instanceof MigrateError) return error
    const about = { label: this.label, path, doing, connection }
    const last = await lastWord(error, connection)
    if (last !== undefined) return mapped(last, about)
    if (meaningOf(error, connection) !== 'unclear' || doing === 'write') return mapped(error, about)
    try {
      return mapped(error, about, path === '' || (await this.#entry(connection, path)) !== undefined)
    } catch (second) {
      return mapped(second, about, true)
    }
  }

  async #ready(connection: FtpConnection): Promise<void> {
    this.#root ??= await findRoot(connection, this.#options)
    if (this.#root === undefined) throw fileMissing(this.label, '')
  }

  /** As commands name it. */
  #full(path: string): string {
    return wholePath(this.#root ?? '', path, this.label)
  }
}
