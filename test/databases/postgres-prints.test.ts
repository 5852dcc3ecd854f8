import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database, KeyCells, KeyRange, Reader, Row } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { readableColumns, type Table } from '../../src/databases/schema.ts'
import { changed, copyTable, createAll, rowsOf } from '../contract/database-kit.ts'
import { added, printing, printingOf, printingPowers, printsOf, sumOf } from '../contract/database-prints-kit.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { createSamples } from './postgres-samples.ts'

/** A cast to text that says the same of every value; a type that keeps trailing spaces though its cast to text doesn't. */
const TRAPS = `
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION vague(pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''a pair''';
CREATE CAST (pair AS text) WITH FUNCTION vague(pair) AS IMPLICIT;
CREATE DOMAIN short AS bpchar;
CREATE TABLE traps (id int PRIMARY KEY, p pair, padded bpchar, dressed short, letters char(4), yes boolean, host inet, price money, c "char");
INSERT INTO traps VALUES (0, '(1,x)', 'a', 'a', 'a', true, '10.0.0.1', '1.00', 'a'), (1, '(2,x)', 'a', 'a', 'a', true, '10.0.0.1', '1.00', 'a'),
  (2, '(,)', 'a', 'a', 'a', true, '10.0.0.1', '1.00', 'a'), (3, NULL, 'a', 'a', 'a', true, '10.0.0.1', '1.00', 'a'),
  (4, '(1,x)', 'a ', 'a', 'a', true, '10.0.0.1', '1.00', 'a'), (5, '(1,x)', 'a', 'a ', 'a', true, '10.0.0.1', '1.00', 'a'),
  (6, '(1,x)', 'a', 'a', 'b', true, '10.0.0.1', '1.00', 'a'), (7, '(1,x)', 'a', 'a', 'a', false, '10.0.0.1', '1.00', 'a'),
  (8, '(1,x)', 'a', 'a', 'a', true, '10.0.0.1/24', '1.00', 'a'), (9, '(1,x)', 'a', 'a', 'a', true, '10.0.0.1', '1.01', 'a'),
  (10, '(1,x)', 'a', 'a', 'a', true, '10.0.0.1', '1.00', ''), (11, '(1,x)', 'a', 'a', 'a', true, '10.0.0.1', '1.00', NULL)`

const PARTS = `
CREATE TABLE visits (page text, day int) PARTITION BY LIST (day);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES IN (1);
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES IN (2);
INSERT INTO visits VALUES ('/', 1), ('/', 1), ('/', 2), ('/a', 2);
CREATE TABLE people (id int PRIMARY KEY, name text);
CREATE TABLE staff (desk text) INHERITS (people);
INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob'); INSERT INTO staff VALUES (1, 'Ada', 'a desk'), (3, 'Eve', 'another')`

/** Types of extensions, whose operators lie where no search_path leads, as whole keys and as the first and the second of two columns. */
const EXTENSIONS = `
CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext; CREATE DOMAIN mail AS ext.citext; CREATE DOMAIN mail2 AS mail;
CREATE TABLE accounts (email ext.citext PRIMARY KEY, n int);
CREATE TABLE notes (email mail2, n int, PRIMARY KEY (email, n));
CREATE TABLE visits (day int, email ext.citext, n int, PRIMARY KEY (day, email));
CREATE TABLE logins (email ext.citext CONSTRAINT logins_email REFERENCES accounts, n int);
CREATE TABLE paths (path ext.ltree PRIMARY KEY, n int);
INSERT INTO accounts SELECT (CASE WHEN n % 3 = 0 THEN 'B' WHEN n % 3 = 1 THEN 'a' ELSE 'C' END) || n, n FROM generate_series(1, 60) n;
INSERT INTO notes SELECT email::text, k FROM accounts, generate_series(1, 3) k; INSERT INTO visits SELECT n % 3, email, n FROM accounts;
INSERT INTO logins SELECT upper(email::text), n FROM accounts WHERE n % 2 = 0;
INSERT INTO paths SELECT ('Shop.' || (CASE WHEN n % 2 = 0 THEN 'B' ELSE 'a' END) || n)::ext.ltree, n FROM generate_series(1, 60) n`

