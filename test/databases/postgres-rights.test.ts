import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/base/errors.ts'
import type { Database, ServerInfo } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { checkKind } from '../../src/steps/check.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { failureOf, readAll } from '../contract/database-kit.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { type PostgresAccount, startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { stepsOf } from '../steps/moving-shop.ts'
import { largeObjects } from './postgres-large-objects.ts'

const SHOP = `CREATE SCHEMA sales; CREATE SCHEMA "Back Office";
  CREATE FUNCTION sales.worth(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
  CREATE TABLE sales.customers (id serial PRIMARY KEY, email text UNIQUE, twice int GENERATED ALWAYS AS (sales.worth(1)) STORED, CHECK (sales.worth(id) > 0));
  CREATE TABLE sales.orders (id bigint GENERATED ALWAYS AS IDENTITY, at date, customer_id int REFERENCES sales.customers, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE sales.orders_all PARTITION OF sales.orders DEFAULT;
  CREATE TABLE "Back Office"."Staff ""x""" (id int PRIMARY KEY, note text);
  ALTER TABLE "Back Office"."Staff ""x""" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY own ON "Back Office"."Staff ""x""" USING (id = 1);
  CREATE SEQUENCE sales.invoices; SELECT nextval('sales.invoices');
  CREATE FUNCTION sales.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER fired BEFORE INSERT ON sales.customers FOR EACH ROW EXECUTE FUNCTION sales.fire();
  CREATE VIEW sales.emails AS SELECT email FROM sales.customers;
  INSERT INTO sales.customers (email) VALUES ('ada'), ('bob')`

const ROWS = `INSERT INTO "Back Office"."Staff ""x""" VALUES (1, 'a'), (2, 'b'); INSERT INTO sales.orders (at, customer_id) VALUES ('2026-11-11', 1)`

let server: TestPostgres
const directories: string[] = []
const opened: Database[] = []
beforeAll(async () => {
  server = await startTestPostgres({ host: '127.0.11.7' })
})
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close()
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
})
afterAll(() => server.stop())

const open = (made: TestDatabase, account?: PostgresAccount): Database => {
  const database = openPostgres(made.options(account === undefined ? {} : { account }))
  opened.push(database)
  return database
}

async function newDirectory(prefix: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), prefix))
  directories.push(directory)
  return directory
}

let accounts = 0
/** An account that may log in and nothing else. */
async function bareAccount(made: TestDatabase): Promise<PostgresAccount> {
  accounts += 1
  const account = { user: `bare ${accounts}`, password: `secret-of-${accounts}` }
  await made.superuserSql(`CREATE ROLE ${pg.escapeIdentifier(account.user)} LOGIN PASSWORD '${account.password}'`)
  return account
}

/** Runs what the findings tell to run, and nothing else. */
async function obey(made: TestDatabase, findings: readonly Finding[]): Promise<void> {
  for (const { hint } of findings)
    await made.superuserSql(/run: (.+)$/.exec(hint ?? '')?.[1] ?? `SELECT 'no statement in: ${hint}'::int`)
}

const errors = (findings: readonly Finding[]): readonly Finding[] => findings.filter((finding) => finding.severity === 'error')

