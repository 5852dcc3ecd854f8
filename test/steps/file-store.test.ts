import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { directly } from '../../src/run/step.ts'
import { openEarlier } from '../../src/steps/file-earlier.ts'
import { FileStore, type StoredEntry } from '../../src/steps/file-store.ts'

const ENTRY: StoredEntry = {
  path: 'a.txt',
  kind: 'file',
  size: 2,
  mode: 0o644,
  mtimeSeconds: 1,
  target: null,
  sha256: 'f'.repeat(64),
}

/** For a program that is given as text. */
const MODULE = ['--no-warnings', '--input-type=module', '-e']

/** Keeps one entry, says so, and dies with its files open. */
const DYING = (directory: string): string => `
  import { FileStore } from ${JSON.stringify(new URL('../../src/steps/file-store.ts', import.meta.url).href)}
  const store = FileStore.open(${JSON.stringify(directory)}, (_name, effect) => effect())
  await store.keep(${JSON.stringify(ENTRY)}, Buffer.from('hi'))
  process.kill(process.pid, 'SIGKILL')
`

/** Dies in the midst of changing an index that is kept without a write-ahead log, as one at rest is: some of it is on the disk already. */
const DYING_UNLOGGED = (directory: string): string => `
  import { DatabaseSync } from 'node:sqlite'
  const index = new DatabaseSync(${JSON.stringify(join(directory, 'index.db'))})
  index.exec("PRAGMA cache_size = 10; BEGIN IMMEDIATE; DELETE FROM entries")
  const note = index.prepare("INSERT INTO notes VALUES (?, 'long'), (? || '2', zeroblob(100000))")
  for (let number = 0; number < 20; number += 1) note.run(number, number)
  process.kill(process.pid, 'SIGKILL')
`

/** Takes in a content, and says how that ended. */
const TAKING = (directory: string, bytes: number): string => `
  import { Readable } from 'node:stream'
  import { FileStore } from ${JSON.stringify(new URL('../../src/steps/file-store.ts', import.meta.url).href)}
  const store = FileStore.open(${JSON.stringify(directory)}, (_name, effect) => effect())
  const taking = store.objects.take(Readable.from([Buffer.alloc(${bytes})]))
  await taking.then(() => console.log('taken'), ({ code }) => console.log(code))
`

/** Reads a content slowly whose third piece the disk doesn't give any more, and says how that ended. */
const READING = (directory: string): string => `
  import { open } from 'node:fs/promises'
  import { Readable } from 'node:stream'
  import { FileStore } from ${JSON.stringify(new URL('../../src/steps/file-store.ts', import.meta.url).href)}
  const store = FileStore.open(${JSON.stringify(directory)}, (_name, effect) => effect())
  const { sha256, size } = await store.objects.take(Readable.from([Buffer.alloc(2 * 1024 * 1024)]))
  const handle = await open(process.execPath)
  const kind = Object.getPrototypeOf(handle)
  await handle.close()
  const read = kind.read
  let reads = 0
  const broken = Promise.withResolvers()
  kind.read = async function (...rest) {
    reads += 1
    if (reads < 3) return await read.apply(this, rest)
    setImmediate(broken.resolve)
    throw new Error('the disk is broken')
  }
  const pieces = store.objects.read(sha256, size)[Symbol.asyncIterator]()
  await pieces.next()
  await broken.promise
  await pieces.next().then(() => pieces.next()).catch(({ message }) => console.log(message))
`

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'migrate-file-store-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const entryOf = (path: string, bytes: Buffer): StoredEntry => ({
  ...ENTRY,
  kind: 'file',
  path,
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
})

async function keep(store: FileStore, path: string, bytes: Buffer): Promise<StoredEntry> {
  const entry = entryOf(path, bytes)
  await store.keep(entry, bytes)
  return entry
}

async function contentOf(store: FileStore | undefined, entry: StoredEntry): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of store?.content(entry) ?? []) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

