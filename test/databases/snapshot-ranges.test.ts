import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { KeyCells, Row } from '../../src/databases/port.ts'
import { fullName, type Schema, type Table } from '../../src/databases/schema.ts'
import { copyTables } from '../../src/databases/snapshot/copy.ts'
import { rowsOf } from '../../src/databases/snapshot/manifest.ts'
import { gapsIn } from '../../src/databases/snapshot/ranges.ts'
import { ROWS_FORMAT } from '../../src/databases/snapshot/rows-format.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'

const never = new AbortController().signal
const GIGABYTE = 2 ** 30

describe('what is missing of a table', () => {
  const range = (at: number, after: string | null, upTo: string | null) => ({
    at,
    after: after === null ? null : [after],
    upTo: upTo === null ? null : [upTo],
  })

  it('is all of it at first, and nothing once the ranges meet from end to end', () => {
    expect(gapsIn([])).toEqual([range(0, null, null)])
    expect(gapsIn([range(0, null, null)])).toEqual([])
    expect(gapsIn([range(0, null, '9'), range(1, '9', '10'), range(2, '10', null)])).toEqual([])
  })

  it('are the gaps between ranges, several that adjoin as one, and the end', () => {
    expect(gapsIn([range(0, null, '9')])).toEqual([range(1, '9', null)])
    expect(gapsIn([range(3, '30', '40')])).toEqual([range(0, null, '30'), range(4, '40', null)])
    expect(gapsIn([range(0, null, '9'), range(3, '30', '40'), range(5, '50', null)])).toEqual([
      range(1, '9', '30'),
      range(4, '40', '50'),
    ])
  })
})

describe.each([
  ['blocks', true],
  ['blocks', false],
  ['rows', true],
] as const)('a large table saved in ranges, as %s (one instant: %s)', (format, consistent) => {
  let directory: string
  let shop: MemoryShop
  let schema: Schema
  /** What readers were asked for. */
  let asked: string[]
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-ranges-'))
    shop = new MemoryShop({ batchRows: 40, consistent })
    await shop.createShop()
    schema = await shop.open().schema()
    asked = []
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const store = (): SnapshotStore => new SnapshotStore(directory, directly)
  const table = (name: string): Table => {
    const found = schema.tables.find((each) => fullName(each.name) === name)
    if (found === undefined) throw new Error(`no table ${name}`)
    return found
  }
  const copy = async (
    cutAt: (operation: string, count: number) => boolean = () => false,
    names = ['words'],
    connections = 3,
  ): Promise<void> => {
    const database = shop.open({
      onCall: async (operation, when) => {
        if (when !== 'before') return
        asked.push(operation)
        if (cutAt(operation, asked.filter((each) => each === operation).length))
          throw new MigrateError('database-connection-lost', 'cut', { retrySafe: true })
      },
    })
    const own = store()
    if ((await own.schema()) === undefined) await own.begin(schema, 'memory', [])
    schema = (await own.schema()) ?? schema
    await copyTables({
      database,
      store: own,
      schema,
      tables: names.map(table),
      size: (each) => (fullName(each.name) === 'words' ? { rows: 3000, bytes: GIGABYTE } : { rows: 1, bytes: 100 }),
      connections,
      blockFormat: format === 'blocks' ? database.blockFormat : undefined,
      quietMs: 60_000,
      signal: never,
      clock: new FakeClock(),
      onRows: () => undefined,
    })
  }
  const saved = async (name: string): Promise<readonly Row[]> => {
    const rows: Row[] = []
    for (const part of await store().parts(table(name))) {
      expect(part.format === ROWS_FORMAT).toBe(format === 'rows')
      if (part.format === ROWS_FORMAT) for await (const batch of store().rows(table(name), part)) rows.push(...batch)
      else
        for await (const block of store().blocks(part))
          for (const line of block.toString().trimEnd().split('\n')) rows.push(JSON.parse(line))
    }
    return rows.toSorted((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1))
  }
  const expected = async (): Promise<readonly (string | null | undefined)[]> =>
    (await shop.rows('words')).map((row) => row.word).toSorted()

  it('is read by several readers, and every row is saved once', async () => {
    await shop.insertWords(3000)
    await copy()
    expect((await saved('words')).map((row) => row[0])).toEqual(await expected())
    const manifest = await store().manifest()
    expect(manifest.tables.get('words')?.ranges.length).toBeGreaterThan(5)
    expect(manifest.tables.get('words')?.whole).toBe(true)
  })

  it.each([3, 9, 17, 30, 47, 60, 71])('cut off at read %i, asks only for what is missing', async (cut) => {
    await shop.insertWords(3000)
    await expect(copy((operation, count) => operation === 'rows' && count >= cut)).rejects.toMatchObject({
      code: 'database-connection-lost',
    })
    const kept = rowsOf(await store().manifest(), 'words')
    expect(kept).toBeLessThan(3000)
    asked = []
    await copy()
    expect((await saved('words')).map((row) => row[0])).toEqual(await expected())
    // Batches of 40, and an empty one at the end of each query.
    const ranges = (await store().manifest()).tables.get('words')?.ranges.length ?? 0
    expect(asked.filter((each) => each === 'rows').length).toBeLessThanOrEqual(Math.ceil((3000 - kept) / 40) + ranges * 20)
    const names = (await readdir(store().directory, { recursive: true })).filter((name) => name.includes('part-'))
    expect(names.length).toBe((await store().parts(table('words'))).length)
  })

  it('and cut off again and again, ends as one that wasn’t', async () => {
    await shop.insertWords(1200)
    for (let lives = 1; ; lives += 1) {
      asked = []
      const done = await copy((_operation, count) => count >= 12).then(
        () => true,
        () => false,
      )
      if (done) break
      expect(lives).toBeLessThan(100)
    }
    expect((await saved('words')).map((row) => row[0])).toEqual(await expected())
  })

  it('is asked for in smaller ranges where the server gives no row for too long', async () => {
    await shop.insertWords(3000)
    let slow = 0
    let last = Number.NEGATIVE_INFINITY
    const isFirstOfQuery = (): boolean => asked.at(-1) === 'rows' && asked.at(-2) === 'boundary'
    const silent = (): boolean => {
      // What comes after a bound is a query's first row, but for the look at whether the bound lies within the range.
      if (slow >= 3 || !isFirstOfQuery() || asked.length - last <= 2) return false
      slow += 1
      last = asked.length
      throw new MigrateError('database-too-slow', 'no row came', { retrySafe: true })
    }
    await copy(silent, ['words'], 1)
    expect(slow).toBe(3)
    expect((await saved('words')).map((row) => row[0])).toEqual(await expected())
  })

  it('doesn’t keep small tables from being saved together in one file', async () => {
    await shop.insertWords(3000)
    for (const email of ['a@example.com', 'b@example.com']) await shop.insert('customers', { email, name: null, note: null })
    await shop.insert('categories', { parent_id: null, title: 'All' })
    await copy(undefined, ['words', 'customers', 'categories', 'departments'])
    expect(await saved('customers')).toHaveLength(2)
    expect(await saved('categories')).toHaveLength(1)
    expect((await store().manifest()).tables.get('departments')).toEqual({
      parts: [],
      ranges: [{ at: 0, after: null, upTo: null }],
      whole: true,
    })
    const files = (await readdir(join(store().directory, 'tables'))).filter((name) => name.startsWith('small-'))
    expect(files.length).toBeGreaterThan(0)
  })
})

