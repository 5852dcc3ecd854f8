import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { bumpIdentitiesKind } from '../../src/steps/bump-identities.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { stepsOf } from '../steps/moving-shop.ts'

const SHOP = `CREATE TABLE customers (id serial PRIMARY KEY, email text NOT NULL);
  CREATE TABLE orders (id bigserial, placed date NOT NULL, customer_id int NOT NULL REFERENCES customers, total numeric(10,2), PRIMARY KEY (id, placed))
    PARTITION BY RANGE (placed);
  CREATE TABLE orders_10 PARTITION OF orders FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
  CREATE TABLE orders_11 PARTITION OF orders FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
  CREATE INDEX orders_by_customer ON orders (customer_id);
  CREATE TABLE items (order_id bigint, placed date, line int, PRIMARY KEY (order_id, placed, line), FOREIGN KEY (order_id, placed) REFERENCES orders);
  CREATE TABLE audit (what text);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (TG_RELNAME || ' ' || TG_OP); RETURN NULL; END $$;
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER noted_here AFTER INSERT OR UPDATE OR DELETE ON orders_11 FOR EACH ROW EXECUTE FUNCTION note();
  INSERT INTO customers (email) VALUES ('ada@example.com'), ('bob@example.com');
  INSERT INTO orders (placed, customer_id, total) VALUES ('2026-10-31', 1, 1), ('2026-11-01', 2, 2), ('2026-11-02', 1, 3);
  INSERT INTO items VALUES (1, '2026-10-31', 1), (3, '2026-11-02', 1)`

const DECEMBER = `CREATE TABLE orders_12 PARTITION OF orders FOR VALUES FROM ('2026-12-01') TO ('2027-01-01')`

