import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { TestContext } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { FileEntry, FileHost, ListDepth, WrittenFile } from '../../src/files/port.ts'
import type { FaultProxy } from '../servers/fault-proxy.ts'

/** What Windows has otherwise: no links and no modes at all, no name that it refuses, no setting of times. */
type Windows = 'all but Windows'

/** The folder as its owner sees it, whatever the host says. */
export interface Truth {
  put(path: string, bytes: Buffer, mode?: number, mtimeSeconds?: number): void
  folder(path: string): void
  link(path: string, target: string): void
  remove?(path: string): void
  /** A file's bytes; `undefined` when nothing stands under the path. */
  read(path: string): Buffer | undefined
  /** Every path, sorted. */
  paths(): readonly string[]
}

export interface FilesUnderTest {
  readonly host: FileHost
  readonly truth: Truth
  /** What its protocol or server can't do, and must refuse by name or say in `powers`. */
  readonly lacks?: readonly ('links' | 'modes' | 'line breaks' | 'backslashes' | 'sight of line breaks' | 'raw names' | Windows)[]
  /** The same folder for an account that may not write; absent where there is none. */
  readonly readOnly?: FileHost
  /** The same folder, asked with short time limits. */
  readonly impatient?: FileHost
  /** Every entry costs a new data connection: a quarter of the usual number of files and folders has to do. */
  readonly isSlow?: boolean
  /** Nobody may list or read this path from now on. */
  deny?(path: string): void
  /** The disk is full after so many more bytes; `undefined` mends it. */
  fill?(afterBytes: number | undefined): void
  /** The connection breaks after so many more bytes; `undefined` mends it. */
  cut?(afterBytes: number | undefined): void
  /** Nothing passes any more after so many more bytes, and nobody is told; `undefined` mends it. */
  freeze?(afterBytes: number | undefined): void
  /** A bit of the content on its way `up` to the host or `down` from it is turned over at this place; `undefined` mends it. */
  corrupt?(change: { readonly atByte: number; readonly direction: 'up' | 'down' } | undefined): void
  stop(): Promise<void>
}

/** A host that does some things otherwise. */
export const overriding = (host: FileHost, change: Partial<FileHost>): FileHost =>
  new Proxy(host, {
    get: (target, name) => {
      const value: unknown = Reflect.get(change, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

/** One case of the suite: vitest's own `it`, or something that passes some of them on to it. */
export type Case = (title: string, run: (context: TestContext) => Promise<void> | void) => void

/** What a proxy can do to a host behind it; `seed`: what it goes on with when it is mended. */
export function faultsOf(proxy: FaultProxy, seed?: number): Pick<FilesUnderTest, 'cut' | 'freeze' | 'corrupt'> {
  const mend = (): void => {
    proxy.mend()
    if (seed !== undefined) proxy.shred(seed)
  }
  return {
    cut: (afterBytes) => (afterBytes === undefined ? mend() : proxy.cut(afterBytes)),
    freeze: (afterBytes) => (afterBytes === undefined ? mend() : void proxy.freeze(afterBytes)),
    corrupt: (change) => (change === undefined ? mend() : proxy.corrupt(change.atByte, change.direction)),
  }
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const from = (...chunks: readonly (string | Buffer)[]): Readable =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
export const plainly = { mode: 0o640, mtimeSeconds: 1_250_000_000 }

/** What a host says of content that it has written: also when it took no time, as its powers say. */
export async function writtenBy(host: FileHost, bytes: Buffer): Promise<WrittenFile> {
  const { times } = await host.powers()
  return { size: bytes.length, sha256: sha256(bytes), ...(times ? {} : { untimed: true }) }
}

export async function bytesOf(stream: Promise<Readable>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of (await stream) as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function listed(host: FileHost, folder?: string, depth?: ListDepth): Promise<readonly FileEntry[]> {
  const entries: FileEntry[] = []
  for await (const entry of host.list(folder, undefined, depth)) entries.push(entry)
  return entries
}

export async function errorOf(work: Promise<unknown>): Promise<MigrateError> {
  try {
    await work
  } catch (error) {
    if (error instanceof MigrateError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
