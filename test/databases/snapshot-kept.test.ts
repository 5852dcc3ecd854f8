import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { giveBack, LENT_BYTES, lendBuffer } from '../../src/databases/buffers.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'
import type { Part } from '../../src/databases/snapshot/manifest.ts'
import type { Chunk } from '../../src/databases/snapshot/part.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'

const FORMAT = 'test-1'

/** Blocks as a reader gives them, each of one row, in buffers that are lent. */
async function* blocks(first: number, count: number): AsyncGenerator<Chunk> {
  for (let row = first; row < first + count; row += 1) yield { rows: 1, bytes: lendBuffer().fill(row), lastKey: null }
}

describe('a part that was saved a moment ago', () => {
  let directory: string
  let schema: Schema
  let table: Table
  let saving: SnapshotStore
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-kept-'))
    const shop = new MemoryShop()
    await shop.createShop()
    schema = await shop.open().schema()
    const [found] = schema.tables
    if (found === undefined) throw new Error('no table')
    table = found
    saving = store()
    await saving.begin(schema, 'memory', [])
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const store = (): SnapshotStore => new SnapshotStore(directory, directly)
  /** Saves a range of so many blocks; returns its parts. */
  async function saved(at: number, count: number): Promise<readonly Part[]> {
    let parts: readonly Part[] = []
    const range = { at, after: at === 0 ? null : [String(at)], upTo: [String(at + 1)] }
    const onRange = (written: readonly Part[]): void => {
      parts = written
    }
    await saving.save({ table, ordinal: 1, range, format: FORMAT, chunks: blocks(at, count), onRange }, false)
    return parts
  }
  const read = async (part: Part | undefined): Promise<readonly number[]> => {
    if (part === undefined) throw new Error('no part')
    const found: number[] = []
    for await (const block of store().blocks(part)) {
      expect(block.equals(Buffer.alloc(LENT_BYTES, block[0]))).toBe(true)
      found.push(block[0] ?? -1)
      giveBack(block)
    }
    return found
  }

  it('is loaded from memory where somebody follows the snapshot: its file is not needed any more', async () => {
    const following = store().follow()
    const [part] = await saved(1, 3)
    await rm(join(directory, 'database', 'tables'), { recursive: true })
    expect(part === undefined ? false : store().isKept(part)).toBe(true)
    expect(await read(part)).toEqual([1, 2, 3])
    following.end()
  })

  it('is handed out once: whoever asks again gets it from the disk', async () => {
    const following = store().follow()
    const [part] = await saved(1, 3)
    expect(await read(part)).toEqual([1, 2, 3])
    expect(part === undefined ? true : store().isKept(part)).toBe(false)
    expect(await read(part)).toEqual([1, 2, 3])
    following.end()
  })

  it('is read from the disk where nobody follows, or does no more', async () => {
    const [before] = await saved(1, 3)
    expect(await read(before)).toEqual([1, 2, 3])
    const following = store().follow()
    const [kept] = await saved(2, 2)
    following.end()
    expect(kept === undefined ? true : store().isKept(kept)).toBe(false)
    expect(await read(kept)).toEqual([2, 3])
    await rm(join(directory, 'database', 'tables'), { recursive: true })
    await expect(read(kept)).rejects.toThrow('the file is gone')
  })

  it('takes memory up to a bound, beyond which it lies on disk alone', async () => {
    const following = store().follow()
    const parts = []
    for (let at = 0; at < 4; at += 1) parts.push(...(await saved(at, 40)))
    const kept = parts.filter((part) => store().isKept(part))
    expect(kept.length).toBeGreaterThan(0)
    expect(kept.reduce((sum, part) => sum + part.bytes, 0)).toBeLessThanOrEqual(64 * 2 ** 20)
    expect(kept.length).toBeLessThan(parts.length)
    for (const [at, part] of parts.entries()) expect(await read(part)).toEqual(Array.from({ length: 40 }, (_, row) => at + row))
    // What was loaded has made room.
    const [later] = await saved(7, 40)
    expect(later === undefined ? false : store().isKept(later)).toBe(true)
    following.end()
  })
})

describe('a buffer that is lent', () => {
  it('is lent again once it was given back, by whichever view of it', () => {
    const one = lendBuffer()
    giveBack(one.subarray(0, 10))
    expect(lendBuffer().buffer).toBe(one.buffer)
  })

  it('can’t be given back twice, and one that never was lent is left alone', () => {
    const one = lendBuffer()
    giveBack(one)
    expect(() => giveBack(one)).toThrow('given back twice')
    giveBack(Buffer.alloc(LENT_BYTES))
    giveBack(Buffer.from('rows'))
    expect(lendBuffer().buffer).toBe(one.buffer)
  })
})
