import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Finding } from '../../src/base/errors.ts'
import { looksInto } from '../../src/files/depth.ts'
import { diskFull, fileMissing, filesFailed, permissionDenied } from '../../src/files/failures.ts'
import { notWritable } from '../../src/files/findings.ts'
import { lastLook } from '../../src/files/last-look.ts'
import {
  comparePaths,
  escapes,
  foldersAbove,
  joinPath,
  parentOf,
  partPath,
  safePath,
  targetStaysInside,
} from '../../src/files/paths.ts'
import type { FileEntry, FileHost, FilePowers, ListDepth, ReadOptions, WriteOptions, WrittenFile } from '../../src/files/port.ts'
import { ANY_TIME } from '../../src/files/times.ts'

interface Node {
  readonly kind: 'file' | 'folder' | 'link'
  readonly mode: number
  readonly mtimeSeconds: number
  readonly bytes: Buffer
  readonly target: string | null
}

/** A FileHost in memory, for the simulation. It passes test/contract/files.ts like the real ones. */
export class MemoryFiles implements FileHost {
  readonly label: string
  /** The world's state: compare two of them, or change it from a test as a customer would. */
  readonly nodes = new Map<string, Node>()
  readOnly = false
  /** A path that nobody may list or read. */
  denied: string | undefined
  /** Bytes that fit in all. */
  capacity = Number.POSITIVE_INFINITY

  constructor(label = 'memory://files') {
    this.label = label
  }

  /** Everything there, as comparable text; two equal worlds give equal texts. */
  fingerprint(): string {
    const lines = [...this.nodes]
      .sort(([a], [b]) => comparePaths(a, b))
      .map(([path, node]) => {
        const time = node.kind === 'file' ? node.mtimeSeconds : 0
        return `${path} ${node.kind} ${node.mode.toString(8)} ${time} ${node.target ?? hashOf(node.bytes)}`
      })
    return lines.join('\n')
  }

  /** Puts a file there directly, with its folders. */
  put(path: string, text: string, mode = 0o644, mtimeSeconds = 1_700_000_000): void {
    this.#foldersFor(path)
    this.nodes.set(path, { kind: 'file', mode, mtimeSeconds, bytes: Buffer.from(text), target: null })
  }

  async powers(): Promise<FilePowers> {
    const all = {
      atomicReplace: true,
      links: true,
      modes: true,
      freeSpace: true,
      times: true,
      lineBreaks: true,
      offsets: true,
      timeSeconds: 1,
      timeRange: ANY_TIME,
      flushes: 'all',
      copies: false,
    } as const
    return { ...all, names: 'bytes', hash: null, foldsCase: false, sealed: true }
  }

  async check(purpose: 'read' | 'write'): Promise<readonly Finding[]> {
    return purpose === 'write' && this.readOnly ? [notWritable(this.label, 'error')] : []
  }

  async *list(folder = '', signal?: AbortSignal, depth: ListDepth = 'below'): AsyncIterable<FileEntry> {
    if (folder !== '') {
      this.#resolve(folder, true)
      if (this.nodes.get(folder)?.kind !== 'folder') throw fileMissing(this.label, folder)
    }
    const isEntered = looksInto(depth)
    const paths = [...this.nodes.keys()].filter((path) => folder === '' || path.startsWith(`${folder}/`)).sort(comparePaths)
    for (const path of paths) {
      signal?.throwIfAborted()
      const above = foldersAbove(path).slice(folder === '' ? 0 : folder.split('/').length)
      if (!above.every(isEntered)) continue
      const entry = this.#entryAt(path)
      if (entry !== undefined) yield entry
      if (path === this.denied && entry?.kind === 'folder' && isEntered(path)) throw permissionDenied(this.label, path, 'list')
    }
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    return this.#entryAt(path)
  }

  #entryAt(path: string): FileEntry | undefined {
    const node = this.nodes.get(this.#resolve(path, false))
    if (node === undefined) return undefined
    const { kind, mode, mtimeSeconds, target } = node
    return { path, kind, size: node.bytes.length, mode, mtimeSeconds, target }
  }

