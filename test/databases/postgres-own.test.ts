import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { oversizeError } from '../../src/databases/postgres/oversize.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'
import { batchesOf, copyTable, createAll, failureOf, rowsOf, tableOf } from '../contract/database-kit.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres, UNTIL_SOMEBODY_WAITS } from '../servers/postgres.ts'

const RICH = `
CREATE SCHEMA sales;
CREATE TYPE sales.mood AS ENUM ('sad', 'o''k', 'happy');
CREATE TYPE pair AS (a int, b text COLLATE "C");
CREATE FUNCTION sales.positive(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE DOMAIN qty AS int DEFAULT 1 NOT NULL CONSTRAINT pos CHECK (sales.positive(VALUE));
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE SEQUENCE shared START 5 INCREMENT 3;
CREATE SEQUENCE free CACHE 7 CYCLE;
CREATE FUNCTION next_no() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('free'); END $$;
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 2 CACHE 3) PRIMARY KEY, n numeric(10,2) NOT NULL DEFAULT 0,
  m sales.mood[], q qty, g numeric GENERATED ALWAYS AS (n * 2) STORED, c citext UNIQUE, x varchar(20) COLLATE "C", p pair, r span,
  no bigint DEFAULT next_no(), sh int DEFAULT nextval('shared'), EXCLUDE USING gist (r WITH &&), CHECK (n > -5)) WITH (fillfactor = 70);
CREATE TABLE s (id serial PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE DEFERRABLE, sh int DEFAULT nextval('shared'));
CREATE UNLOGGED TABLE "We ird""T" ("A b" text, "c.d" bytea, UNIQUE ("A b"));
CREATE TABLE nothing ();
CREATE INDEX ON t (lower(x)) WHERE n > 1;
CREATE STATISTICS st ON n, x FROM t;
CREATE VIEW z_first AS SELECT 1 AS one;
CREATE VIEW second WITH (security_barrier) AS SELECT t.*, one FROM t, z_first;
CREATE FUNCTION f1() RETURNS SETOF second LANGUAGE sql AS 'SELECT * FROM public.second';
CREATE VIEW a_third AS SELECT * FROM f1();
CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM a_third;
CREATE UNIQUE INDEX ON mv (n);
CREATE PROCEDURE pr(a int) LANGUAGE sql AS 'DELETE FROM s WHERE id = a';
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER zz BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER aa BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire();
ALTER TABLE t DISABLE TRIGGER aa;
CREATE RULE ru AS ON UPDATE TO z_first DO INSTEAD NOTHING;
COMMENT ON COLUMN t.n IS 'it''s';
INSERT INTO t (n, x, p, r) VALUES (1.50, 'a', '(1,"x,y")', '[1,2)')`