/** A table's rows in ranges of seven by boundaries that the server gives: all of them read, in the order of the ranges. */
async function inRanges(
  reader: Reader,
  table: Table,
): Promise<{ readonly rows: readonly Row[]; readonly ranges: readonly KeyRange[] }> {
  const ranges: KeyRange[] = []
  const rows: Row[] = []
  for (let after: KeyCells | undefined, isLast = false; !isLast; ) {
    const upTo: KeyCells | undefined = await reader.boundary?.(table, 7, after)
    isLast = upTo === undefined
    const range = { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) }
    for await (const batch of reader.rows(table, range)) rows.push(...batch)
    ranges.push(range)
    after = upTo
  }
  return { rows, ranges }
}

describe('PostgreSQL’s fingerprints', () => {
  let usual: TestPostgres
  let newest: TestPostgres
  const opened: Database[] = []
  const open = (made: TestDatabase, change: Parameters<TestDatabase['options']>[0] = {}): Database => {
    const database = openPostgres(made.options(change))
    opened.push(database)
    return database
  }
  beforeAll(async () => {
    usual = await startTestPostgres({ host: '127.0.11.16' })
    newest = await startTestPostgres({ host: '127.0.11.17', newest: true })
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close()
  })
  afterAll(async () => {
    await usual?.stop()
    await newest?.stop()
  })

  async function made(
    sql: string,
  ): Promise<{ readonly from: TestDatabase; readonly database: Database; table(name: string): Table }> {
    const from = await usual.database()
    await from.sql(sql)
    const database = open(from)
    const { tables } = await database.schema()
    return {
      from,
      database,
      table: (name) => {
        const found = tables.find((each) => each.name.name === name)
        if (found === undefined) throw new Error(`no table ${name}`)
        return found
      },
    }
  }

  it('are the same on servers of different releases, of every type that both have', async () => {
    const [one, other] = [await usual.database(), await newest.database()]
    await one.sql(`${createSamples()}; ${TRAPS.replaceAll('pair', 'couple')};
      SELECT lo_from_bytea(80000 + n, sha256(n::text::bytea)) FROM generate_series(1, 5) AS n`)
    const [old, fresh] = [open(one), open(other)]
    const schema = await old.schema()
    await createAll(fresh, schema)
    for (const table of schema.tables) {
      await copyTable(old, fresh, table)
      expect(await printingPowers(fresh).fingerprintMethod(table)).toBe(await printingPowers(old).fingerprintMethod(table))
      const prints = await printsOf(old, table)
      expect(prints.length).toBeGreaterThan(3)
      expect(await printsOf(fresh, table)).toEqual(prints)
      expect(await sumOf(fresh, table)).toEqual(added(prints))
    }
  })

  it('go by what the rows say, whatever a type’s cast to text makes of it', async () => {
    const { database, table } = await made(TRAPS)
    const traps = table('traps')
    const prints = await printsOf(database, traps, printingOf(traps, { without: ['id'] }))
    expect(new Set(prints.map(({ print }) => print)).size).toBe(prints.length)
    const rows = await rowsOf(database, traps)
    const keyless: Table = { ...traps, key: [], primaryKey: null }
    for (const row of rows) {
      const others = rows.filter((each) => each[0] !== row[0]).map((each) => changed(traps, each, { id: row[0] ?? null }))
      await database.transaction([traps], async (transaction) => {
        for (const each of others) expect(await transaction.removeCopies(keyless, each, 1)).toBe(0)
        expect(await transaction.removeCopies(keyless, row, 1)).toBe(1)
      })
    }
    expect(await rowsOf(database, traps)).toEqual([])
  })

  it('and rows in ranges by a key of an extension’s type are all there, each once', async () => {
    const { database, table } = await made(EXTENSIONS)
    for (const name of ['accounts', 'notes', 'visits', 'paths']) {
      const keyed = table(name)
      const whole = await rowsOf(database, keyed)
      const prints = await printsOf(database, keyed)
      await database.read(1, async ([reader]) => {
        const { rows, ranges } = await inRanges(reader, keyed)
        expect(rows, name).toEqual(whole)
        const sums = await printing(reader).sums(keyed, printingOf(keyed), ranges)
        expect(sums).toEqual(ranges.map((_range, at) => added(prints.slice(at * 7, at * 7 + 7))))
      })
      const keys = prints.map(({ key }) => key)
      const found = await printingPowers(database).printedByKey(keyed, printingOf(keyed), keys)
      expect(found).toHaveLength(whole.length)
    }
    const [accounts, notes] = [table('accounts'), table('notes')]
    const same = await database.transaction([accounts, notes], async (transaction) => [
      ...(await transaction.find(accounts, ['email'], [['b3']])),
      ...(await transaction.find(notes, ['email', 'n'], [['b3', '2']])),
    ])
    expect(same).toEqual([
      ['B3', '3'],
      ['B3', '2'],
    ])
  })

  it('and no row is taken for an orphan whose parent its type calls equal', async () => {
    const { database, table } = await made(EXTENSIONS)
    const [accounts, logins] = [table('accounts'), table('logins')]
    const [key] = (await database.schema()).foreignKeys
    if (key === undefined) expect.unreachable('there is one')
    const rule = { child: logins.name, columns: key.columns, parent: accounts.name, parentColumns: key.parentColumns }
    expect(await database.deleteOrphans(rule)).toBe(0)
    expect(await rowsOf(database, logins)).toHaveLength(30)
    const parents = [['b6'], ['nobody@else']]
    expect(await database.transaction([logins], (transaction) => transaction.referenced(key, parents))).toEqual([['b6']])
  })

  it('depend on the encoding, and say so', async () => {
    const { database, table } = await made(PARTS)
    const plain = await printingPowers(database).fingerprintMethod(table('people'))
    expect(plain).toMatch(/^postgres-chain-1:[0-9a-f]{16}:UTF8$/)
    const latin = await usual.database()
    await latin.superuserSql(
      `CREATE DATABASE latin_prints OWNER ${latin.owner.user} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    )
    const other = open(latin, { database: 'latin_prints' })
    expect(await printingPowers(other).fingerprintMethod(table('people'))).toBe(plain?.replace('UTF8', 'LATIN1'))
  })

  it('of a partitioned table are of all its parts; of one that others inherit from, of its own rows', async () => {
    const { from, database, table } = await made(PARTS)
    const [visits, people] = [table('visits'), table('people')]
    const prints = await printsOf(database, visits)
    expect(prints).toHaveLength(4)
    expect(await sumOf(database, visits)).toEqual(added(prints))
    const own = await printsOf(database, people)
    expect(own.map(({ key }) => key)).toEqual([['1'], ['2']])
    expect(await sumOf(database, people)).toEqual(added(own))
    const keyed = await printingPowers(database).printedByKey(people, printingOf(people), [['1'], ['3']])
    expect(keyed.map(({ row }) => row)).toEqual([['1', 'Ada']])
    // The first rows of both parts stand at the same place of their own files.
    const removed = await database.transaction([visits], (transaction) => transaction.removeCopies(visits, ['/', '2'], 5))
    expect(removed).toBe(1)
    expect(await from.sql('SELECT page, day FROM visits ORDER BY day, page')).toEqual([
      ['/', '1'],
      ['/', '1'],
      ['/a', '2'],
    ])
    const found = await database.transaction([people], (transaction) => transaction.find(people, ['name'], [['Ada'], ['Eve']]))
    expect(found).toEqual([['1', 'Ada']])
  })

  it.each([
    ['people', "INSERT INTO people VALUES (7, 'Eve')", 'name = name', 'id = 2'],
    ['visits', "INSERT INTO visits VALUES ('/', 2)", 'page = page', "page = '/a'"],
  ])('have a cheap stamp beside them, which tells of any write to %s, and of nothing else', async (name, insert, same, one) => {
    const { from, database, table } = await made(PARTS)
    const stamp = () =>
      database.read(1, async ([reader]) => {
        if (reader.stamps === undefined) throw new Error('the adapter has no stamps')
        const [alone] = await reader.stamps([table(name)])
        expect((await reader.stamps([table('people'), table('visits'), table(name)])).at(-1)).toEqual(alone)
        if (alone === undefined) throw new Error('no stamp came')
        return alone
      })
    const seen = [await stamp()]
    for (const deed of [
      insert,
      `UPDATE ${name} SET ${same} WHERE ${one}`,
      `CREATE TABLE kept AS SELECT * FROM ${name} WHERE ${one}; DELETE FROM ${name} WHERE ${one}; INSERT INTO ${name} SELECT * FROM kept`,
      `DELETE FROM ${name} WHERE ${one}`,
    ]) {
      await from.sql(deed)
      const now = await stamp()
      expect(seen, deed).not.toContainEqual(now)
      seen.push(now)
    }
    expect(seen.map(({ rows }) => rows - (seen[0]?.rows ?? 0))).toEqual([0, 1, 1, 1, 0])
    const before = await stamp()
    await from.sql("INSERT INTO staff VALUES (9, 'Zoe', 'a desk')")
    await from.sql(`BEGIN; DELETE FROM ${name}; ROLLBACK`)
    await from.sql(`VACUUM (FREEZE, ANALYZE) ${name}`)
    await from.sql(`VACUUM FULL ${name}`)
    expect(await stamp()).toEqual(before)
  })

  it('take values of 100 MiB (text: 20 MiB), and tell them apart by their last byte', async () => {
    const { database, table } = await made(`CREATE TABLE files (id int PRIMARY KEY, content bytea, words text);
      ALTER TABLE files ALTER content SET STORAGE EXTERNAL, ALTER words SET STORAGE EXTERNAL;
      INSERT INTO files SELECT n, decode(repeat(md5('a'), ${100 * 65_536}) || lpad(n::text, 2, '0'), 'hex'), NULL FROM generate_series(1, 2) n;
      INSERT INTO files SELECT n, NULL, repeat('"quoted" \\ ', ${2 * 1024 * 1024}) || n FROM generate_series(3, 4) n`)
    const files = table('files')
    const prints = await printsOf(database, files, printingOf(files, { without: ['id'] }))
    expect(new Set(prints.map(({ print }) => print)).size).toBe(4)
    expect((await sumOf(database, files)).rows).toBe(4)
  })

  it('are given up by the server too when the signal says so', async () => {
    const { from, database, table } = await made(
      'CREATE TABLE waits (id int); CREATE VIEW slow AS SELECT 1 AS id FROM pg_sleep(3600)',
    )
    const slow: Table = { ...table('waits'), name: { schema: 'public', name: 'slow' } }
    const asleep = async (): Promise<number> =>
      Number((await from.superuserSql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))[0]?.[0])
    const stop = new AbortController()
    const reason = new Error('stopped by the test')
    const asking = database.read(1, ([reader]) => printing(reader).sum(slow, printingOf(slow), { signal: stop.signal }))
    const ending = expect(asking).rejects.toBe(reason)
    await expect.poll(asleep, { timeout: 60_000 }).toBe(1)
    stop.abort(reason)
    await ending
    await expect.poll(asleep, { timeout: 60_000 }).toBe(0)
  })

  it('take a table of as many columns as the server allows', async () => {
    const columns = Array.from({ length: 1600 }, (_, at) => `c${at}`)
    const { from, database, table } = await made(`CREATE TABLE broad (${columns.map((name) => `${name} boolean`).join(', ')});
      INSERT INTO broad (c0) VALUES (NULL), (true)`)
    await from.sql('INSERT INTO broad (c1599) VALUES (true)')
    const broad = table('broad')
    expect(readableColumns(broad)).toHaveLength(1600)
    const prints = await printsOf(database, broad)
    expect(new Set(prints.map(({ print }) => print)).size).toBe(3)
    expect(await sumOf(database, broad)).toEqual(added(prints))
    const found = await printingPowers(database).printedByPrint(broad, printingOf(broad), [prints[2]?.print ?? ''])
    expect(found.map(({ row }) => row.at(-1))).toEqual(['t'])
  })
})