describe('an account without rights', () => {
  it('can check, save and compare the old host, and fill the new one, once it got exactly what check printed', async () => {
    const directory = await newDirectory('migrate-rights-')
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(SHOP)
    await from.superuserSql(ROWS)
    await to.superuserSql('REVOKE ALL ON SCHEMA public FROM PUBLIC')
    const [reader, writer] = [await bareAccount(from), await bareAccount(to)]
    const [old, fresh] = [open(from, reader), open(to, writer)]
    const world = testWorld({ old: { database: old }, new: { database: fresh } })
    const run = new TestRun(directory)
    const check = checkKind.create({}, testContext(world, 'check'))

    const before = errors(await check.check(run))
    expect(before.map((finding) => finding.hint)).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`GRANT USAGE ON SCHEMA "Back Office", sales TO "${reader.user}"`),
        expect.stringContaining(
          `GRANT SELECT ON TABLE "Back Office"."Staff ""x""", sales.customers, sales.orders TO "${reader.user}"`,
        ),
        expect.stringContaining(
          `GRANT SELECT ON SEQUENCE sales.customers_id_seq, sales.invoices, sales.orders_id_seq TO "${reader.user}"`,
        ),
        expect.stringContaining(`As a superuser, run: ALTER ROLE "${reader.user}" BYPASSRLS`),
        expect.stringContaining(`As a superuser there, run: ALTER ROLE "${writer.user}" BYPASSRLS`),
        expect.stringContaining(`GRANT CREATE ON DATABASE ${to.name} TO "${writer.user}"`),
      ]),
    )
    expect(before.some((finding) => finding.hint?.includes('orders_all'))).toBe(false)
    // Rows that it may not count keep no step from telling the rest.
    const { snapshot, restore } = stepsOf(world)
    const told = [...(await snapshot.check(run)), ...(await restore.check(run))].map((finding) => finding.code)
    expect(told).toContain('right-to-read')
    expect(told).not.toContain('database-permission-denied')
    await obey(from, await old.missingRights('read'))
    await obey(
      to,
      before.filter((finding) => finding.hint?.includes(`"${writer.user}"`)),
    )
    expect(errors(await check.check(run))).toEqual([])

    expect(errors([...(await snapshot.check(run)), ...(await restore.check(run))])).toEqual([])
    await perform(snapshot, run)
    await perform(restore, run)
    expect(errors(await restore.verify(run))).toEqual([])
    await from.superuserSql(`INSERT INTO sales.customers (email) VALUES ('late')`)
    const reconcile = reconcileKind.create({}, testContext(world, 'reconcile'))
    await perform(reconcile, run)
    expect(errors(await reconcile.verify(run))).toEqual([])
    expect(await to.superuserSql('SELECT email FROM sales.customers ORDER BY 1')).toEqual([['ada'], ['bob'], ['late']])
    expect(await to.superuserSql('SELECT id, note FROM "Back Office"."Staff ""x""" ORDER BY 1')).toEqual([
      ['1', 'a'],
      ['2', 'b'],
    ])
    // Nothing more than that was given: it still can't write where it reads.
    await expect(old.runStatements([`DELETE FROM sales.customers`])).rejects.toMatchObject({ code: 'database-permission-denied' })
  })
})

describe('a new host that has less than the old one', () => {
  it('is told what it lacks before anything is created: extensions, accounts, locales', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await from.superuserSql(`CREATE ROLE clerk_of_old; CREATE TABLE guarded (a int PRIMARY KEY);
      CREATE POLICY p ON guarded TO clerk_of_old USING (true); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded OWNER TO ${from.owner.user}`)
    const schema = await open(from).schema()
    await from.superuserSql('DROP OWNED BY clerk_of_old; DROP ROLE clerk_of_old')
    const extension = { kind: 'extension', name: 'no_such_extension', stage: 'before', undo: null } as const
    const asked = { ...schema, objects: [...schema.objects, { ...extension, sql: 'CREATE EXTENSION no_such_extension' }] }
    const findings = (await open(to).unmet?.(asked)) ?? []
    expect(findings.map(({ severity, code }) => `${severity} ${code}`).sort()).toEqual([
      'error account-missing',
      'error extension-missing',
    ])
    expect(findings.map((finding) => finding.message).join()).toMatch(/no_such_extension.*clerk_of_old/)
    await expect(
      open(to).execute(schema.objects.find((object) => object.kind === 'account')?.sql ?? '', { run: 'r', name: 'm' }),
    ).rejects.toThrow('clerk_of_old')
  })

  it('and may create nothing but tables in the schema that is there is told that another one is wanted', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await from.sql('CREATE SCHEMA sales; CREATE TABLE sales.t (a int PRIMARY KEY)')
    const schema = await open(from).schema()
    const account = await bareAccount(to)
    await to.superuserSql(`GRANT CREATE, USAGE ON SCHEMA public TO ${pg.escapeIdentifier(account.user)}`)
    const database = open(to, account)
    expect(await database.missingRights('write')).toEqual([])
    const lacking = (await database.unmet?.(schema)) ?? []
    expect(lacking).toMatchObject([{ severity: 'error', message: expect.stringContaining('create the schema sales') }])
    await obey(to, lacking)
    expect(await database.unmet?.(schema)).toEqual([])
  })

  it('whose encoding is narrower is refused by name', async () => {
    const directory = await newDirectory('migrate-encoding-')
    const made = await server.database()
    await made.superuserSql(`CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
    const { user, password } = { user: 'encoding_owner', password: 'secret' }
    await made.superuserSql(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'; ALTER DATABASE latin OWNER TO ${user}`)
    const latin = openPostgres({ ...made.options({ account: { user, password } }), database: 'latin' })
    opened.push(latin)
    const world = testWorld({ old: { database: open(made) }, new: { database: latin } })
    const findings = await checkKind.create({}, testContext(world, 'check')).check(new TestRun(directory))
    expect(findings.filter((finding) => finding.code === 'encoding-narrower').map((finding) => finding.message)).toEqual([
      expect.stringContaining('LATIN1'),
    ])
  })

  it('and is more open to everybody is told what to close: nothing that stood there before is changed', async () => {
    const directory = await newDirectory('migrate-open-')
    const [from, to] = [await server.database(), await server.database()]
    await from.superuserSql(`REVOKE TEMPORARY ON DATABASE ${from.name} FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC;
      REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC`)
    const world = testWorld({ old: { database: open(from) }, new: { database: open(to) } })
    const told = async () =>
      (await checkKind.create({}, testContext(world, 'check')).check(new TestRun(directory))).filter(
        ({ code }) => code === 'open-to-everybody',
      )
    const [finding, ...others] = await told()
    expect([finding?.severity, finding?.message, others]).toEqual([
      'warning',
      'Everybody (PUBLIC) may do on the new server what the old one forbids: TEMPORARY ON DATABASE, USAGE ON LANGUAGE plpgsql, USAGE ON SCHEMA public.',
      [],
    ])
    await obey(to, finding === undefined ? [] : [finding])
    expect(await told()).toEqual([])
  })

  it('of an older release is told what that release lacks, and which objects want it', async () => {
    const made = await server.database()
    const database = open(made)
    const source = await database.info()
    const release = (major: number): ServerInfo => ({ ...source, version: [major, 1], product: `PostgreSQL ${major}.1` })
    const told = database.consequences?.(release(18), release(14)) ?? []
    expect(told.map((finding) => finding.code)).toEqual(['features-missing'])
    expect(told[0]?.message).toMatch(/NULLS NOT DISTINCT.*virtual generated columns/)
    expect(database.consequences?.(release(14), release(18))).toEqual([])
    expect(database.consequences?.(source, source)).toEqual([])
    await made.sql('CREATE TABLE t (a int PRIMARY KEY)')
    const schema = await database.schema()
    const later = { kind: 'index', name: 'public.later', stage: 'after', undo: null } as const
    const asked = { ...schema, objects: [...schema.objects, { ...later, sql: 'ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED' }] }
    const newer = ((await database.unmet?.(asked)) ?? []).map((finding) => finding.message)
    if ((source.version[0] ?? 0) < 18)
      expect(newer).toEqual([expect.stringContaining('index public.later needs constraints NOT ENFORCED')])
    else expect(newer).toEqual([])
  })
})

