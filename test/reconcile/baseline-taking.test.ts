import { hash } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Row } from '../../src/databases/port.ts'
import { fullName, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { rowsBornSince } from '../../src/reconcile/baseline-born.ts'
import { baselinePath, baselineTables, hasWholeBaseline, openBaseline } from '../../src/reconcile/baseline-file.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import type { MemoryDatabaseOptions } from '../fakes/memory-options.ts'
import { add, change, column, remove, serverWith, tableOf } from './compare-kit.ts'

type Server = Awaited<ReturnType<typeof serverWith>>

const orders = tableOf(['id'], [column('id', 'integer'), column('note')])
const numbered = (count: number): readonly Row[] => Array.from({ length: count }, (_, at) => [String(at - 5), `note ${at}`])

/** Counts batches of fingerprints, and does something before the one with this number. */
function atBatch(batch: number, deed: () => void | Promise<void>) {
  const calls = { prints: 0, sum: 0 }
  const onCall: MemoryDatabaseOptions['onCall'] = async (operation, when) => {
    if (when !== 'before') return
    if (operation === 'sum') calls.sum += 1
    if (operation !== 'prints') return
    calls.prints += 1
    if (calls.prints === batch) await deed()
  }
  return { calls, onCall }
}

describe('taking a baseline', () => {
  let directory = ''
  const signal = new AbortController().signal
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-baseline-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const written = async (table: Table): Promise<boolean | undefined> =>
    (await baselineTables(directory)).get(fullName(table.name))?.written

  it('goes on behind the last leaves that were kept when it was stopped in the middle of a table', async () => {
    const server = await serverWith(orders, numbered(100_000))
    const lost = new MigrateError('database-connection-lost', 'gone', { retrySafe: true })
    const first = atBatch(80, () => {
      throw lost
    })
    const take = (onCall: MemoryDatabaseOptions['onCall']) =>
      takeBaseline({ directory, database: new MemoryDatabase(server, onCall === undefined ? {} : { onCall }), tables: [orders] })
    await expect(take(first.onCall)).rejects.toBe(lost)
    expect((await baselineTables(directory)).size).toBe(0)
    const second = atBatch(-1, () => undefined)
    await take(second.onCall)
    expect((await baselineTables(directory)).get('things')).toMatchObject({ rows: 100_000, written: false })
    // 65,536 rows were kept; a batch holds 1,000, and a last, empty one ends them.
    expect(second.calls.prints).toBe(36)
  })

  it.each([
    ['with a key', orders],
    ['without one, which begins anew', tableOf([], [column('id', 'integer'), column('note')])],
  ])(
    'serves nobody before it is whole, of tables %s: rows of one that it lacks would seem born on both hosts',
    async (_, like) => {
      const others = { ...like, name: { schema: '', name: 'others' } }
      const server = await serverWith(orders, numbered(3000))
      await server.transaction([], (work) => work.createTable(others))
      await add(server, others, numbered(2000))
      const lostAt = (batch: number) =>
        atBatch(batch, () => {
          throw new MigrateError('database-connection-lost', 'gone', { retrySafe: true })
        })
      const take = (options: MemoryDatabaseOptions) =>
        takeBaseline({ directory, database: new MemoryDatabase(server, options), tables: [others, orders], leafRows: 16 })
      expect(await hasWholeBaseline(directory)).toBe(false)
      // Largest first, a thousand rows a batch; what is done is on disk with the leaves after it.
      for (const batch of [7, 1]) {
        await expect(take({ onCall: lostAt(batch).onCall })).rejects.toMatchObject({ code: 'database-connection-lost' })
        expect([...(await baselineTables(directory)).keys()]).toEqual(['things'])
        expect(await hasWholeBaseline(directory)).toBe(false)
      }
      await take({})
      expect(await hasWholeBaseline(directory)).toBe(true)
    },
  )

  it('is left alone once it is whole, whatever is written afterwards', async () => {
    const server = await serverWith(orders, numbered(10))
    const database = new MemoryDatabase(server)
    await takeBaseline({ directory, database, tables: [orders] })
    const taken = await baselineTables(directory)
    await change(server, orders, ['1', 'later'])
    await takeBaseline({ directory, database, tables: [orders] })
    expect(await baselineTables(directory)).toEqual(taken)
    expect(await written(orders)).toBe(false)
  })

  it.each([
    ['rows that were fingerprinted already', '-5'],
    ['rows that were not yet fingerprinted', '2990'],
  ])('tells when somebody writes meanwhile, to %s', async (_where, id) => {
    const server = await serverWith(orders, numbered(3000))
    const { onCall } = atBatch(2, () => change(server, orders, [id, 'from a worker']))
    await takeBaseline({ directory, database: new MemoryDatabase(server, { onCall }), tables: [orders] })
    expect(await written(orders)).toBe(true)
  })

  it.each([
    ['a row of the first range', (server: Server) => change(server, orders, ['-5', 'from a worker'])],
    ['a row of the last one', (server: Server) => change(server, orders, ['2990', 'from a worker'])],
    ['a row that is new beyond them all', (server: Server) => add(server, orders, [['5000', 'from a worker']])],
    ['nothing', async () => undefined],
  ])('sums up a large table in ranges of its keys, and tells when somebody writes %s', async (what, write) => {
    const server = await serverWith(orders, numbered(3000))
    const { onCall, calls } = atBatch(2, () => write(server))
    await takeBaseline({ directory, database: new MemoryDatabase(server, { onCall }), tables: [orders], leafRows: 8 })
    expect(await written(orders)).toBe(what !== 'nothing')
    // Once before the rows, and then in three ranges of 1,024.
    expect(calls.sum).toBe(4)
  })

  it('tells when somebody wrote between a baseline that was stopped and the one that goes on', async () => {
    const server = await serverWith(orders, numbered(100_000))
    const stopped = atBatch(80, () => {
      throw new Error('stopped')
    })
    const first = takeBaseline({ directory, database: new MemoryDatabase(server, { onCall: stopped.onCall }), tables: [orders] })
    await expect(first).rejects.toThrow('stopped')
    await change(server, orders, ['99000', 'from a worker'])
    await takeBaseline({ directory, database: new MemoryDatabase(server), tables: [orders] })
    expect(await written(orders)).toBe(true)
  })

  it('tells of writes where the rows are fingerprinted here, too', async () => {
    const server = await serverWith(orders, numbered(3000))
    const once = { done: false }
    const onCall: MemoryDatabaseOptions['onCall'] = async (operation, when) => {
      if (operation !== 'rows' || when !== 'after' || once.done) return
      once.done = true
      await change(server, orders, ['-5', 'from a worker'])
    }
    await takeBaseline({ directory, database: new MemoryDatabase(server, { fingerprints: false, onCall }), tables: [orders] })
    expect(await written(orders)).toBe(true)
  })

  it.each([
    ['numbers', (at: number) => String(at), undefined],
    ['texts of a hundred letters', (at: number) => `${'order of the second of May '.repeat(4)}${at}`, undefined],
    ['nothing', (at: number) => String(at), []],
  ])('takes no more than 24 bytes of disk a row, all in, where rows are keyed by %s', async (_what, key, none) => {
    const table = tableOf(none ?? ['id'], [column('id'), column('note')])
    const count = 100_000
    const server = await serverWith(
      table,
      Array.from({ length: count }, (_, at) => [key(at), 'x']),
    )
    await takeBaseline({ directory, database: new MemoryDatabase(server), tables: [table] })
    expect((await baselineTables(directory)).get('things')?.rows).toBe(count)
    const { size } = await stat(baselinePath(directory))
    expect(size / count).toBeLessThanOrEqual(24)
  })

  it('keeps keys that are whole numbers as they are, and others by their digests, leaf by leaf', async () => {
    const keys = ['-9223372036854775808', '-1', '0', '9007199254740993', '9223372036854775807', '9223372036854775808', '007', 'ä']
    const table = tableOf(['id'], [column('id'), column('note')])
    const server = await serverWith(
      table,
      keys.map((key) => [key, 'x']),
    )
    await takeBaseline({ directory, database: new MemoryDatabase(server), tables: [table], leafRows: 1 })
    const file = await openBaseline(directory)
    const held = file?.table(table)
    if (file === undefined || held === undefined) throw new Error('there is no baseline')
    const ids = file.bounds(held).flatMap(({ leaf }) => file.leaf(held, leaf).map(({ id }) => id))
    file.close()
    const isKept = (key: string): boolean => /^(0|-?[1-9]\d*)$/.test(key) && key !== '9223372036854775808'
    const expected = keys.map((key) => (isKept(key) ? JSON.stringify([key]) : hash('sha256', JSON.stringify([key])).slice(0, 24)))
    expect(ids.toSorted()).toEqual(expected.toSorted())
    await add(server, table, [['12', 'born']])
    expect(await rowsBornSince(directory, new MemoryDatabase(server), table, signal)).toBe(1)
  })

  it('reads a baseline of earlier, which has the digest of every key', async () => {
    const server = await serverWith(orders, numbered(3000))
    const database = new MemoryDatabase(server)
    await takeBaseline({ directory, database, tables: [orders] })
    const store = new DatabaseSync(baselinePath(directory))
    for (const { id, rows, prints } of store.prepare('SELECT id, rows, prints FROM leaves ORDER BY id').all()) {
      const leaf = Buffer.from(prints as Uint8Array)
      const earlier = Array.from({ length: Number(rows) }, (_, at) => {
        const key = JSON.stringify([String(leaf.readBigInt64BE(at * 16))])
        return Buffer.concat([hash('sha256', key, 'buffer').subarray(0, 12), leaf.subarray(at * 16 + 8, at * 16 + 16)])
      })
      store.prepare('UPDATE leaves SET prints = ? WHERE id = ?').run(Buffer.concat(earlier), id ?? null)
    }
    store.close()
    expect(await rowsBornSince(directory, database, orders, signal)).toBe(0)
    await add(server, orders, [['-100', 'below all']])
    await remove(server, orders, ['8', ''])
    expect(await rowsBornSince(directory, database, orders, signal)).toBe(1)
  })

  it('knows the rows that were born since, by key or by content', async () => {
    const keyless = tableOf([], [column('page'), column('visitor')])
    const server = await serverWith(orders, numbered(5000))
    const database = new MemoryDatabase(server)
    await takeBaseline({ directory, database, tables: [orders] })
    expect(await rowsBornSince(directory, database, orders, signal)).toBe(0)
    await add(server, orders, [
      ['-100', 'below all'],
      ['90000', 'above all'],
    ])
    await change(server, orders, ['7', 'changed is not born'])
    await remove(server, orders, ['8', ''])
    expect(await rowsBornSince(directory, database, orders, signal)).toBe(2)

    await rm(baselinePath(directory))
    const visits = await serverWith(keyless, Array(5).fill(['/', 'ada']))
    const visited = new MemoryDatabase(visits)
    await takeBaseline({ directory, database: visited, tables: [keyless] })
    await add(visits, keyless, [
      ['/', 'ada'],
      ['/', null],
    ])
    expect(await rowsBornSince(directory, visited, keyless, signal)).toBe(2)
  })
})