  async read(path: string, options: ReadOptions = {}): Promise<Readable> {
    const node = this.nodes.get(this.#resolve(path, true))
    if (node === undefined) throw fileMissing(this.label, path)
    if (path === this.denied) throw permissionDenied(this.label, path, 'read')
    if (node.kind !== 'file') throw filesFailed(this.label, path, 'read', new Error('it is a folder'))
    return Readable.from(pieces(node.bytes.subarray(options.offset, options.entry?.size), options.signal))
  }

  async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    const where = this.#writable(path)
    const chunks: Buffer[] = []
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal?.throwIfAborted()
      chunks.push(chunk)
    }
    const bytes = Buffer.concat(chunks)
    if (this.#used() + bytes.length > this.capacity) throw diskFull(this.label, path, this.capacity - this.#used())
    if (this.nodes.get(where)?.kind === 'folder')
      throw filesFailed(this.label, path, 'write', new Error('a folder has this name'))
    await lastLook(options, { label: this.label, path }, () => this.stat(path))
    this.#foldersFor(where)
    const mtimeSeconds = Math.floor(options.mtimeSeconds)
    this.nodes.delete(partPath(where))
    this.nodes.set(where, { kind: 'file', mode: options.mode ?? 0o644, mtimeSeconds, bytes, target: null })
    return { size: bytes.length, sha256: hashOf(bytes) }
  }

  async makeFolder(path: string, mode: number | null): Promise<void> {
    if (path === '') return
    const where = this.#writable(path)
    this.#foldersFor(joinPath(where, 'x'))
    const node = this.nodes.get(where)
    if (node?.kind === 'folder' && mode !== null) this.nodes.set(where, { ...node, mode })
  }

  async link(path: string, target: string): Promise<void> {
    const where = this.#writable(path)
    if (!targetStaysInside(path, target, null)) throw escapes(this.label, path, `would be a link to ${target}`)
    this.#foldersFor(where)
    this.nodes.set(where, { kind: 'link', mode: 0o777, mtimeSeconds: 0, bytes: Buffer.alloc(0), target })
  }

  async remove(path: string): Promise<void> {
    this.nodes.delete(this.#writable(path))
  }

  async removeFolder(path: string): Promise<void> {
    const where = this.#writable(path)
    const held = [...this.nodes.keys()].some((other) => other.startsWith(`${where}/`))
    if (!held && this.nodes.get(where)?.kind === 'folder') this.nodes.delete(where)
  }

  async sha256(path: string): Promise<string> {
    const hash = createHash('sha256')
    for await (const chunk of await this.read(path)) hash.update(chunk)
    return hash.digest('hex')
  }

  async hashes(paths: readonly string[]): Promise<readonly (string | null)[]> {
    return paths.map(() => null)
  }

  async freeFiles(): Promise<number | null> {
    return null
  }

  async freeBytes(): Promise<number | null> {
    return Number.isFinite(this.capacity) ? this.capacity - this.#used() : null
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  #used(): number {
    return [...this.nodes.values()].reduce((sum, node) => sum + node.bytes.length, 0)
  }

  #writable(path: string): string {
    if (this.readOnly) throw permissionDenied(this.label, path, 'write')
    return this.#resolve(path, false)
  }

  #foldersFor(path: string): void {
    for (const folder of foldersAbove(path)) {
      if (this.nodes.has(folder)) continue
      this.nodes.set(folder, { kind: 'folder', mode: 0o755, mtimeSeconds: 0, bytes: Buffer.alloc(0), target: null })
    }
  }

  /** The path with links on the way replaced by where they lead, which must be within the root. */
  #resolve(path: string, followLast: boolean): string {
    let rest = safePath(path, this.label).split('/')
    let resolved = ''
    for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
      const next = joinPath(resolved, part)
      const target = this.nodes.get(next)?.target ?? null
      if (target === null || (rest.length === 0 && !followLast)) {
        resolved = next
        continue
      }
      if (!targetStaysInside(next, target, null)) throw escapes(this.label, path, 'leads outside through a link')
      rest = [...collapse(joinPath(parentOf(next), target)).split('/'), ...rest]
      resolved = ''
    }
    return resolved
  }
}

function* pieces(bytes: Buffer, signal: AbortSignal | undefined): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    signal?.throwIfAborted()
    yield bytes.subarray(at, at + 65_536)
  }
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

function collapse(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return parts.join('/')
}
