import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { comparePaths } from '../../src/files/paths.ts'
import type { FileEntry, FileHost } from '../../src/files/port.ts'

/** The folder as its owner sees it, whatever the host says. */
export interface Truth {
  put(path: string, bytes: Buffer, mode?: number, mtimeSeconds?: number): void
  folder(path: string): void
  link(path: string, target: string): void
  /** A file's bytes; `undefined` when nothing stands under the path. */
  read(path: string): Buffer | undefined
  /** Every path, sorted. */
  paths(): readonly string[]
}

export interface FilesUnderTest {
  readonly host: FileHost
  readonly truth: Truth
  /** The same folder for an account that may not write; absent where there is none. */
  readonly readOnly?: FileHost
  /** Nobody may list or read this path from now on. */
  deny?(path: string): void
  /** The disk is full after so many more bytes; `undefined` mends it. */
  fill?(afterBytes: number | undefined): void
  /** The connection breaks after so many more bytes; `undefined` mends it. */
  cut?(afterBytes: number | undefined): void
  stop(): Promise<void>
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const from = (...chunks: readonly (string | Buffer)[]): Readable => Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
const plainly = { mode: 0o640, mtimeSeconds: 1_250_000_000 }

async function bytesOf(stream: Promise<Readable>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of (await stream) as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function listed(host: FileHost, folder?: string): Promise<readonly FileEntry[]> {
  const entries: FileEntry[] = []
  for await (const entry of host.list(folder)) entries.push(entry)
  return entries
}

async function errorOf(work: Promise<unknown>): Promise<MigrateError> {
  try {
    await work
  } catch (error) {
    if (error instanceof MigrateError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** What every FileHost and fake keeps to (src/files/port.ts). `start` gives an empty folder. */
export function filesContract(name: string, start: () => Promise<FilesUnderTest>): void {
  describe(`files contract: ${name}`, () => {
    let under: FilesUnderTest
    beforeEach(async () => {
      under = await start()
    })
    afterEach(() => under.stop())
    const use = (): FilesUnderTest => under
    listing(use)
    contents(use)
    writing(use)
    boundary(use)
    failures(use)
  })
}

function listing(use: () => FilesUnderTest): void {
  it('lists everything, folders before what they hold, in the one order of paths', async () => {
    const { host, truth } = use()
    for (const path of ['b/z', 'b/a/1', 'b.txt', 'b-1', 'a', 'ä/ö', '\u{1f600}', '\uff21']) truth.put(path, Buffer.from(path))
    truth.folder('empty')
    const paths = (await listed(host)).map((entry) => entry.path)
    expect(paths).toEqual([...truth.paths()].sort(comparePaths))
    expect(paths.indexOf('b/z')).toBeLessThan(paths.indexOf('b-1'))
    expect(paths.indexOf('\uff21')).toBeLessThan(paths.indexOf('\u{1f600}'))
  })

  it('lists a thousand files in many folders completely', async () => {
    const { host, truth } = use()
    for (let index = 0; index < 1200; index += 1) truth.put(`d${index % 40}/e${index % 7}/f${index}`, Buffer.from('x'))
    expect((await listed(host)).map((entry) => entry.path)).toEqual([...truth.paths()].sort(comparePaths))
  })

  it('tells kind, size, mode, time and where a link points', async () => {
    const { host, truth } = use()
    truth.put('folder/file', Buffer.from('12345'), 0o604, 1_111_111_111)
    truth.link('link', 'folder/file')
    const entries = await listed(host)
    expect(entries).toContainEqual({
      path: 'folder/file',
      kind: 'file',
      size: 5,
      mode: 0o604,
      mtimeSeconds: 1_111_111_111,
      target: null,
    })
    expect(entries.find((entry) => entry.path === 'folder')).toMatchObject({ kind: 'folder', size: 0, target: null })
    expect(entries.find((entry) => entry.path === 'link')).toMatchObject({ kind: 'link', size: 0, target: 'folder/file' })
    expect(await host.stat('folder/file')).toEqual(entries.find((entry) => entry.path === 'folder/file'))
    expect(await host.stat('nothing')).toBeUndefined()
  })

  it('lists what lies below one folder, with paths from the root', async () => {
    const { host, truth } = use()
    for (const path of ['a/x/1', 'a/y', 'b']) truth.put(path, Buffer.from(path))
    expect((await listed(host, 'a')).map((entry) => entry.path)).toEqual(['a/x', 'a/x/1', 'a/y'])
    expect((await errorOf(listed(host, 'c'))).code).toBe('file-missing')
  })

  it('throws for a folder that may not be listed, rather than pass over it', async (context) => {
    const { host, truth, deny } = use()
    if (deny === undefined) return context.skip('nothing can be denied to this account')
    truth.put('open/1', Buffer.from('1'))
    truth.put('shut/2', Buffer.from('2'))
    deny('shut')
    const error = await errorOf(listed(host))
    expect(error.code).toBe('file-permission-denied')
    expect(error.message).toContain('shut')
  })

  it('carries names of every kind: spaces, quotes, line breaks, 255 bytes, other scripts', async () => {
    const { host, truth } = use()
    const names = [
      'a b',
      'it\'s "quoted" $HOME `id` \\',
      'new\nline',
      '*?[x]',
      '-rf',
      'é'.normalize('NFD'),
      '漢字',
      'x'.repeat(255),
      '.hidden',
    ]
    for (const path of names) await host.write(`odd/${path}`, from(path), plainly)
    expect((await listed(host, 'odd')).map((entry) => entry.path).sort()).toEqual(names.map((path) => `odd/${path}`).sort())
    for (const path of names) expect(truth.read(`odd/${path}`)?.toString()).toBe(path)
    for (const path of names) expect((await bytesOf(host.read(`odd/${path}`))).toString()).toBe(path)
  })
}

function contents(use: () => FilesUnderTest): void {
  it('reads from the start, from an offset, past the end, and an empty file', async () => {
    const { host, truth } = use()
    const bytes = randomBytes(200_000)
    truth.put('file', bytes)
    truth.put('empty', Buffer.alloc(0))
    expect((await bytesOf(host.read('file'))).equals(bytes)).toBe(true)
    expect((await bytesOf(host.read('file', { offset: 123_456 }))).equals(bytes.subarray(123_456))).toBe(true)
    expect(await bytesOf(host.read('file', { offset: 200_000 }))).toHaveLength(0)
    expect(await bytesOf(host.read('empty'))).toHaveLength(0)
  })

  it('reads every size around a request, with and without the entry', async () => {
    const { host, truth } = use()
    for (const size of [0, 1, 8192, 31_951, 31_952, 31_953, 32_767, 32_768, 32_769, 65_536, 100_000]) {
      const bytes = randomBytes(size)
      truth.put('file', bytes)
      const entry = await host.stat('file')
      expect((await bytesOf(host.read('file'))).equals(bytes), `${size}`).toBe(true)
      expect((await bytesOf(host.read('file', entry ? { entry } : {}))).equals(bytes), `${size} with entry`).toBe(true)
    }
  })

  it('says that a file is missing, through the stream or before it', async () => {
    const error = await errorOf(bytesOf(use().host.read('nowhere/file')))
    expect(error.code).toBe('file-missing')
    expect(error.message).toContain('nowhere/file')
  })

  it('hashes a large file as it stands there', async () => {
    const { host, truth } = use()
    const piece = randomBytes(1024 * 1024)
    const pieces = Array.from({ length: 64 }, (_, index) => Buffer.concat([piece.subarray(index), piece.subarray(0, index)]))
    const written = await host.write('large', Readable.from(pieces), plainly)
    const whole = Buffer.concat(pieces)
    expect(written).toEqual({ size: whole.length, sha256: sha256(whole) })
    expect(await host.sha256('large')).toBe(written.sha256)
    expect(sha256(truth.read('large') ?? Buffer.alloc(0))).toBe(written.sha256)
  })

  it('stops reading when it is told to', async () => {
    const { host, truth } = use()
    truth.put('file', randomBytes(3_000_000))
    const stop = new AbortController()
    const stream = await host.read('file', { signal: stop.signal })
    const reading = (async () => {
      for await (const _ of stream) stop.abort(new Error('enough'))
    })()
    await expect(reading).rejects.toThrow()
    expect(await bytesOf(host.read('file'))).toHaveLength(3_000_000)
  })
}

function writing(use: () => FilesUnderTest): void {
  it('writes a file with its mode and time, folders made on the way, and leaves nothing beside it', async () => {
    const { host, truth } = use()
    const written = await host.write('a/b/file', from('hello ', 'world'), plainly)
    expect(written).toEqual({ size: 11, sha256: sha256(Buffer.from('hello world')) })
    expect(truth.paths()).toEqual(['a', 'a/b', 'a/b/file'])
    expect(truth.read('a/b/file')?.toString()).toBe('hello world')
    expect(await host.stat('a/b/file')).toMatchObject({ mode: 0o640, mtimeSeconds: 1_250_000_000, size: 11 })
  })

  it('replaces a file, an empty one too, and a link by a file without following it', async () => {
    const { host, truth } = use()
    truth.put('kept', Buffer.from('kept'))
    truth.put('file', Buffer.from('old and longer'))
    truth.link('link', 'kept')
    await host.write('file', from('new'), plainly)
    await host.write('link', from('a file now'), plainly)
    await host.write('empty', from(), plainly)
    expect(['file', 'link', 'kept', 'empty'].map((path) => truth.read(path)?.toString())).toEqual([
      'new',
      'a file now',
      'kept',
      '',
    ])
    expect(await host.stat('link')).toMatchObject({ kind: 'file' })
    expect(truth.paths()).toHaveLength(4)
  })

  it('overwrites what an earlier try left', async () => {
    const { host, truth } = use()
    truth.put('.file.migrate-part', Buffer.from('a leftover, longer than the file'), 0o400)
    await host.write('file', from('whole'), plainly)
    expect(truth.paths()).toEqual(['file'])
    expect(truth.read('file')?.toString()).toBe('whole')
  })

  it('keeps the old content when the new one breaks off', async () => {
    const { host, truth } = use()
    truth.put('file', Buffer.from('old'))
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000)
        throw new MigrateError('snapshot-damaged', 'the source broke')
      })(),
    )
    expect((await errorOf(host.write('file', broken, plainly))).code).toBe('snapshot-damaged')
    expect(truth.read('file')?.toString()).toBe('old')
  })

  it('makes folders, links and removes, all of it twice without harm', async () => {
    const { host, truth } = use()
    for (let times = 0; times < 2; times += 1) {
      await host.makeFolder('a/b/c', 0o750)
      await host.link('a/link', 'b/c')
      await host.write('a/file', from('x'), plainly)
    }
    expect(await host.stat('a/b/c')).toMatchObject({ kind: 'folder', mode: 0o750 })
    expect(await host.stat('a/link')).toMatchObject({ kind: 'link', target: 'b/c' })
    await host.removeFolder('a')
    expect(truth.paths()).toEqual(['a', 'a/b', 'a/b/c', 'a/file', 'a/link'])
    for (let times = 0; times < 2; times += 1) {
      for (const path of ['a/file', 'a/link']) await host.remove(path)
      for (const path of ['a/b/c', 'a/b', 'a']) await host.removeFolder(path)
    }
    expect(truth.paths()).toEqual([])
  })

  it('writes hundreds of small files side by side', async () => {
    const { host, truth } = use()
    const paths = Array.from({ length: 300 }, (_, index) => `many/d${index % 10}/f${index}`)
    await Promise.all(paths.map((path) => host.write(path, from(path), plainly)))
    expect(paths.every((path) => truth.read(path)?.toString() === path)).toBe(true)
    const found = await listed(host, 'many')
    const contents = found
      .filter((entry) => entry.kind === 'file')
      .map(async (entry) => (await bytesOf(host.read(entry.path, { entry }))).toString())
    expect((await Promise.all(contents)).sort()).toEqual([...paths].sort())
  })
}

function boundary(use: () => FilesUnderTest): void {
  it('refuses paths that leave the folder', async () => {
    const { host } = use()
    for (const path of ['../x', '/etc/passwd', 'a/../../x', 'a//b', './x', '', 'a/', 'nul\0']) {
      expect((await errorOf(host.write(path, from('x'), plainly))).code, path).toBe('path-escapes-root')
      expect((await errorOf(bytesOf(host.read(path)))).code, path).toBe('path-escapes-root')
      expect((await errorOf(host.remove(path))).code, path).toBe('path-escapes-root')
    }
  })

  it('refuses a way through a link that leads outside, and follows one that stays within', async () => {
    const { host, truth } = use()
    truth.link('out', '../elsewhere')
    truth.link('absolute', '/etc')
    truth.put('real/file', Buffer.from('in'))
    truth.link('in', 'real')
    truth.link('again', 'in')
    for (const path of ['out/x', 'absolute/passwd']) {
      expect((await errorOf(host.write(path, from('x'), plainly))).code).toBe('path-escapes-root')
      expect((await errorOf(bytesOf(host.read(path)))).code).toBe('path-escapes-root')
    }
    expect((await errorOf(bytesOf(host.read('absolute')))).code).toBe('path-escapes-root')
    expect((await bytesOf(host.read('again/file'))).toString()).toBe('in')
    await host.write('in/new', from('new'), plainly)
    expect(truth.read('real/new')?.toString()).toBe('new')
  })

  it('refuses to make a link that leads outside', async () => {
    const { host, truth } = use()
    for (const target of ['../x', '/etc/passwd', 'a/../../x']) {
      expect((await errorOf(host.link('link', target))).code, target).toBe('path-escapes-root')
    }
    expect(truth.paths()).toEqual([])
    await host.link('a/b/link', '../../within')
    expect(await host.stat('a/b/link')).toMatchObject({ target: '../../within' })
  })
}

function failures(use: () => FilesUnderTest): void {
  it('says of an account that may not write that it may not, and writes nothing', async (context) => {
    const { host, truth, readOnly } = use()
    if (readOnly === undefined) return context.skip('there is no such account')
    truth.put('file', Buffer.from('1'))
    expect((await host.check('write')).filter((finding) => finding.severity === 'error')).toEqual([])
    expect(await readOnly.check('read')).toEqual([])
    const [finding] = await readOnly.check('write')
    expect(finding).toMatchObject({ severity: 'error', code: 'files-not-writable' })
    expect((await bytesOf(readOnly.read('file'))).toString()).toBe('1')
    const attempts = [
      () => readOnly.write('file', from('2'), plainly),
      () => readOnly.makeFolder('f', null),
      () => readOnly.remove('file'),
      () => readOnly.link('l', 'file'),
    ]
    for (const attempt of attempts) expect((await errorOf(attempt())).code).toBe('file-permission-denied')
    expect(truth.paths()).toEqual(['file'])
    expect(truth.read('file')?.toString()).toBe('1')
  })

  it('leaves the old file and says so when the disk is full, and goes on when there is room', async (context) => {
    const { host, truth, fill } = use()
    if (fill === undefined) return context.skip('this disk can’t be filled here')
    truth.put('file', Buffer.from('old'))
    fill(100_000)
    const error = await errorOf(host.write('file', from(Buffer.alloc(400_000)), plainly))
    expect(error.code).toBe('files-disk-full')
    expect(error.hint).toContain('run again')
    expect(truth.read('file')?.toString()).toBe('old')
    fill(undefined)
    await host.write('file', from('new'), plainly)
    expect(truth.read('file')?.toString()).toBe('new')
  })

  it('never shows half a file when the connection is cut, wherever that is, and goes on after it', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    const content = randomBytes(300_000)
    for (const after of [1, 5_000, 50_000, 150_000, 290_000]) {
      truth.put('file', Buffer.from('old'))
      await host.stat('file') // connected, so that the file is cut and not the login
      cut(after)
      const error = await errorOf(host.write('file', from(content), plainly))
      expect(error.code).toBe('files-connection-lost')
      expect(error.retrySafe).toBe(true)
      expect([undefined, 'old']).toContain(truth.read('file')?.toString())
      cut(undefined)
      expect((await host.write('file', from(content), plainly)).sha256).toBe(sha256(content))
      expect(truth.read('file')?.equals(content)).toBe(true)
    }
  })

  it('never takes the beginning of a file or a listing for the whole when the connection is cut', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    truth.put('large', randomBytes(300_000))
    for (let index = 0; index < 1500; index += 1) truth.put(`f${index % 5}/${index}`, Buffer.from('x'))
    for (const work of [() => bytesOf(host.read('large')), () => host.sha256('large'), () => listed(host)]) {
      await host.stat('large')
      cut(20_000)
      expect((await errorOf(work())).code).toBe('files-connection-lost')
      cut(undefined)
      await work()
    }
  })
}