describe('a host of PostgreSQL that is careful with its server', () => {
  it('and gives the account two connections of the four that the playbook allows is asked by two', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)')
    await made.superuserSql(`ALTER ROLE ${made.owner.user} CONNECTION LIMIT 2`)
    const database = open(made)
    const asked = await Promise.all(Array.from({ length: 8 }, () => database.sizes()))
    expect(new Set(asked.map((sizes) => sizes.length))).toEqual(new Set([1]))
    const { tables, findings } = await database.schema()
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'warning', code: 'connections-limited' }))
    const [table] = tables
    if (table === undefined) throw new Error('no table')
    const rows = await database.read(3, ([reader]) => readAll(reader, table))
    expect(rows).toEqual([['1'], ['2']])
  })

  it('and ends a question is told of as such: that can be tried again', async () => {
    const made = await server.database()
    const asking = failureOf(open(made).runStatements(['SELECT pg_sleep(60)']))
    const theirs = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg\\_sleep(60)%' AND pid <> pg_backend_pid()`
    await expect.poll(() => made.superuserSql(theirs), { timeout: 30_000, interval: 20 }).toHaveLength(1)
    await made.superuserSql(`SELECT pg_cancel_backend(pid) FROM (${theirs}) a`)
    expect(await asking).toMatchObject({ code: 'database-query-ended', retrySafe: true })
  })
})

it('lets a sequence of PostgreSQL stand at its end, as where it gave its last number, and no further', async () => {
  const made = await server.database()
  await made.sql('CREATE SEQUENCE s INCREMENT -1 MINVALUE -5')
  const database = open(made)
  const [identity] = (await database.schema()).identities
  if (identity === undefined) throw new Error('no identity')
  expect((await failureOf(database.raiseIdentity(identity, -6n))).code).toBe('identity-out-of-range')
  await database.raiseIdentity(identity, -5n)
  await expect(made.sql(`SELECT nextval('s')`)).rejects.toThrow('reached minimum value')
})

largeObjects(() => server)
