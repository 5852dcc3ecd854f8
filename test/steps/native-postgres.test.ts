import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { identityName } from '../../src/steps/headroom.ts'
import type { DatabaseHost, ShopDatabase } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'
import { nativeSteps } from './native-steps.ts'

const readOnly = async (shop: ShopDatabase): Promise<Database> => {
  if (shop.openReadOnly === undefined) throw new Error('PostgreSQL has read-only accounts')
  return shop.openReadOnly()
}

const nextOf = async (database: Database): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await database.identities(await database.schema())).map((state) => [identityName(state.identity), String(state.next)]),
  )

describe('moving a database with pg_dump and pg_restore', () => {
  let host: DatabaseHost
  let shop: MovingShop
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.7' }))
  })
  afterAll(() => host?.close())
  afterEach(() => shop?.close())

  it('arrives with every value as it left, read by an account that may only read, and plans nothing more', async () => {
    shop = await movingShop(host, { reachOld: readOnly })
    await fill(shop.old)
    const before = await contents(shop.old)
    const { snapshot, restore } = nativeSteps(shop.world)
    expect((await snapshot.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    expect((await restore.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    const [saved] = await perform(snapshot, shop.run)
    expect(saved).toMatchObject({ method: 'native', tool: expect.stringMatching(/^pg_dump 1\d/) })
    expect(await snapshot.plan(shop.run)).toEqual([])
    expect(await snapshot.verify(shop.run)).toMatchObject([
      { code: 'snapshot-taken', message: expect.stringContaining('44 rows of one moment') },
    ])
    await perform(restore, shop.run)
    expect(await restore.plan(shop.run)).toEqual([])
    expect(await contents(shop.new)).toEqual(before)
    expect(await contents(shop.old)).toEqual(before)
    expect(await restore.verify(shop.run)).toMatchObject([{ severity: 'info', code: 'rows-restored' }])
    expect(await nextOf(shop.newDatabase)).toEqual(await nextOf(shop.oldDatabase))
    await perform(shop.bump, shop.run)
    expect(await shop.bump.verify(shop.run)).toMatchObject([{ code: 'identities-raised' }])
  })

  it('leaves the rows of skipped tables behind, and only those', async () => {
    shop = await movingShop(host, { tables: { audit: { mode: 'skip' } } })
    await fill(shop.old)
    expect((await shop.old.rows('audit')).length).toBeGreaterThan(0)
    const { snapshot, restore } = nativeSteps(shop.world)
    await perform(snapshot, shop.run)
    await perform(restore, shop.run)
    expect(await shop.new.rows('audit')).toEqual([])
    expect(await shop.new.rows('orders')).toEqual(await shop.old.rows('orders'))
    expect((await restore.verify(shop.run)).map(({ severity }) => severity)).toEqual(['info'])
  })

  it('makes the same schema as the portable way, closed to everybody where it was', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    await shop.oldDatabase.runStatements([
      `CREATE FUNCTION public.refund() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
      'REVOKE EXECUTE ON FUNCTION public.refund() FROM PUBLIC',
    ])
    const { snapshot, restore } = nativeSteps(shop.world)
    await perform(snapshot, shop.run)
    await perform(restore, shop.run)
    const statements = async (database: Database) => database.ddl(await database.schema())
    expect(await statements(shop.newDatabase)).toEqual(await statements(shop.oldDatabase))
    expect((await statements(shop.newDatabase)).map(({ sql }) => sql)).toContain(
      'REVOKE EXECUTE ON FUNCTION public.refund() FROM PUBLIC',
    )
  })

  it('is taken back whole, and can be done again', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    const before = await shop.new.tables()
    const { snapshot, restore } = nativeSteps(shop.world)
    const saved = await perform(snapshot, shop.run)
    const restored = await perform(restore, shop.run)
    const raised = await perform(shop.bump, shop.run)
    await takeBack(shop.bump, raised, shop.run)
    await takeBack(restore, restored, shop.run)
    await takeBack(snapshot, saved, shop.run)
    expect(await shop.new.tables()).toEqual(before)
    const left = await shop.newDatabase.schema()
    expect([left.tables, left.identities, left.objects.map(({ kind, name }) => `${kind} ${name}`)]).toEqual([
      [],
      [],
      ['schema public'],
    ])
    await expect(readdir(join(shop.run.directory, 'database'))).rejects.toMatchObject({ code: 'ENOENT' })
    await perform(snapshot, shop.run)
    await perform(restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })

  it('refuses to be taken back when an order was born on the new host', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    const { snapshot, restore } = nativeSteps(shop.world)
    await perform(snapshot, shop.run)
    const restored = await perform(restore, shop.run)
    await perform(shop.bump, shop.run)
    await shop.new.insert('orders', { customer_id: '1', placed: '2026-11-21 00:00:00.000000', status: 'open' })
    await expect(takeBack(restore, restored, shop.run)).rejects.toMatchObject({ code: 'new-host-has-orders' })
    // The baseline, which knew the order for new, is gone; the count still tells.
    expect(await shop.new.rows('orders')).toHaveLength(4)
  })

  it('leaves alone what stood on the new host before, and refuses a table of the same name', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    await shop.newDatabase.runStatements(['CREATE TABLE guestbook (id integer PRIMARY KEY)', 'INSERT INTO guestbook VALUES (1)'])
    const { snapshot, restore } = nativeSteps(shop.world)
    await perform(snapshot, shop.run)
    const restored = await perform(restore, shop.run)
    await takeBack(restore, restored, shop.run)
    expect(await shop.new.tables()).toEqual(['guestbook'])
    await shop.newDatabase.runStatements(['CREATE TABLE orders (id integer PRIMARY KEY)'])
    expect((await restore.check(shop.run)).map(({ code }) => code)).toContain('target-not-empty')
  })

  it('finds a damaged file before anything is restored, and names it', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    const { snapshot, restore } = nativeSteps(shop.world)
    await perform(snapshot, shop.run)
    const folder = join(shop.run.directory, 'database')
    const dump = (await readdir(folder)).find((name) => name.startsWith('dump-')) ?? ''
    const file = (await readdir(join(folder, dump))).find((name) => name.endsWith('.dat.gz')) ?? ''
    const bytes = await readFile(join(folder, dump, file))
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9)
    await writeFile(join(folder, dump, file), bytes)
    await expect(perform(restore, shop.run)).rejects.toMatchObject({
      code: 'snapshot-damaged',
      message: expect.stringContaining(file),
    })
    expect(await shop.new.tables()).toEqual([])
  })

  it('says why it is portable when it may choose, and what is possible', async () => {
    shop = await movingShop(host)
    const { snapshot } = nativeSteps(shop.world, { method: 'auto' })
    expect(await snapshot.check(shop.run)).toContainEqual(
      expect.objectContaining({
        code: 'snapshot-method',
        message: expect.stringMatching(/portable: it resumes .* native would do too .*pg_dump 1/),
      }),
    )
    const [change] = await snapshot.plan(shop.run)
    expect(snapshot.describe(change ?? null)).toMatch(/over 2 connections .*; method portable: it resumes/)
  })

  it('says in a dry run what it would do, and writes nothing', async () => {
    shop = await movingShop(host, { reachOld: readOnly })
    await fill(shop.old)
    shop.run.dryRun = true
    const lines: string[] = []
    const { snapshot, restore } = nativeSteps(shop.world)
    for (const step of [snapshot, restore]) {
      await step.check(shop.run)
      for (const change of await step.plan(shop.run)) lines.push(step.describe(change))
    }
    expect(lines[0]).toMatch(/^save 12 tables, .* method native with pg_dump 1\d\.\d+: .* the server is 1\d/)
    expect(lines[1]).toMatch(/^restore the schema and 12 tables with pg_restore 1\d/)
    expect(lines.slice(2).join('\n')).toMatch(/^set 10 identities.*\nfingerprint the rows of 11 tables/)
    expect(await shop.new.tables()).toEqual([])
    expect(await readdir(shop.run.directory)).toEqual([])
  })

  it('refuses what it can’t do by name', async () => {
    shop = await movingShop(host)
    const { snapshot } = nativeSteps(shop.world, {
      method: 'native',
      backup: { url: 'https://account.example/container/shop.bak' },
    })
    expect(await snapshot.check(shop.run)).toContainEqual(
      expect.objectContaining({ severity: 'error', code: 'native-not-possible', message: expect.stringContaining('backup') }),
    )
    await expect(snapshot.plan(shop.run)).rejects.toMatchObject({ code: 'native-not-possible' })
  })
})
