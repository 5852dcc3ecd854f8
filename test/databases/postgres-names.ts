import { expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { closedAfterEach, copyTable, createAll, rowsOf } from '../contract/database-kit.ts'
import type { TestPostgres } from '../servers/postgres.ts'

/** Functions name others without their schema, as shops write them: to plan any question to `products` the server looks into them. */
const SHOP = `
CREATE FUNCTION unaccented(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate(t, 'éüä', 'eua') $$;
CREATE FUNCTION searched(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(unaccented(t)) $$;
CREATE FUNCTION known(c text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN first_country(c) IS NOT NULL; END $$;
CREATE TABLE countries (code text PRIMARY KEY);
CREATE FUNCTION first_country(c text) RETURNS countries LANGUAGE sql STABLE AS $$ SELECT * FROM countries WHERE code = c LIMIT 1 $$;
CREATE TABLE products (id serial PRIMARY KEY, name text NOT NULL, found text GENERATED ALWAYS AS (searched(name)) STORED);
CREATE TABLE addresses (id int PRIMARY KEY, country text CHECK (known(country)));
CREATE INDEX products_searched ON products (searched(name));
CREATE MATERIALIZED VIEW labels AS SELECT id, searched(name) AS label FROM products;
INSERT INTO countries VALUES ('DE'); INSERT INTO addresses VALUES (1, 'DE');
INSERT INTO products (name) VALUES ('Café'), ('Tür')`

/** On the server of the suite that calls it. */
export function namesOfTheShop(server: () => TestPostgres): void {
  const track = closedAfterEach()

  it('moves a shop whose indexes, computed columns and checks call functions that name others without a schema', async () => {
    const [from, to] = [await server().database(), await server().database()]
    await from.sql(SHOP)
    const [source, target] = [track(openPostgres(from.options())), track(openPostgres(to.options()))]
    const schema = await source.schema()
    expect(schema.findings.filter(({ severity }) => severity === 'error')).toEqual([])
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    await createAll(target, schema, ['after'])
    const [products] = schema.tables.filter(({ name }) => name.name === 'products')
    if (products === undefined) throw new Error('The schema has no products.')
    const printing = { columns: ['id', 'name'], apart: [] }
    for (const database of [source, target]) {
      expect((await database.identities(schema)).map(({ last }) => last)).toEqual([2n])
      expect((await database.sizes()).find(({ table }) => table.name === 'products')?.rows).toBe(2)
      expect(await database.oversize?.(schema)).toEqual([])
      expect(await rowsOf(database, products)).toEqual([
        ['1', 'Café'],
        ['2', 'Tür'],
      ])
      expect(await database.rowsByKey(products, [['2']])).toEqual([['2', 'Tür']])
      expect((await database.printedByKey?.(products, printing, [['2']]))?.map(({ row }) => row)).toEqual([['2', 'Tür']])
    }
    expect(await to.sql('SELECT id, found, label FROM products JOIN labels USING (id) ORDER BY id')).toEqual([
      ['1', 'cafe', 'cafe'],
      ['2', 'tur', 'tur'],
    ])
    // Whatever was asked of the shop's tables before: the catalog goes on spelling names in full.
    expect(await source.schema()).toEqual(schema)
  })
}
