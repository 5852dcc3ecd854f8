import pg from 'pg'
import { expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { closedAfterEach, failureOf } from '../contract/database-kit.ts'
import type { TestPostgres } from '../servers/postgres.ts'
import { startPooler, type TestPooler } from '../servers/postgres-pooler.ts'

/** On the server of the suite that calls it. */
export function behindPoolers(server: () => TestPostgres): void {
  const track = closedAfterEach()

  async function shopBehind(mode: 'transaction' | 'session') {
    const made = await server().database()
    await made.sql('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)')
    const pooler: TestPooler = track(await startPooler(made.url, mode))
    const database = track(openPostgres(made.options({ host: pooler.host, port: pooler.port })))
    const asksAsShop = async (): Promise<unknown> => {
      const client = new pg.Client({ host: pooler.host, port: pooler.port, user: 'shop', database: made.name })
      await client.connect()
      try {
        return (await client.query(`SELECT id, current_setting('statement_timeout') AS timeout FROM orders`)).rows
      } finally {
        await client.end()
      }
    }
    return { database, asksAsShop }
  }

  it('refuses a pooler that hands the server’s sessions on, and sets nothing that the shop would get', async () => {
    const { database, asksAsShop } = await shopBehind('transaction')
    for (const question of [() => database.info(), () => database.schema()]) {
      const refusal = await failureOf(question())
      expect(refusal.code).toBe('database-pooled')
      expect(refusal.hint).toContain('own port')
    }
    expect(await asksAsShop()).toEqual([{ id: 1, timeout: '0' }])
  })

  it('works behind one that gives each connection a session of its own', async () => {
    const { database } = await shopBehind('session')
    const { tables } = await database.schema()
    expect(tables.map(({ name }) => name.name)).toEqual(['orders'])
    expect((await database.sizes()).map(({ rows }) => rows)).toEqual([1])
  })
}
