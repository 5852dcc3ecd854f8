import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { killAll, type MigrateProcess, type MigrateRun, startMigrate, story, type WireEvent } from './migrate-process.ts'

/** Less than any other end of waiting (a connection that isn't made: 10 s, a step that doesn't listen: 30 s), more than a busy machine takes. */
const BOUND_MS = 8000
const SMALL_TABLES = 60

/**
 * `slow` takes its time on the new host alone, for as long as somebody holds the lock: there the index is built without an end. The
 * schema is large enough that reading it can be frozen midway.
 */
const SHOP = `
  CREATE FUNCTION slow(word text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    WHILE current_database() LIKE 'new%' AND NOT pg_try_advisory_xact_lock(4711) LOOP PERFORM pg_sleep(0.02); END LOOP;
    RETURN word; END $$;
  CREATE TABLE words (id integer PRIMARY KEY, word text NOT NULL);
  INSERT INTO words SELECT n, 'word ' || n FROM generate_series(1, 500) n;
  CREATE INDEX words_slow ON words (public.slow(word));
  ${Array.from({ length: SMALL_TABLES }, (_, n) => `CREATE TABLE t${n} (id integer PRIMARY KEY, name text, price numeric(12,4), at timestamp)`).join(';')}`

/** What this server does for migrate right now: statement and what it waits for, one text a session. */
const WORKING = `SELECT coalesce(wait_event_type, '') || ' ' || query FROM pg_stat_activity
  WHERE application_name = 'migrate' AND state = 'active'`

