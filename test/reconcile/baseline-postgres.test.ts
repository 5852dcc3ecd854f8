import { hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { fullName, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { baselineTables, openBaseline } from '../../src/reconcile/baseline-file.ts'
import { PARKING } from '../../src/reconcile/policy.ts'
import { printingFor } from '../../src/reconcile/printing.ts'
import { Reconciler } from '../../src/reconcile/reconciler.ts'
import { startCounter } from '../bench/databases/round-trips.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

/** Enough rows that readers share them; keys below 0, with gaps, and of text in no order; a table without rows, and one without a key. */
const SHOP = `
CREATE TABLE lines (id bigint PRIMARY KEY, note text NOT NULL);
INSERT INTO lines SELECT n * 3 - 50000, 'line ' || n FROM generate_series(1, 300000) n;
CREATE TABLE words (word text PRIMARY KEY);
INSERT INTO words SELECT md5(n::text) FROM generate_series(1, 30000) n;
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TABLE visits (page text);
INSERT INTO visits SELECT '/' FROM generate_series(1, 5000);
ANALYZE`
/** Names that differ in the case of letters alone. */
const ALIKE = `
CREATE TABLE "Orders" (id int PRIMARY KEY, "Id" int UNIQUE, note text);
CREATE TABLE orders (id int PRIMARY KEY, note text);
CREATE TABLE lines (id int PRIMARY KEY, "O" int REFERENCES "Orders" ("Id"), o int REFERENCES orders);
INSERT INTO "Orders" VALUES (1, 70, 'first'), (2, 80, 'second');
INSERT INTO orders VALUES (1, 'another first');
INSERT INTO lines VALUES (1, 70, 1)`
const COUNTS = { 'public.lines': 300_000, 'public.words': 30_000, 'public.empty': 0, 'public.visits': 5000 }

describe('a baseline of a PostgreSQL server', () => {
  let server: TestPostgres
  let shop: TestDatabase
  let database: Database
  let tables: readonly Table[] = []
  const directories: string[] = []
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.13.21' })
    shop = await server.database()
    await shop.sql(SHOP)
    database = openPostgres(shop.options())
    tables = (await database.schema()).tables
  })
  afterEach(async () => {
    for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
  })
  afterAll(async () => {
    await database?.close()
    await server?.stop()
  })

  async function folder(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'migrate-baseline-'))
    directories.push(directory)
    return directory
  }

  /** What is kept of every table, row after row; in which order tables are begun after a stop depends on what was done by then. */
  async function content(directory: string) {
    const file = await openBaseline(directory)
    if (file === undefined) throw new Error('there is no baseline')
    try {
      const inOrder = [...file.tables()].sort(([one], [other]) => (one < other ? -1 : 1))
      return inOrder.map(([name, table]) => {
        const rows = file.bounds(table).flatMap(({ leaf }) => file.leaf(table, leaf))
        const told = rows.map(({ id, state }) => `${id} ${state.print}`)
        return { name, rows: table.rows, sum: table.sum, written: table.written, told: hash('sha256', told.join('\n')) }
      })
    } finally {
      file.close()
    }
  }

  /** Takes a baseline until so many rows were fingerprinted. */
  async function takeSome(directory: string, enough: number): Promise<void> {
    const stop = new AbortController()
    const stopped = new Error('stopped by the test')
    const onRows = (rows: number): void => {
      if (rows >= enough) stop.abort(stopped)
    }
    await expect(takeBaseline({ directory, database, tables, connections: 3, signal: stop.signal, onRows })).rejects.toBe(stopped)
  }

  const written = async (directory: string) =>
    Object.fromEntries([...(await baselineTables(directory))].map(([name, table]) => [name, table.written]))
  const NOTHING_WRITTEN = Object.fromEntries(Object.keys(COUNTS).map((name) => [name, false]))

  it('is the same whether one connection takes it or several, in the order of the keys, also when it was stopped midway', async () => {
    const [one, several, resumed] = [await folder(), await folder(), await folder()]
    await takeBaseline({ directory: one, database, tables })
    await takeBaseline({ directory: several, database, tables, connections: 3 })
    await takeSome(resumed, 100_000)
    await takeSome(resumed, 220_000)
    await takeBaseline({ directory: resumed, database, tables, connections: 3 })
    const expected = await content(one)
    expect(Object.fromEntries(expected.map(({ name, rows }) => [name, rows]))).toEqual(COUNTS)
    expect(await written(one)).toEqual(NOTHING_WRITTEN)
    expect(await content(several)).toEqual(expected)
    expect(await content(resumed)).toEqual(expected)
  })

  it.each([
    [
      'changes a row',
      "UPDATE lines SET note = 'another' WHERE id = 847000",
      "UPDATE lines SET note = 'line 299000' WHERE id = 847000",
    ],
    ['adds a row', "INSERT INTO lines VALUES (7000000, 'new')", 'DELETE FROM lines WHERE id = 7000000'],
    [
      'puts another row in place of one',
      "DELETE FROM lines WHERE id = 847000; INSERT INTO lines VALUES (847000, 'line 299000')",
      '',
    ],
  ])('tells when somebody %s while it is stopped, also when it is taken back before the end', async (_what, deed, back) => {
    const directory = await folder()
    await takeSome(directory, 100_000)
    await shop.sql(deed)
    let undone: Promise<unknown> | undefined
    const onRows = (rows: number): void => {
      if (rows > 200_000 && back !== '') undone ??= shop.sql(back)
    }
    await takeBaseline({ directory, database, tables, connections: 3, onRows })
    await undone
    expect(await written(directory)).toEqual({ ...NOTHING_WRITTEN, 'public.lines': true })
  })

  it('isn’t misled by what the server does for itself', async () => {
    const directory = await folder()
    await takeSome(directory, 100_000)
    await shop.sql('VACUUM (FREEZE, ANALYZE) lines')
    await takeBaseline({ directory, database, tables, connections: 3 })
    expect(await written(directory)).toEqual(NOTHING_WRITTEN)
  })

  it('asks little of many small tables, to load them and to take theirs', async () => {
    const [full, bare] = [await server.database(), await server.database()]
    const names = Array.from({ length: 40 }, (_, at) => `t${at}`)
    const create = names.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, note text)`).join(';')
    for (const each of [full, bare]) await each.sql(create)
    await full.sql(names.map((name) => `INSERT INTO ${name} VALUES (1, '${name}'), (2, NULL)`).join(';'))
    const source = openPostgres(full.options())
    const { host, port, user, database: name } = bare.options()
    const counter = await startCounter({ host, port, user, database: name, password: '' })
    const target = openPostgres({ ...bare.options(), port: counter.place.port, host: counter.place.host })
    try {
      const { tables: small } = await source.schema()
      const loads = await source.read(1, async ([reader]) => {
        const read: { table: Table; blocks: AsyncIterable<Buffer>; mark: { run: string; name: string } }[] = []
        for (const table of small) {
          const held: Buffer[] = []
          for await (const { bytes } of reader.blocks?.(table) ?? []) held.push(bytes)
          read.push({ table, blocks: Readable.from(held), mark: { run: 'copy', name: table.name.name } })
        }
        return read
      })
      expect(await target.loadTogether?.(loads)).toEqual(small.map(() => 2))
      expect(counter.count).toBeLessThan(20)
      const directory = await folder()
      const before = counter.count
      await takeBaseline({ directory, database: target, tables: small, connections: 2 })
      expect(await written(directory)).toEqual(Object.fromEntries(small.map((table) => [fullName(table.name), false])))
      // One for each table's fingerprints; what it holds before and after them is asked of several at once.
      expect(counter.count - before).toBeLessThan(small.length + 30)
    } finally {
      await Promise.all([source.close(), target.close()])
      await counter.close()
    }
  })

  it('tells tables and columns apart whose names differ in the case of letters alone, and so does what is carried by it', async () => {
    const [from, to] = [await server.database(), await server.database()]
    for (const each of [from, to]) await each.sql(ALIKE)
    const [source, target] = [openPostgres(from.options()), openPostgres(to.options())]
    try {
      const directory = await folder()
      const { tables: all } = await target.schema()
      await takeBaseline({ directory, database: target, tables: all, printingOf: (table) => printingFor(table, PARKING) })
      await from.sql(`INSERT INTO "Orders" VALUES (3, 90, 'third'); INSERT INTO orders VALUES (5, 'fifth'); INSERT INTO lines VALUES (2, 90, 5);
        UPDATE "Orders" SET note = 'changed' WHERE id = 1`)
      const each = new Reconciler({
        run: 'alike',
        directory,
        source,
        target,
        sourceSide: 'old',
        tracked: () => true,
        policyOf: () => PARKING,
        references: () => [],
      })
      const { changes } = await each.plan({})
      for (const change of changes) await each.apply(change)
      for (const name of ['"Orders"', 'orders', 'lines'])
        expect(await to.sql(`SELECT * FROM ${name} ORDER BY id`), name).toEqual(
          await from.sql(`SELECT * FROM ${name} ORDER BY id`),
        )
    } finally {
      await Promise.all([source.close(), target.close()])
    }
  })
})