describe('PostgreSQL beyond the contract', () => {
  let server: TestPostgres
  const opened: Database[] = []
  const open = (database: TestDatabase, change: Parameters<TestDatabase['options']>[0] = {}): Database => {
    const result = openPostgres(database.options(change))
    opened.push(result)
    return result
  }
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.3' })
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close()
  })
  afterAll(() => server.stop())

  it('builds indexes in a share of the memory that the server gives itself, never in less than it is set to', async () => {
    const database = await server.database()
    const given = async (connections: number, condition: string): Promise<readonly number[]> =>
      open(database, { connections }).runStatements([
        `SELECT 1 FROM pg_settings m, pg_settings b WHERE m.name = 'maintenance_work_mem' AND b.name = 'shared_buffers' AND ${condition}`,
      ])
    const [work, buffers] = ['m.setting::bigint * 1024', 'b.setting::bigint * 8192']
    expect(await given(1, `${work} = greatest(m.boot_val::bigint * 1024, least(${buffers}, 1024 * 1024 * 1024))`)).toEqual([1])
    expect(await given(1000, `${work} = m.boot_val::bigint * 1024`)).toEqual([1])
  })

  it('carries a schema with types, domains, ranges, views over functions over views, rules and options', async () => {
    const from = await server.database()
    const to = await server.database()
    for (const each of [from, to]) await each.superuserSql('CREATE EXTENSION citext')
    await from.sql(RICH)
    const source = open(from)
    const target = open(to)
    const schema = await source.schema()
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    await createAll(target, schema, ['after'])
    expect(created(await target.schema())).toEqual(created(schema))
    expect(schema.identities.filter((each) => each.sequence?.name === 'shared').map((each) => each.table.name)).toEqual([
      's',
      't',
    ])
    expect(await to.sql('SELECT t::text FROM t')).toEqual(await from.sql('SELECT t::text FROM t'))
  })

  it('names a row that is too large to be read, before anything is copied', async () => {
    const made = await server.database()
    await made.sql(
      `CREATE TABLE files (id int, name text, content bytea, PRIMARY KEY (id, name)); INSERT INTO files VALUES (1, 'small', '\\x00')`,
    )
    const database = open(made)
    expect(await database.oversize?.(await database.schema())).toEqual([])
    // lz4, where the server has it, takes a tenth of the time.
    await made.sql(`DO $$ BEGIN SET LOCAL default_toast_compression = lz4; EXCEPTION WHEN OTHERS THEN NULL; END $$;
      INSERT INTO files SELECT 2, 'it''s large', repeat('x', ${2 ** 28})::bytea`)
    expect(await database.oversize?.(await database.schema())).toMatchObject([
      {
        severity: 'error',
        code: 'row-too-large',
        message: expect.stringMatching(/row 2, it's large of public\.files .* content alone/),
      },
    ])
  })

  it('names a row that is too large also when it comes upon one', () => {
    const column = (name: string, codec: string) => ({ ...words, name, type: codec, codec })
    const words = { nullable: false, collation: null, default: null, computed: null, identity: null, rowversion: false } as const
    const table: Table = {
      name: { schema: 'public', name: 'files' },
      columns: [column('content', 'bytea'), column('id', 'integer'), column('name', 'text')],
      primaryKey: null,
      uniqueKeys: [],
      key: ['id', 'name'],
      triggers: [],
    }
    const error = oversizeError(table, Buffer.from(`\\\\x${'00'.repeat(600)}\t7\ta\\tb\n`))
    expect([error.code, error.message]).toEqual([
      'row-too-large',
      expect.stringMatching(/^The row 7, a\tb\n? ?of public.files .* content alone/),
    ])
  })

  it('refuses to read rows that row security would hide', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE guarded (a int PRIMARY KEY); INSERT INTO guarded VALUES (1), (2)')
    const account = await made.readOnlyAccount()
    await made.sql(`ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON guarded USING (a = 1)`)
    const reader = open(made, { account })
    const table = tableOf(await reader.schema(), 'guarded' as 'words')
    expect((await failureOf(rowsOf(reader, table))).code).toBe('database-permission-denied')
    expect((await reader.missingRights('read')).map((finding) => finding.hint)).toEqual([expect.stringContaining('BYPASSRLS')])
  })

  it('stops reading at once when told to, also while a lock makes it wait', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE words (word int PRIMARY KEY)')
    const database = open(made)
    const words = tableOf(await database.schema(), 'words')
    const stop = new AbortController()
    const reason = new Error('stopped by the test')
    const unlock = await lockTable(made, 'words')
    const reading = rowsOf(database, words, { signal: stop.signal })
    const outcome = expect(reading).rejects.toBe(reason)
    await made.superuserSql(UNTIL_SOMEBODY_WAITS)
    stop.abort(reason)
    await outcome
    await unlock()
    expect(await rowsOf(database, words)).toEqual([])
  })

  it('tells a reader which GRANT it lacks', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE seen (a int PRIMARY KEY)')
    const account = await made.readOnlyAccount()
    await made.sql('CREATE SCHEMA hidden; CREATE TABLE unseen (id serial)')
    const missing = await open(made, { account }).missingRights('read')
    const hints = missing.map((finding) => finding.hint ?? '').join('\n')
    expect(hints).toContain(`GRANT USAGE ON SCHEMA hidden TO ${account.user};`)
    expect(hints).toContain(`GRANT SELECT ON TABLE public.unseen TO ${account.user};`)
    expect(hints).toContain(`GRANT SELECT ON SEQUENCE public.unseen_id_seq TO ${account.user};`)
    expect(hints).not.toContain('public.seen ')
    const names = Array.from({ length: 7 }, (_, at) => `Many ${at}`)
    await made.sql(names.map((name) => `CREATE TABLE "${name}" (a int)`).join(';'))
    const together = await open(made, { account }).missingRights('read')
    expect(together).toHaveLength(missing.length)
    expect(together.find(({ message }) => message.includes('tables'))).toMatchObject({
      message: expect.stringContaining(
        'may not read the tables public.Many 0, public.Many 1, public.Many 2, public.Many 3, public.Many 4 and 3 more on',
      ),
      hint: expect.stringContaining(`${names.map((name) => `public."${name}"`).join(', ')}, public.unseen TO ${account.user};`),
    })
  })

  it('keeps its own tables apart when the schema public can’t take them', async () => {
    const made = await server.database()
    await made.superuserSql('REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner')
    const database = open(made)
    await database.execute('CREATE SCHEMA shop', { run: 'r', name: 'shop' })
    expect(await database.marks('r')).toEqual(new Set(['shop']))
    expect(await made.sql(`SELECT schemaname FROM pg_tables WHERE tablename = 'migrate_marks'`)).toEqual([['migrate_own']])
    expect((await database.schema()).objects.map((object) => object.name)).not.toContain('migrate_own')
    await database.removeOwnTables()
    expect(await made.sql(`SELECT 1 FROM pg_namespace WHERE nspname = 'migrate_own'`)).toEqual([])
  })

  it('lets the shop’s functions find their tables while rows are written', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE limits (most int); INSERT INTO limits VALUES (5);
      CREATE FUNCTION within(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN $1 <= (SELECT most FROM limits); END $$;
      CREATE TABLE words (word int PRIMARY KEY CHECK (within(word)))`)
    const database = open(made)
    const words = tableOf(await database.schema(), 'words')
    expect(await database.load(words, batchesOf([['5']]), { run: 'r', name: 'w' })).toBe(1)
    const failure = await failureOf(database.load(words, batchesOf([['6']]), { run: 'r', name: 'x' }))
    expect(failure.message).toContain('words_word_check')
  })

  it('says that the disk is full, keeps nothing, and loads once there is room', async () => {
    const made = await server.database()
    // The server's own error, raised by a check: what the client sees is the same as from a disk that is really full.
    await made.sql(`CREATE FUNCTION room(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
        IF $1 > 2 THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END IF; RETURN true; END $$;
      CREATE TABLE words (word int PRIMARY KEY CONSTRAINT full_disk CHECK (room(word)))`)
    const database = open(made)
    const words = tableOf(await database.schema(), 'words')
    const mark = { run: 'r', name: 'words' }
    const failure = await failureOf(database.load(words, batchesOf([['1'], ['2']], [['3']]), mark))
    expect([failure.code, failure.retrySafe]).toEqual(['database-disk-full', false])
    expect(failure.hint).toContain('room')
    expect(await database.marks('r')).toEqual(new Set())
    await made.sql('ALTER TABLE words DROP CONSTRAINT full_disk')
    expect(await database.load(words, batchesOf([['1'], ['2']], [['3']]), mark)).toBe(3)
  })

  it('puts a trigger back in the state that it had', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE words (word int PRIMARY KEY);
      CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
      ${['usual', 'off', 'always', 'replica'].map((name) => `CREATE TRIGGER ${name} BEFORE INSERT ON words EXECUTE FUNCTION fire();`).join('')}
      ALTER TABLE words DISABLE TRIGGER off, ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica`)
    const states = () => made.sql(`SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`)
    const before = await states()
    const database = open(made)
    const words = tableOf(await database.schema(), 'words')
    await database.transaction([words], (transaction) => transaction.insert(words, [['1']]))
    expect(await states()).toEqual(before)
  })

  it('has a deferred foreign key checked when the transaction ends', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE categories (id int PRIMARY KEY, parent_id int REFERENCES categories DEFERRABLE)`)
    const database = open(made)
    const table = tableOf(await database.schema(), 'categories')
    await database.transaction([table], (transaction) =>
      transaction.insert(table, [
        ['1', '2'],
        ['2', '1'],
      ]),
    )
    const failure = await failureOf(database.transaction([table], (transaction) => transaction.insert(table, [['3', '4']])))
    expect(failure.code).toBe('database-statement-failed')
    expect(await made.sql('SELECT count(*) FROM categories')).toEqual([['2']])
  })

  it('ends a deadlock as busy, safe to try again', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE words (word int PRIMARY KEY); INSERT INTO words VALUES (1), (2)')
    const database = open(made)
    const words = tableOf(await database.schema(), 'words')
    const meet = meeting(2)
    const lockBoth = (first: string, second: string) =>
      database.transaction([words], async (transaction) => {
        await transaction.lock(words, [[first]])
        await meet()
        await transaction.lock(words, [[second]])
      })
    const ends = await Promise.allSettled([lockBoth('1', '2'), lockBoth('2', '1')])
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
    expect(failed).toMatchObject([{ code: 'database-busy', retrySafe: true }])
  })

  it('goes on after the server was restarted under an idle connection', async () => {
    const made = await server.database()
    const database = open(made)
    await database.info()
    await made.superuserSql(
      `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'migrate' AND datname = '${made.name}'`,
    )
    const first = await database.info().catch((error: unknown) => error)
    if (first instanceof Error) expect(first).toMatchObject({ code: 'database-connection-lost', retrySafe: true })
    expect((await database.info()).database).toBe(made.name)
  })
})

const created = ({ tables, foreignKeys, identities, objects }: Schema) => ({ tables, foreignKeys, identities, objects })

/** Locks a whole table in a session of its own, until the function that it returns is called. */
async function lockTable(made: TestDatabase, table: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: made.url })
  await client.connect()
  await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
  return () => client.end()
}

/** Everybody who calls waits until `count` have called. */
function meeting(count: number): () => Promise<void> {
  let here = 0
  let open = (): void => undefined
  const all = new Promise<void>((resolve) => {
    open = resolve
  })
  return async () => {
    here += 1
    if (here === count) open()
    await all
  }
}