/** The signal that ended a program. */
const endOf = (program: string): Promise<string | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [...MODULE, program], { stdio: 'inherit' })
    child.once('exit', (_code, by) => resolve(by))
  })

const packs = (): Promise<readonly string[]> => readdir(join(directory, 'packs'))

describe('a snapshot of files whose maker was killed', () => {
  it('is as good as none when only the empty file of its index is there', async () => {
    await writeFile(join(directory, 'index.db'), '')
    expect(FileStore.openExisting(directory, directly)).toBeUndefined()
    FileStore.open(directory, directly).close()
    const store = FileStore.openExisting(directory, directly)
    expect(await store?.whole()).toBeUndefined()
    store?.close()
  })

  it('still has what was kept, and isn’t whole', async () => {
    expect(await endOf(DYING(directory))).toBe('SIGKILL')
    const store = FileStore.openExisting(directory, directly)
    expect(store?.entry('a.txt')).toEqual(ENTRY)
    expect(await store?.whole()).toBeUndefined()
    store?.close()
  })
})

describe('a snapshot of files at rest', () => {
  it('is read as it was where a process was killed while it changed it', async () => {
    const maker = FileStore.open(directory, directly)
    await maker.keep(ENTRY, Buffer.from('hi'))
    maker.rest()
    maker.close()
    expect(await endOf(DYING_UNLOGGED(directory))).toBe('SIGKILL')
    expect(await readdir(directory)).toContain('index.db-journal')
    const store = FileStore.openExisting(directory, directly)
    expect(store?.entry('a.txt')).toEqual(ENTRY)
    store?.close()
  })
})

describe('a large content', () => {
  it('whose last bytes found no more room is not taken for whole', async () => {
    // In blocks of 512 bytes (POSIX, ulimit): as with a full disk, a write takes what there is room for, and says nothing.
    const limited = ['-c', 'ulimit -f 320 && exec "$0" "$@"', process.execPath, ...MODULE]
    const { stdout } = await promisify(execFile)('sh', [...limited, TAKING(directory, 200 * 1024)])
    expect(stdout).toBe('disk-full\n')
  })

  it('that can’t be read to its end fails where it is read, also when the disk is sooner than the reader', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [...MODULE, READING(directory)])
    expect(stdout).toBe('the disk is broken\n')
  })
})

