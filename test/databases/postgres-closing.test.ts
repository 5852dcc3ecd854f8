import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeSql, openSql } from '../../src/databases/postgres/closing.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { type ClosingShop, databaseClosingContract } from '../contract/database-closing.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startTestPostgres({ host: '127.0.12.33' })
})
afterAll(() => server?.stop())

async function shopOn(made: TestDatabase): Promise<ClosingShop> {
  await made.sql('CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)')
  const buy = `INSERT INTO orders (note) VALUES ('x')`
  return {
    open: () => openPostgres(made.options()),
    openPowerless: async () => openPostgres(made.options({ account: await made.readOnlyAccount() })),
    buy: async () => void (await made.sql(buy)),
    bought: async () => Number((await made.sql('SELECT count(*) FROM orders'))[0]?.[0]),
    keep: async () => {
      const client = new pg.Client({ connectionString: made.url })
      client.on('error', () => undefined)
      await client.connect()
      return {
        begin: async () => void (await client.query(`BEGIN; ${buy}`)),
        commit: async () => void (await client.query('COMMIT')),
        buy: async () => void (await client.query(buy)),
        end: () => client.end().catch(() => undefined),
      }
    },
  }
}

databaseClosingContract('PostgreSQL', async () => shopOn(await server.database()))

describe('closing a PostgreSQL database', () => {
  it('keeps what the owner had set before, and spells any name', () => {
    expect(closeSql('my "shop"')).toBe('ALTER DATABASE "my ""shop""" SET default_transaction_read_only = on')
    expect(openSql('shop', '')).toBe('ALTER DATABASE "shop" RESET default_transaction_read_only')
    expect(openSql('shop', 'off')).toBe(`ALTER DATABASE "shop" SET default_transaction_read_only = 'off'`)
  })

  it('says beforehand whose sessions go on and which account it does not hold for', async () => {
    const made = await server.database()
    await shopOn(made)
    await made.superuserSql(
      `CREATE ROLE cron LOGIN PASSWORD 'of-cron'; ALTER ROLE cron IN DATABASE ${made.name} SET default_transaction_read_only = off`,
    )
    const client = new pg.Client({ connectionString: made.urlOf({ user: 'cron', password: 'of-cron' }) })
    client.on('error', () => undefined)
    await client.connect()
    const database = openPostgres(made.options())
    try {
      expect((await database.closing?.missing())?.map(({ severity, code, hint }) => [severity, code, hint])).toEqual([
        ['warning', 'right-to-end-sessions', expect.stringContaining('GRANT pg_signal_backend TO')],
        ['error', 'account-exempt', expect.stringContaining('ALTER ROLE "cron" IN DATABASE')],
      ])
      await expect(database.closing?.close(0)).rejects.toMatchObject({ code: 'database-permission-denied' })
      await made.superuserSql(
        `BEGIN READ WRITE; GRANT pg_signal_backend TO ${made.owner.user};
          ALTER ROLE cron IN DATABASE ${made.name} RESET default_transaction_read_only; COMMIT`,
      )
      await database.closing?.close(0)
      expect(await database.closing?.look()).toMatchObject({ closed: true })
    } finally {
      await client.end().catch(() => undefined)
      await database.close()
    }
  })

  it('says when the shop’s account can write no row: by the database’s setting, by its own, or by neither', async () => {
    const made = await server.database()
    const database = openPostgres(made.options())
    const refuses = async (): Promise<string | undefined> => database.refusesRows?.()
    try {
      expect(await refuses()).toBeUndefined()
      await made.superuserSql(closeSql(made.name))
      expect(await refuses()).toMatch(/read-only by default/)
      // What is set for the account goes before.
      await made.superuserSql(`BEGIN READ WRITE; ALTER ROLE ${made.owner.user} SET default_transaction_read_only = off; COMMIT`)
      expect(await refuses()).toBeUndefined()
      await made.superuserSql(`BEGIN READ WRITE; ALTER ROLE ${made.owner.user} RESET default_transaction_read_only; COMMIT`)
      expect(await refuses()).toMatch(/read-only by default/)
    } finally {
      await database.close()
    }
  })
})