describe('a partitioned table', () => {
  let server: TestPostgres
  let directory: string
  const opened: Database[] = []
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.5' })
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close()
    await rm(directory, { recursive: true, force: true })
  })
  afterAll(() => server.stop())

  /** Two hosts after snapshot and restore, with both steps that come afterwards. */
  async function moved(shop = SHOP) {
    directory = await mkdtemp(join(tmpdir(), 'migrate-partitions-'))
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(shop)
    const open = (made: TestDatabase): Database => {
      const database = openPostgres(made.options())
      opened.push(database)
      return database
    }
    const [old, fresh] = [open(from), open(to)]
    const world = testWorld({
      tables: { audit: { mode: 'copy-only' } },
      old: { database: old },
      new: { database: fresh },
    })
    const run = new TestRun(directory)
    const { snapshot, restore } = stepsOf(world)
    // Nothing but how it will be saved.
    expect((await snapshot.check(run)).map((finding) => finding.code)).toEqual(['snapshot-method'])
    expect(await restore.check(run)).toEqual([])
    await perform(snapshot, run)
    await perform(restore, run)
    expect(await restore.plan(run)).toEqual([])
    return {
      from,
      to,
      fresh,
      run,
      bump: () =>
        perform(bumpIdentitiesKind.create(bumpIdentitiesKind.options.parse(undefined), testContext(world, 'bump')), run),
      reconcile: async () => {
        const step = reconcileKind.create({}, testContext(world, 'reconcile'))
        await perform(step, run)
        return (await step.verify(run)).map((finding) => finding.code)
      },
    }
  }

  const ORDERS = 'SELECT tableoid::regclass::text, id, placed, customer_id, total FROM orders ORDER BY id, placed'

  it('arrives as one table with its partitions, rows where they belong, keys and indexes whole', async () => {
    const { from, to, fresh } = await moved()
    expect(await to.sql(ORDERS)).toEqual(await from.sql(ORDERS))
    expect(await to.sql('SELECT what FROM audit ORDER BY 1')).toEqual(await from.sql('SELECT what FROM audit ORDER BY 1'))
    const indexes = `SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, i.indisvalid, h.inhparent::regclass::text FROM pg_index i
      LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid::regclass::text ~ '^orders' ORDER BY 1`
    expect(await to.sql(indexes)).toEqual(await from.sql(indexes))
    const { tables, identities } = await fresh.schema()
    expect(tables.map((table) => table.name.name)).toEqual(['audit', 'customers', 'orders', 'items'].sort())
    expect(identities.map((each) => `${each.table.name}.${each.column}`)).toEqual(['customers.id', 'orders.id'])
    expect((await fresh.sizes()).find((size) => size.table.name === 'orders')?.rows).toBe(3)
  })

  it('is numbered beyond the headroom on the new host', async () => {
    const { to, bump } = await moved()
    await bump()
    expect(await to.sql(`INSERT INTO orders (placed, customer_id) VALUES ('2026-11-05', 1) RETURNING id`)).toEqual([['1036']])
  })

  it('is reconciled: rows written, changed and removed on the old host, triggers silent', async () => {
    const { from, to, reconcile } = await moved()
    await from.sql(`INSERT INTO orders (placed, customer_id, total) VALUES ('2026-11-20', 2, 9); UPDATE orders SET total = 5 WHERE id = 1;
      DELETE FROM orders WHERE id = 2; INSERT INTO items VALUES (4, '2026-11-20', 1)`)
    const before = await to.sql('SELECT count(*) FROM audit')
    expect(await reconcile()).toEqual([])
    expect(await to.sql(ORDERS)).toEqual(await from.sql(ORDERS))
    expect(await to.sql('SELECT count(*) FROM items')).toEqual([['3']])
    expect(await to.sql('SELECT count(*) FROM audit')).toEqual(before)
    // And they fire again afterwards, the table's and the partition's own.
    await to.sql(`UPDATE orders SET total = 6 WHERE id = 3`)
    expect(await to.sql('SELECT count(*)::int FROM audit')).toEqual([[String(Number(before[0]?.[0]) + 2)]])
  })

  it('gets the partition that the old host made after the snapshot, with the rows in it', async () => {
    const { from, to, reconcile } = await moved()
    await from.sql(`${DECEMBER}; INSERT INTO orders (placed, customer_id, total) VALUES ('2026-12-24', 1, 24)`)
    expect(await reconcile()).toEqual([])
    expect(await to.sql(ORDERS)).toEqual(await from.sql(ORDERS))
    expect(await reconcile()).toEqual([])
  })

  it('takes rows into the partition that the new host made by itself, under whatever name', async () => {
    const { from, to, reconcile } = await moved()
    await from.sql(`${DECEMBER}; INSERT INTO orders (placed, customer_id, total) VALUES ('2026-12-24', 1, 24)`)
    await to.sql(DECEMBER.replace('orders_12', 'orders_december'))
    expect(await reconcile()).toEqual([])
    expect(await to.sql(`SELECT id FROM orders_december`)).toEqual([['4']])
  })

  it('without a key is copied, and told apart in nothing', async () => {
    const { from, to } = await moved(`CREATE TABLE audit (what text) PARTITION BY LIST (what);
      CREATE TABLE audit_a PARTITION OF audit FOR VALUES IN ('a', NULL); CREATE TABLE audit_rest PARTITION OF audit DEFAULT;
      INSERT INTO audit VALUES ('a'), ('a'), (NULL), ('z')`)
    const rows = 'SELECT tableoid::regclass::text, what FROM audit ORDER BY 1, 2'
    expect(await to.sql(rows)).toEqual(await from.sql(rows))
  })
})

describe('a table that inherits', () => {
  let server: TestPostgres
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.6' })
  })
  afterAll(() => server.stop())

  it('keeps its rows apart from those of the table that it inherits from', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(`CREATE TABLE things (id int PRIMARY KEY, name text); CREATE TABLE books (pages int, PRIMARY KEY (id)) INHERITS (things);
      INSERT INTO things VALUES (1, 'a'), (2, 'b'); INSERT INTO books VALUES (1, 'c', 100)`)
    const directory = await mkdtemp(join(tmpdir(), 'migrate-inherits-'))
    const [old, fresh] = [openPostgres(from.options()), openPostgres(to.options())]
    try {
      const world = testWorld({ old: { database: old }, new: { database: fresh } })
      const run = new TestRun(directory)
      const { snapshot, restore } = stepsOf(world)
      await perform(snapshot, run)
      await perform(restore, run)
      await from.sql(
        `INSERT INTO books VALUES (2, 'd', 50); UPDATE ONLY things SET name = 'e' WHERE id = 1; DELETE FROM ONLY things WHERE id = 2`,
      )
      const reconcile = reconcileKind.create({}, testContext(world, 'reconcile'))
      await perform(reconcile, run)
      expect(await reconcile.verify(run)).toEqual([])
      const rows = 'SELECT tableoid::regclass::text, id, name FROM things ORDER BY 1, 2'
      expect(await to.sql(rows)).toEqual(await from.sql(rows))
      expect(await to.sql(rows)).toHaveLength(3)
    } finally {
      await old.close()
      await fresh.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