describe('small contents', () => {
  it('that a power cut took are forgotten, so that they are fetched again; the others stay', async () => {
    const maker = FileStore.open(directory, directly)
    const first = await keep(maker, 'a.txt', Buffer.from('what reached the disk'))
    const second = await keep(maker, 'b.txt', Buffer.from('what did not'))
    maker.close()
    await truncate(join(directory, 'packs', (await packs())[0] ?? ''), first.size + 3)
    const store = FileStore.open(directory, directly)
    expect([first, second].map(({ sha256, size }) => store.objects.has(sha256 ?? '', size))).toEqual([true, false])
    expect(await contentOf(store, first)).toBe('what reached the disk')
    await keep(store, 'b.txt', Buffer.from('what did not'))
    expect(await contentOf(store, second)).toBe('what did not')
    store.close()
  })

  it('whose pack is gone are kept again when they are fetched again', async () => {
    const maker = FileStore.open(directory, directly)
    const entry = await keep(maker, 'a.txt', Buffer.from('lost and found'))
    await keep(maker, 'b.txt', Buffer.from('lost'))
    await maker.complete()
    maker.close()
    await rm(join(directory, 'packs', (await packs())[0] ?? ''))
    const store = FileStore.open(directory, directly)
    expect(await store.whole()).toBeUndefined()
    await keep(store, 'a.txt', Buffer.from('lost and found'))
    expect(await store.whole()).toBeUndefined()
    await keep(store, 'b.txt', Buffer.from('lost'))
    expect(await store.whole()).toMatchObject({ files: 2 })
    expect(await contentOf(store, entry)).toBe('lost and found')
    store.close()
  })

  it('are never given out with other bytes than their own', async () => {
    const maker = FileStore.open(directory, directly)
    const entry = await keep(maker, 'a.txt', Buffer.from('as it was'))
    await maker.complete()
    maker.close()
    await writeFile(join(directory, 'packs', (await packs())[0] ?? ''), 'as it is.')
    const store = FileStore.openExisting(directory, directly)
    expect(() => store?.content(entry)).toThrow(expect.objectContaining({ code: 'snapshot-damaged' }))
    store?.close()
  })

  it('give their room back when most of a pack is used no more', async () => {
    const maker = FileStore.open(directory, directly)
    const stays = await keep(maker, 'stays', Buffer.alloc(1000, 'stays'))
    for (let number = 0; number < 9; number += 1) await keep(maker, `goes ${number}`, Buffer.alloc(1000, `${number}`))
    await maker.complete()
    maker.close()
    const store = FileStore.open(directory, directly)
    await store.reopen()
    for (let number = 0; number < 9; number += 1) await store.forget(`goes ${number}`)
    await store.complete()
    store.close()
    const sizes = await Promise.all((await packs()).map(async (name) => (await stat(join(directory, 'packs', name))).size))
    expect(sizes).toEqual([1000])
    const reader = FileStore.openExisting(directory, directly)
    expect(await reader?.whole()).toMatchObject({ files: 1 })
    expect(await contentOf(reader, stays)).toBe('stays'.repeat(200))
    reader?.close()
  })

  it('are found where they were moved to, also by a reader that knew where they lay before', async () => {
    const maker = FileStore.open(directory, directly)
    const stays = await keep(maker, 'stays', Buffer.alloc(1000, 'stays'))
    for (let number = 0; number < 9; number += 1) await keep(maker, `goes ${number}`, Buffer.alloc(1000, `${number}`))
    const before = await packs()
    maker.close()
    const reader = FileStore.openExisting(directory, directly)
    expect(reader?.arrivedAfter(0, 100)).toHaveLength(10)
    const store = FileStore.open(directory, directly)
    for (let number = 0; number < 9; number += 1) await store.forget(`goes ${number}`)
    await store.complete()
    store.close()
    expect(await packs()).not.toEqual(before)
    expect(await contentOf(reader, stays)).toBe('stays'.repeat(200))
    reader?.close()
  })

  it('of several writers on one folder don’t get into each other’s way', async () => {
    const writers = [FileStore.open(directory, directly), FileStore.open(directory, directly, { toDisk: true })]
    const kept = await Promise.all(writers.map((writer, index) => keep(writer, `${index}`, Buffer.from(`of writer ${index}`))))
    for (const writer of writers) writer.close()
    const store = FileStore.openExisting(directory, directly)
    expect(await Promise.all(kept.map((entry) => contentOf(store, entry)))).toEqual(['of writer 0', 'of writer 1'])
    store?.close()
  })
})

describe('a store that another version of the program made', () => {
  it('is neither read nor changed, and says what to do; a new run does without it', async () => {
    const folder = join(directory, 'earlier-1', 'files')
    FileStore.open(folder, directly).close()
    const index = new DatabaseSync(join(folder, 'index.db'))
    index.exec("PRAGMA user_version = 0; PRAGMA journal_mode = DELETE; INSERT INTO facts VALUES ('host', 'file:///old')")
    index.close()
    const before = await readFile(join(folder, 'index.db'))
    const other = expect.objectContaining({ code: 'run-of-another-version', hint: expect.stringContaining('--fresh') })
    expect(() => FileStore.open(folder, directly)).toThrow(other)
    expect(() => FileStore.openExisting(folder, directly)).toThrow(other)
    expect(await openEarlier(directory, 'file:///old', directly)).toBeUndefined()
    expect(await readFile(join(folder, 'index.db'))).toEqual(before)
  })
})
