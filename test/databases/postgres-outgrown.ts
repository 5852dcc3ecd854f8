import { expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { closedAfterEach, copyTable, createAll, failureOf, rowsOf } from '../contract/database-kit.ts'
import type { TestPostgres } from '../servers/postgres.ts'

/** Checks that ask for more than the row, which keeps to them when it is written and later no more. */
const CHECKED = `
CREATE TABLE stores (id int PRIMARY KEY);
CREATE FUNCTION stores_there() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.stores';
CREATE FUNCTION free(id int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT NOT EXISTS (SELECT 1 FROM public.stores WHERE stores.id = free.id)';
CREATE TABLE vouchers (id int PRIMARY KEY CONSTRAINT "Free" CHECK (free(id)), made date CONSTRAINT past CHECK (made <= CURRENT_DATE),
  CONSTRAINT alone CHECK (stores_there() < 1), CONSTRAINT lone CHECK (stores_there() = 0) NO INHERIT, CONSTRAINT plain CHECK (id > 0));
INSERT INTO vouchers VALUES (1, '2020-01-01'); INSERT INTO stores VALUES (1)`

/** On the server of the suite that calls it. */
export function outgrownChecks(server: () => TestPostgres): void {
  const track = closedAfterEach()

  it('restores rows that no longer keep to a check, which then guards new rows alone, as where they come from', async () => {
    const [from, to] = [await server().database(), await server().database()]
    await from.sql(CHECKED)
    const [source, target] = [track(openPostgres(from.options())), track(openPostgres(to.options()))]
    const schema = await source.schema()
    const changing = schema.findings.filter(({ code }) => code === 'check-changes').map(({ message }) => message)
    expect(changing).toEqual(
      ['Free', 'alone', 'lone', 'past'].map((name) => expect.stringContaining(`public.vouchers.${name} may ask`)),
    )
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    const after = target.ddl(schema).filter(({ stage }) => stage === 'after')
    await target.executeTogether?.(after.map(({ name, sql }) => ({ sql, mark: { run: 'r', name } })))
    const [vouchers] = schema.tables.filter(({ name }) => name.name === 'vouchers')
    if (vouchers === undefined) throw new Error('no table')
    expect(await rowsOf(target, vouchers)).toEqual(await rowsOf(source, vouchers))
    expect(
      await to.sql(
        "SELECT conname, convalidated, connoinherit FROM pg_constraint WHERE conrelid = 'vouchers'::regclass AND contype = 'c' ORDER BY 1",
      ),
    ).toEqual([
      ['Free', 'f', 'f'],
      ['alone', 'f', 'f'],
      ['lone', 'f', 't'],
      ['past', 't', 'f'],
      ['plain', 't', 'f'],
    ])
    const late = target.transaction([vouchers], (transaction) => transaction.insert(vouchers, [['2', null]]))
    expect((await failureOf(late)).message).toContain('violates check constraint')
  })

  it('changes rows by keys of types that the server doesn’t compare with a bare value', async () => {
    const made = await server().database()
    await made.sql(
      "CREATE TYPE place AS (shelf int, bay text); CREATE TABLE bins (at place PRIMARY KEY, n int); INSERT INTO bins VALUES ('(1,)', 1), ('(,b)', 2)",
    )
    const database = track(openPostgres(made.options()))
    const [bins] = (await database.schema()).tables
    if (bins === undefined) throw new Error('no table')
    await database.transaction([bins], async (transaction) => {
      await transaction.update(bins, ['(1,)', '11'])
      await transaction.update(bins, ['(,b)', '22'])
    })
    expect(await rowsOf(database, bins)).toEqual([
      ['(1,)', '11'],
      ['(,b)', '22'],
    ])
  })
}
