import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { HashThread } from '../../src/files/hash-beside.ts'
import { giveBack, Lender } from '../../src/files/lent.ts'
import { directly } from '../../src/run/step.ts'
import type { KeptContent } from '../../src/steps/file-objects.ts'
import { FileStore } from '../../src/steps/file-store.ts'
import { bytesOf, sha256 } from '../contract/files-kit.ts'

const bytes = randomBytes(9_000_001)
const lender = new Lender(255 * 1024, 8)
const again = (): Readable => Readable.from([bytes])
const never = (): Readable => {
  throw new Error('the thread was lost')
}

/** What threads run that fail: the last of them never gets so far. */
const FAILING = {
  'says nothing': '',
  'is lost at its third message':
    'import { parentPort } from "node:worker_threads"; let left = 3; parentPort.on("message", ({ hash }) => { left -= 1; if (left === 0) throw new Error("lost"); parentPort.postMessage({ hash, taken: true }) })',
  'doesn’t even begin': 'import "file:///nowhere.js"',
}
const program = (text: string): URL => new URL(`data:text/javascript,${encodeURIComponent(text)}`)
const deaf = program('import { parentPort } from "node:worker_threads"; parentPort.on("message", () => {})')

/** As they come from hosts: in memory that is lent, and in other. */
function* pieces(): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const piece = bytes.subarray(at, at + ([255 * 1024, 70_000, 3, 200_000][turn % 4] ?? 1))
    at += piece.length
    if (turn % 3 === 0) yield piece
    else {
      const given = lender.lend(piece.length)
      piece.copy(given)
      yield given
    }
  }
}

let threads: HashThread[] = []
afterEach(() => {
  for (const thread of threads) thread.close()
  threads = []
})
const threadOf = (url?: URL): HashThread => {
  const thread = new HashThread(url)
  threads.push(thread)
  return thread
}

/** What came of hashing all of it; what its first half comes to is asked while the second is still to come. */
async function hashed(thread: HashThread, reopen: () => Readable): Promise<string> {
  const hash = thread.begin(bytes.length, reopen)
  let [half, size] = ['', 0]
  for (const piece of pieces()) {
    await hash.update(piece)
    size += piece.length
    giveBack(piece)
    if (half !== '' || size < bytes.length / 2) continue
    half = await hash.soFar()
    expect(half).toBe(sha256(bytes.subarray(0, size)))
  }
  const whole = await hash.soFar()
  hash.end()
  return whole
}

describe('contents that are hashed by another thread', () => {
  it('get the hash of all their bytes in their order, several side by side, also halfway', async () => {
    const thread = threadOf()
    const found = await Promise.all([hashed(thread, never), hashed(thread, never), hashed(thread, never)])
    expect(new Set(found)).toEqual(new Set([sha256(bytes)]))
  })

  it.each(Object.entries(FAILING))('get it here where the thread %s', async (_what, text) => {
    const thread = threadOf(program(text))
    const found = await Promise.all([hashed(thread, again), hashed(thread, again)])
    expect([...found, await hashed(thread, never)]).toEqual(Array(3).fill(sha256(bytes)))
  })

  it('are refused where the thread is lost and what came can’t be read any more', async () => {
    const thread = threadOf(deaf)
    const hash = thread.begin(bytes.length, () => Readable.from([bytes.subarray(1)]))
    void hash.update(bytes)
    const told = hash.soFar()
    thread.close()
    await expect(told).rejects.toMatchObject({ code: 'fault' })
  })

  it('wait when the thread is behind, and their memory isn’t used again before it was looked at', async () => {
    const thread = threadOf(deaf)
    const hash = thread.begin(bytes.length, again)
    const given: Buffer[] = []
    let wait: Promise<void> | undefined
    while (wait === undefined && given.length < 100) {
      const piece = lender.lend(255 * 1024)
      wait = hash.update(piece)
      giveBack(piece)
      given.push(piece)
    }
    expect(given.length).toBeLessThan(16)
    expect(new Set(given.map(({ buffer }) => buffer)).size).toBe(given.length)
    thread.close()
    await wait
  })

  it('let a process wait for them that has nothing else to do, and end when they are hashed', async () => {
    const source = fileURLToPath(new URL('../../src/files/hash-beside.ts', import.meta.url))
    const script = `import { HashThread } from ${JSON.stringify(source)}
      const bytes = Buffer.alloc(9_000_000, 1), hash = new HashThread().begin(bytes.length)
      await hash.update(bytes)
      console.log(await hash.soFar())`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout.trim()).toBe(sha256(Buffer.alloc(9_000_000, 1)))
  })
})

describe('a large content in the run’s folder', () => {
  it('is read as it was kept, and refused at its end when a byte of it has changed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'migrate-hashed-'))
    const store = FileStore.open(directory, directly)
    const read = (kept: KeptContent): Promise<Buffer> => bytesOf(Promise.resolve(store.objects.read(kept.sha256, kept.size)))
    try {
      const entry = { path: 'large', kind: 'file', size: bytes.length, mode: 0o644, mtimeSeconds: 1, target: null } as const
      const kept = await store.objects.takeFrom(entry, async () => Readable.from(pieces(), { objectMode: false }))
      expect(kept).toMatchObject({ sha256: sha256(bytes), size: bytes.length })
      expect((await read(kept)).equals(bytes)).toBe(true)
      const [folder = ''] = readdirSync(join(directory, 'objects'))
      const changed = Buffer.from(bytes)
      changed[8_999_999] = (changed[8_999_999] ?? 0) ^ 1
      writeFileSync(join(directory, 'objects', folder, kept.sha256), changed)
      await expect(read(kept)).rejects.toMatchObject({ code: 'snapshot-damaged' })
    } finally {
      store.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
