import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { fill, type MovingOptions, type MovingShop, movingShop } from './moving-shop.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** What only a real server with sequences of its own can show. */
describe('raising identities on postgres', () => {
  let host: DatabaseHost
  let shop: MovingShop
  beforeAll(async () => {
    host = await postgresHost(await startTestPostgres({ host: '127.0.31.4' }))
  })
  afterAll(() => host?.close())
  afterEach(() => shop?.close())

  const movedWith = async (statements: readonly string[], options: MovingOptions = {}): Promise<void> => {
    shop = await movingShop(host, options)
    await shop.oldDatabase.runStatements(statements)
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
  }
  const stateOn = async (side: 'oldDatabase' | 'newDatabase', table: string) => {
    const database = shop[side]
    return (await database.identities(await database.schema())).find(({ identity }) => identity.table.name === table)
  }

  it('raises a sequence of which a column’s text takes a part, by where the sequence itself stands', async () => {
    await movedWith([
      'CREATE SEQUENCE receipt_numbers',
      `CREATE TABLE receipts (no text PRIMARY KEY DEFAULT 'R-' || nextval('receipt_numbers'), at date)`,
      'INSERT INTO receipts (at) VALUES (NULL), (NULL), (NULL)',
    ])
    await perform(shop.bump, shop.run)
    const state = await stateOn('newDatabase', 'receipt_numbers')
    expect(state).toMatchObject({ identity: { kind: 'sequence', column: '' } })
    expect(state?.next).toBeGreaterThan(1000n)
    await shop.newDatabase.runStatements(['INSERT INTO receipts (at) VALUES (NULL)'])
    expect((await stateOn('newDatabase', 'receipt_numbers'))?.last).toBe(state?.next)
  })

  it('raises a sequence that numbers two tables once, by what both are to have, past the furthest row of either', async () => {
    await movedWith(
      [
        'CREATE SEQUENCE ticket_numbers',
        `CREATE TABLE tickets (id bigint PRIMARY KEY DEFAULT nextval('ticket_numbers'))`,
        `CREATE TABLE returns (id integer PRIMARY KEY DEFAULT nextval('ticket_numbers'))`,
        'INSERT INTO tickets DEFAULT VALUES',
        'INSERT INTO returns DEFAULT VALUES',
        'INSERT INTO returns (id) VALUES (700)',
      ],
      { tables: { tickets: { headroom: 500 }, returns: { headroom: 200 } } },
    )
    const changes = await perform(shop.bump, shop.run)
    const lines = changes.map((change) => shop.bump.describe(shop.bump.change.parse(change)))
    const ours = lines.filter((line) => /tickets|returns/.test(line.split(':')[0] ?? ''))
    expect(ours).toHaveLength(2)
    for (const line of ours) {
      expect(line).toContain('old is at 700; new starts beyond 1,400 (headroom 700: given in the playbook')
      expect(line).toContain('one sequence numbers public.returns.id and public.tickets.id')
    }
    for (const table of ['tickets', 'returns']) expect((await stateOn('newDatabase', table))?.next).toBe(1401n)
    expect(await shop.bump.plan(shop.run)).toEqual([])
  })

  it('counts the numbers that sessions hold in their caches as handed out', async () => {
    await movedWith([
      'CREATE SEQUENCE cached_numbers CACHE 20',
      `CREATE TABLE cached (id bigint PRIMARY KEY DEFAULT nextval('cached_numbers'), note text)`,
    ])
    const second = shop.old.open()
    const third = shop.old.open()
    try {
      // Each session takes twenty, and has used one.
      for (const session of [second, third]) await session.runStatements(['INSERT INTO cached DEFAULT VALUES'])
      expect(await stateOn('oldDatabase', 'cached')).toMatchObject({ last: 40n, next: 41n })
      const changes = await perform(shop.bump, shop.run)
      const lines = changes.map((change) => shop.bump.describe(shop.bump.change.parse(change)))
      const line = lines.find((each) => each.startsWith('public.cached.id'))
      expect(line).toContain('old is at 40; new starts beyond 20,092 (headroom 20,052')
      expect(line).toContain('plus 52 that a restart may skip')
      await second.runStatements(['INSERT INTO cached DEFAULT VALUES'])
      await shop.newDatabase.runStatements(['INSERT INTO cached DEFAULT VALUES'])
      expect(await stateOn('newDatabase', 'cached')).toMatchObject({ last: 20_112n })
    } finally {
      await second.close()
      await third.close()
    }
  })

  it('says in check what can’t be kept apart, what is near its end, and which numbers get a gap that no table shows', async () => {
    await movedWith([
      'CREATE SEQUENCE round_numbers MAXVALUE 5000 CYCLE',
      `CREATE TABLE rounds (id integer PRIMARY KEY DEFAULT nextval('round_numbers'))`,
      'CREATE TABLE nearly (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)',
      `SELECT setval('nearly_id_seq', 2000000000)`,
    ])
    const found = await shop.bump.check(shop.run)
    const told = new Map(found.map(({ code, message }) => [code, message]))
    expect(told.get('identity-cycles')).toContain('public.rounds.id')
    expect(told.get('identity-near-its-end')).toMatch(/public\.nearly\.id stands at 2,000,000,000.*147,482,615 numbers left/)
    expect(told.get('sequence-of-its-own')).toMatch(/public\.invoice_numbers.*a gap of about 1,032/)
    expect(found.filter(({ severity }) => severity === 'error')).toEqual([])
  })

  it('refuses a headroom that the type can’t hold before anything is moved: by name, with what is left and what would fit', async () => {
    await movedWith(
      ['CREATE TABLE small (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)', `SELECT setval('small_id_seq', 32000)`],
      { tables: { small: { headroom: 1500 } } },
    )
    const refused = {
      code: 'identity-overflow',
      message: expect.stringMatching(/public\.small\.id stands at 32,000.*would pass 32,767.*766 would fit/),
    }
    expect(await shop.bump.check(shop.run)).toContainEqual(expect.objectContaining({ severity: 'error', ...refused }))
    const before = await shop.newDatabase.identities(await shop.newDatabase.schema())
    await expect(shop.bump.plan(shop.run)).rejects.toMatchObject(refused)
    expect(await shop.newDatabase.identities(await shop.newDatabase.schema())).toEqual(before)
  })
})