describe('Ctrl-C while a database is at work', () => {
  let server: TestPostgres
  let folder: string
  const closing: (() => Promise<void>)[] = []
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.33.1', settings: { lock_timeout: '0' } })
    folder = await mkdtemp(join(tmpdir(), 'migrate-interrupted-'))
  })
  afterEach(async () => {
    killAll()
    for (const close of closing.splice(0)) await close()
  })
  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  interface Move {
    readonly old: TestDatabase
    readonly new: TestDatabase
    readonly line: FaultProxy
    start(command: string, ...args: readonly string[]): MigrateProcess
  }

  /** A shop with its own playbook; the old host is behind a line that can fall silent. */
  async function move(): Promise<Move> {
    const [old, fresh] = [await server.database('old'), await server.database('new')]
    await old.sql(SHOP)
    const line = await startFaultProxy(server, { listen: server.host })
    closing.push(() => line.close())
    const through = new URL(old.url)
    through.host = `${line.host}:${line.port}`
    const playbook = join(folder, `${old.name}.yml`)
    const steps = 'steps: [snapshot-database, restore-database]'
    await writeFile(playbook, `name: ${old.name}\nold: { database: "\${OLD}" }\nnew: { database: "\${NEW}" }\n${steps}\n`)
    const env = { OLD: through.href, NEW: fresh.url }
    return { old, new: fresh, line, start: (command, ...args) => startMigrate([command, playbook, ...args], env) }
  }

  /** Another session that holds a lock until it is let go. */
  async function holding(database: TestDatabase, sql: string): Promise<() => Promise<void>> {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    let open = true
    const release = async (): Promise<void> => {
      if (open) await client.end()
      open = false
    }
    closing.push(release)
    await client.query('BEGIN')
    await vi.waitFor(
      () =>
        client.query(`SAVEPOINT before; ${sql}`).catch(async (error) => {
          await client.query('ROLLBACK TO before')
          throw error
        }),
      { timeout: 60_000, interval: 5 },
    )
    return release
  }

  const working = async (database: TestDatabase): Promise<readonly string[]> =>
    (await database.superuserSql(`${WORKING} AND datname = '${database.name}'`)).map(([text]) => text ?? '')

  /** Fails with the run's own words when that ends first. */
  const untilWorking = async (migrate: MigrateProcess, database: TestDatabase, what: RegExp): Promise<void> => {
    const looked = vi.waitFor(async () => expect((await working(database)).join('\n')).toMatch(what), {
      timeout: 60_000,
      interval: 20,
    })
    const early = migrate.ended.then((run) => Promise.reject(new Error(story(run))))
    await Promise.race([looked, early])
  }

  /** The first Ctrl-C, and the run's end. */
  async function interrupted(migrate: MigrateProcess): Promise<MigrateRun> {
    const begun = Date.now()
    migrate.kill('SIGINT')
    const run = await migrate.ended
    expect(run.exit, story(run)).toBe(130)
    expect(run.events.at(-1)).toMatchObject({ event: 'finished', outcome: 'interrupted', exit: 130 })
    expect(Date.now() - begun, story(run)).toBeLessThan(BOUND_MS)
    return run
  }

  async function expectWhole({ old, new: fresh, start }: Move): Promise<void> {
    const rest = await start('run', '--yes').ended
    expect(rest.exit, story(rest)).toBe(0)
    const content = 'SELECT count(*), sum(hashtext(w::text)) FROM words AS w'
    expect(await fresh.sql(content)).toEqual(await old.sql(content))
    expect(await fresh.sql("SELECT indexname FROM pg_indexes WHERE indexname = 'words_slow'")).toHaveLength(1)
  }

  const applying =
    (what: string) =>
    (event: WireEvent): boolean =>
      event.event === 'change' && event.phase === 'applying' && String(event.summary).includes(what)

  it('ends a snapshot whose rows somebody else has locked, on the old host too, and takes it whole when run again', async () => {
    const shop = await move()
    const migrate = shop.start('run', '--yes')
    await migrate.until(applying('save '))
    const release = await holding(shop.old, 'LOCK TABLE t0 IN ACCESS EXCLUSIVE MODE')
    await untilWorking(migrate, shop.old, /Lock .*COPY .*"t0"/)

    await interrupted(migrate)

    expect(await working(shop.old)).toEqual([])
    await release()
    await expectWhole(shop)
  })

  it('ends a long index on the new host, on the server too, and builds it when run again', async () => {
    const shop = await move()
    const release = await holding(shop.new, 'SELECT pg_advisory_xact_lock(4711)')
    const migrate = shop.start('run', '--yes')
    await untilWorking(migrate, shop.new, /CREATE INDEX words_slow/)

    await interrupted(migrate)

    expect(await working(shop.new)).toEqual([])
    expect(await shop.new.sql("SELECT indexname FROM pg_indexes WHERE indexname = 'words_slow'")).toEqual([])
    expect(await shop.new.sql("SELECT name FROM migrate_marks WHERE name LIKE '%words_slow'")).toEqual([])
    await release()
    await expectWhole(shop)
  })

  it('ends a load that waits for somebody else’s lock, and loads every row once when run again', async () => {
    const shop = await move()
    const migrate = shop.start('run', '--yes')
    const release = await holding(shop.new, 'LOCK TABLE words IN ACCESS EXCLUSIVE MODE')
    await migrate.until(applying('load '))
    await untilWorking(migrate, shop.new, /Lock COPY "public"."words"/)

    await interrupted(migrate)

    expect(await working(shop.new)).toEqual([])
    await release()
    expect(await shop.new.sql('SELECT count(*) FROM words')).toEqual([['0']])
    await expectWhole(shop)
  })

  it('ends a rollback that waits for a lock, which goes on when called again', async () => {
    const shop = await move()
    await expectWhole(shop)
    const release = await holding(shop.new, 'LOCK TABLE words IN ACCESS SHARE MODE')
    const back = shop.start('rollback', '--yes')
    await untilWorking(back, shop.new, /^Lock /)

    await interrupted(back)

    expect(await working(shop.new)).toEqual([])
    await release()
    const again = await shop.start('rollback', '--yes').ended
    expect(again.exit, story(again)).toBe(0)
    expect(await shop.new.sql("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")).toEqual([])
  })

  it.each([
    ['before it says who it is', 'check', 1],
    ['while its schema is read for the check', 'check', 12_000],
    ['while its schema is read for the run', 'run', 12_000],
  ] as const)('ends though the old host fell silent %s', async (_when, command, bytes) => {
    const shop = await move()
    const silent = shop.line.freeze(bytes)
    const migrate = shop.start(command, '--yes')
    await silent

    const run = await interrupted(migrate)

    shop.line.mend()
    expect(run.stderr).toContain('Stopping at the next safe point')
    // What couldn't be asked any more is no fault of the host's.
    expect(run.events.filter((event) => event.event === 'finding' && event.severity === 'error')).toEqual([])
    await expectWhole(shop)
  })
})
