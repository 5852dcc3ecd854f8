import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Row } from '../../src/databases/port.ts'
import { fullName, type Schema, type Table } from '../../src/databases/schema.ts'
import { copyTables } from '../../src/databases/snapshot/copy.ts'
import { isFuzzy, rowsOf } from '../../src/databases/snapshot/manifest.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'

const LIMITS = { rows: 10, bytes: 2 ** 20 }
/** Large enough for a file of its own, not for being cut. */
const LARGE_BYTES = 2 ** 20
const never = new AbortController().signal

describe('a database snapshot on disk', () => {
  let directory: string
  let shop: MemoryShop
  let schema: Schema
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-snapshot-'))
    shop = new MemoryShop({ batchRows: 5, bulk: false })
    await shop.createShop()
    schema = await shop.open().schema()
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const store = (): SnapshotStore => new SnapshotStore(directory, directly, LIMITS)
  const tableOf = (name: string): Table => {
    const table = schema.tables.find((each) => fullName(each.name) === name)
    if (table === undefined) throw new Error(`no table ${name}`)
    return table
  }
  /** Copies tables; the connection is cut at the given batch. */
  const copy = async (names: readonly string[], cutAt = Number.POSITIVE_INFINITY, connections = 1): Promise<void> => {
    let batches = 0
    const database = shop.open({
      onCall: (operation, when) => {
        if (operation !== 'rows' || when !== 'before') return
        batches += 1
        if (batches >= cutAt) throw new MigrateError('database-connection-lost', 'cut', { retrySafe: true })
      },
    })
    const own = store()
    const saved = await own.schema()
    if (saved === undefined) await own.begin(schema, 'memory', [])
    schema = (await own.schema()) ?? schema
    const tables = names.map(tableOf)
    await copyTables({
      database,
      store: own,
      schema,
      tables,
      connections,
      quietMs: 60_000,
      signal: never,
      size: () => ({ rows: 0, bytes: LARGE_BYTES }),
      blockFormat: database.blockFormat,
      clock: new FakeClock(),
      onRows: () => undefined,
    })
  }
  const rowsIn = async (name: string): Promise<readonly Row[]> => {
    const rows: Row[] = []
    for (const part of await store().parts(tableOf(name)))
      for await (const batch of store().rows(tableOf(name), part)) rows.push(...batch)
    return rows
  }

  it('cuts a table into parts and gives back every row in order', async () => {
    await shop.insertWords(37)
    await copy(['words'])
    expect((await store().parts(tableOf('words'))).map((part) => part.rows)).toEqual([10, 10, 10, 7])
    expect((await rowsIn('words')).map((row) => row[0])).toEqual((await shop.rows('words')).map((row) => row.word))
    expect(isFuzzy(await store().manifest())).toBe(false)
  })

  it.each([2, 3, 4, 5, 6, 7, 8])(
    'goes on after the last whole part when the connection was cut at batch %i, and doubles nothing',
    async (cutAt) => {
      await shop.insertWords(37)
      await expect(copy(['words'], cutAt)).rejects.toMatchObject({ code: 'database-connection-lost', retrySafe: true })
      const kept = rowsOf(await store().manifest(), 'words')
      expect(kept % 10).toBe(0)
      await copy(['words'])
      expect((await rowsIn('words')).map((row) => row[0])).toEqual((await shop.rows('words')).map((row) => row.word))
      expect(isFuzzy(await store().manifest())).toBe(true)
    },
  )

  it('begins a table without a key again, and doubles nothing', async () => {
    for (let visit = 0; visit < 37; visit += 1) await shop.insert('visits', { page: `/${visit % 3}`, visitor: null })
    await expect(copy(['visits'], 6)).rejects.toMatchObject({ code: 'database-connection-lost' })
    // Its rows can't be told apart, so a half of them is worth nothing.
    expect(rowsOf(await store().manifest(), 'visits')).toBe(0)
    await copy(['visits'])
    expect(await rowsIn('visits')).toHaveLength(37)
  })

  it('lets a cut in one table stop the readers of the others, and keeps what they saved', async () => {
    await shop.insertWords(200)
    for (let visit = 0; visit < 50; visit += 1) await shop.insert('visits', { page: '/', visitor: null })
    await expect(copy(['words', 'visits'], 9, 2)).rejects.toMatchObject({ code: 'database-connection-lost' })
    await copy(['words', 'visits'], undefined, 2)
    expect(await rowsIn('words')).toHaveLength(200)
    expect(await rowsIn('visits')).toHaveLength(50)
  })

  it('drops a last line that a kill cut off, and refuses one that was damaged in the middle', async () => {
    await shop.insertWords(37)
    await copy(['words'], 6).catch(() => undefined)
    const manifest = join(directory, 'database', 'manifest.jsonl')
    await appendFile(manifest, '0123456789abcdef {"kind":"part","table":"wo')
    await copy(['words'])
    expect(await rowsIn('words')).toHaveLength(37)
    const text = await readFile(manifest, 'utf8')
    await writeFile(manifest, text.replace('"rows":10', '"rows":11'))
    await expect(store().manifest()).rejects.toMatchObject({
      code: 'snapshot-damaged',
      message: expect.stringMatching(/Line \d+ of/),
    })
  })

  it('finds a part with a flipped bit, a part cut short and a part that is gone, before it gives out a row', async () => {
    await shop.insertWords(10)
    await copy(['words'])
    const [part] = await store().parts(tableOf('words'))
    if (part === undefined) throw new Error('no part')
    const file = join(directory, 'database', part.file)
    const whole = await readFile(file)
    const spoil: readonly (() => Promise<void>)[] = [
      () =>
        writeFile(
          file,
          whole.map((byte, at) => (at === 20 ? byte ^ 4 : byte)),
        ),
      () => writeFile(file, whole.subarray(0, whole.length - 1)),
      () => rm(file),
    ]
    for (const each of spoil) {
      await each()
      const given: unknown[] = []
      const reading = async (): Promise<void> => {
        for await (const batch of store().rows(tableOf('words'), part)) given.push(batch)
      }
      await expect(reading()).rejects.toMatchObject({ code: 'snapshot-damaged', message: expect.stringContaining(part.file) })
      expect(given).toEqual([])
    }
  })

  it('refuses a schema that was changed on disk', async () => {
    await copy([])
    const file = join(directory, 'database', 'schema.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('email', 'e-mail'))
    await expect(store().schema()).rejects.toMatchObject({
      code: 'snapshot-damaged',
      message: expect.stringContaining('schema.json'),
    })
  })

  it('keeps values that are easily lost: NULL, empty, spaces, line ends, long text, every plane of Unicode, half a surrogate', async () => {
    const values = [
      '',
      '  trailing  ',
      'a\nb\r\nc\u2028d',
      'ﷺ 日本 🧦\u{10ffff}',
      '\ud83d',
      '\u0000\u001f',
      'x'.repeat(3_000_000),
      '{"a":[1]}',
      '\\N',
    ]
    for (const value of values) await shop.insert('visits', { page: value, visitor: value })
    await shop.insert('visits', { page: 'null', visitor: null })
    await copy(['visits'])
    expect(await rowsIn('visits')).toEqual([...values.map((value) => [value, value]), ['null', null]])
  })

  it('gives a row with a large cell back whole, also to a restore that follows', async () => {
    const large = `${'0f'.repeat(2 ** 20)}"ж`
    await shop.insertWords(3)
    await shop.insert('words', { word: large, meaning: '' })
    const followed = store().follow()
    await copy(['words'])
    const rows = await rowsIn('words')
    followed.end()
    expect(rows).toHaveLength(4)
    expect(rows.map((row) => row[0])).toContain(large)
    expect(await rowsIn('words')).toEqual(rows)
  })

  it('leaves no half-written file behind once it is whole', async () => {
    await shop.insertWords(37)
    await copy(['words'], 6).catch(() => undefined)
    await copy(['words'])
    const files = await readdir(join(directory, 'database'), { recursive: true })
    expect(files.filter((name) => name.endsWith('.writing'))).toEqual([])
  })
})