describe('rows that change while a large table is read in ranges', () => {
  it('are saved at most once each, and those that stay exactly once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'migrate-ranges-'))
    const shop = new MemoryShop({ batchRows: 30, consistent: false })
    await shop.createShop()
    await shop.insertWords(2000)
    const schema = await shop.open().schema()
    const words = schema.tables.find((each) => each.name.name === 'words')
    if (words === undefined) throw new Error('no words')
    let calls = 0
    const database = shop.open({
      onCall: async (operation, when) => {
        if (operation !== 'rows' || when !== 'before') return
        calls += 1
        // Every other word goes, from the end to the beginning, while readers are at work.
        const gone: KeyCells = [`w${String(2001 - calls * 2).padStart(6, '0')}`]
        await shop.remove('words', { word: gone[0] ?? null })
        if (calls <= 50) await shop.insert('words', { word: `x${String(calls).padStart(6, '0')}`, meaning: null })
      },
    })
    const store = new SnapshotStore(directory, directly)
    await store.begin(schema, 'memory', [])
    await copyTables({
      database,
      store,
      schema,
      tables: [words],
      size: () => ({ rows: 2000, bytes: GIGABYTE }),
      connections: 3,
      blockFormat: database.blockFormat,
      quietMs: 60_000,
      signal: never,
      clock: new FakeClock(),
      onRows: () => undefined,
    })
    const seen: string[] = []
    for (const part of await store.parts(words))
      for await (const block of store.blocks(part))
        for (const line of block.toString().trimEnd().split('\n')) seen.push(JSON.parse(line)[0])
    expect(new Set(seen).size).toBe(seen.length)
    const stayed = (await shop.rows('words')).map((row) => row.word ?? '').filter((word) => word.startsWith('w'))
    expect(stayed.filter((word) => !seen.includes(word))).toEqual([])
    await rm(directory, { recursive: true, force: true })
  })
})
