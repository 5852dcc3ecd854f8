import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/base/errors.ts'
import { statementMark } from '../../src/databases/plan/restore.ts'
import type { Database } from '../../src/databases/port.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { restoreDatabaseKind } from '../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../src/steps/snapshot-database.ts'
import { MemoryShop, memoryHost } from '../fakes/memory-shop.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { contents, fill, type MovingShop, movingShop, stepsOf } from './moving-shop.ts'

const codes = (findings: readonly Finding[]): readonly string[] => findings.map((finding) => finding.code)

describe('before a database is moved', () => {
  let shop: MovingShop
  afterEach(() => shop?.close())

  it('a table whose rows can not be told apart is counted, and refused by name only where single rows would be changed', async () => {
    shop = await movingShop(await memoryHost(), { tables: { visits: { mode: 'track' } } })
    expect(await shop.snapshot.check(shop.run)).toMatchObject([
      { severity: 'info', code: 'table-counted', message: expect.stringContaining('visits') },
    ])
    await shop.close()
    for (const rule of [{ add: ['page'] }, { match: ['page'] }, { ignore: ['page', 'visitor'] }]) {
      shop = await movingShop(await memoryHost(), { tables: { visits: { mode: 'track', ...rule } } })
      expect(await shop.snapshot.check(shop.run)).toMatchObject([
        { severity: 'error', code: 'table-without-key', message: expect.stringContaining('visits') },
      ])
      await shop.close()
    }
    shop = await movingShop(await memoryHost(), { tables: { visits: { mode: 'copy-only' } } })
    expect(await shop.snapshot.check(shop.run)).toEqual([])
    await shop.close()
    shop = await movingShop(await memoryHost(), { tables: { visits: { mode: 'skip' } } })
    expect(await shop.snapshot.check(shop.run)).toEqual([])
  })

  it('a rule that a column can not keep is refused before anything is done', async () => {
    shop = await movingShop(await memoryHost(), { tables: { products: { add: ['title'] } } })
    const reconcile = reconcileKind.create({}, testContext(shop.world, 'reconcile'))
    expect(await reconcile.check(shop.run)).toContainEqual(
      expect.objectContaining({ severity: 'error', code: 'policy-column', message: expect.stringContaining('products.title') }),
    )
  })

  it('a table that the playbook invents is named', async () => {
    shop = await movingShop(await memoryHost(), { tables: { Ordres: {} } })
    expect(await shop.snapshot.check(shop.run)).toMatchObject([
      { code: 'unknown-table', message: expect.stringContaining('Ordres') },
    ])
  })

  it('everything that is wrong is told at once, and an account without rights is one thing among others', async () => {
    const old = new MemoryShop({ version: [2, 0] })
    const fresh = new MemoryShop()
    await old.createShop()
    await fresh.createShop()
    await fill(old)
    const world = testWorld({
      old: { database: old.open() },
      new: { database: fresh.open({ readOnly: true }) },
      tables: { visits: { mode: 'copy-only' }, products: { mode: 'skip' } },
    })
    const found = codes(
      await restoreDatabaseKind.create({}, testContext(world, 'restore-database')).check(new TestRun('/nowhere')),
    )
    expect(new Set(found)).toEqual(new Set(['database-rights-missing', 'target-older', 'target-not-empty', 'parent-skipped']))
    expect(found.filter((code) => code === 'target-not-empty')).toHaveLength(12)
  })

  it('a table of this run that the server makes meanwhile, asked by a process that was killed, is no stranger’s', async () => {
    const [old, fresh, run] = [new MemoryShop(), new MemoryShop(), new TestRun('/nowhere')]
    await old.createShop()
    const source = old.open()
    const killed = fresh.open()
    const target = fresh.open({
      onCall: async (operation, when) => {
        if (operation !== 'tables' || when !== 'before') return
        for (const { name, sql } of killed.ddl(await source.schema()))
          if (name.startsWith('table ')) await killed.execute(sql, { run: run.id, name: statementMark(name) })
      },
    })
    const world = testWorld({ old: { database: source }, new: { database: target } })
    expect(codes(await restoreDatabaseKind.create({}, testContext(world, 'restore-database')).check(run))).toEqual([])
    expect((await killed.schema()).tables.length).toBeGreaterThan(0)
  })

  it('a database that can not be reached is a finding, not the end of the check', async () => {
    const gone: Database = new MemoryShop().open({
      onCall: () => {
        throw new Error('no answer')
      },
    })
    const world = testWorld({ old: { database: gone }, new: { database: gone } })
    const step = snapshotDatabaseKind.create(
      snapshotDatabaseKind.options.parse(undefined),
      testContext(world, 'snapshot-database'),
    )
    expect(await step.check(new TestRun('/nowhere'))).toMatchObject([{ severity: 'error', message: 'no answer' }])
  })

  it('one database given as both is refused', async () => {
    const one = new MemoryShop()
    const world = testWorld({ old: { database: one.open() }, new: { database: one.open() } })
    const step = restoreDatabaseKind.create({}, testContext(world, 'restore-database'))
    expect(codes(await step.check(new TestRun('/nowhere')))).toContain('same-database')
  })

  it('a way of taking a snapshot that there is not is refused by its option', () => {
    const parsed = snapshotDatabaseKind.options.safeParse({ method: 'backup' })
    expect(parsed.error?.issues[0]?.message).toContain('"auto"|"native"|"portable"|"command"')
  })

  it('an identity too near to the end of its type is named with its numbers', async () => {
    shop = await movingShop(await memoryHost(), { tables: { orders: { headroom: 1500 } } })
    const orders = (await shop.oldDatabase.schema()).identities.find((identity) => identity.table.name === 'orders')
    if (orders === undefined) throw new Error('no identity')
    await shop.oldDatabase.raiseIdentity(orders, 2n ** 63n - 1000n)
    const found = await shop.bump.check(shop.run)
    expect(found.filter(({ severity }) => severity !== 'info')).toMatchObject([
      { code: 'identity-overflow', message: expect.stringContaining('orders.id') },
    ])
    await fill(shop.old).catch(() => undefined)
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    await expect(shop.bump.plan(shop.run)).rejects.toMatchObject({ code: 'identity-overflow' })
  })
})

describe('a snapshot of several moments', () => {
  let shop: MovingShop
  afterEach(() => shop?.close())

  it('drops the rows whose parent was deleted meanwhile, says how many, and the foreign keys hold', async () => {
    const deletions: (() => Promise<void>)[] = []
    shop = await movingShop(await memoryHost({ consistent: false, batchRows: 2 }))
    await fill(shop.old)
    const eve = await shop.old.insert('customers', { email: 'eve@example.com' })
    const order = await shop.old.insert('orders', { customer_id: eve, placed: 'now' })
    await shop.old.insert('order_items', { order_id: order, line: '1', product_id: '1', quantity: '1' })
    // Her order has been read when she asks to be forgotten; she hasn't been read yet.
    deletions.push(async () => {
      await shop.old.remove('orders', { id: order })
      await shop.old.remove('customers', { id: eve })
    })
    const rows = shop.run.progress.bind(shop.run)
    shop.run.progress = (done, total, unit, item) => {
      rows(done, total, unit, item)
      if (item === 'orders') for (const each of deletions.splice(0)) void each()
    }
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await shop.restore.verify(shop.run)).toMatchObject([
      { code: 'rows-restored' },
      { severity: 'info', code: 'orphans-removed', message: expect.stringContaining('1 rows of orders ') },
      { severity: 'info', code: 'orphans-removed', message: expect.stringContaining('1 rows of order_items') },
    ])
    expect(await contents(shop.new)).toMatchObject({ orders: (await contents(shop.old)).orders })
    expect(await shop.restore.plan(shop.run)).toEqual([])
  })
})

describe('the rate of new rows', () => {
  it('is measured from the snapshot to the raise, and keeps its record when the run goes on', async () => {
    const shop = await movingShop(await memoryHost(), { tables: { orders: { headroom: 10 } } })
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    for (let count = 0; count < 20; count += 1) await shop.old.insert('orders', { customer_id: '1', placed: 'now' })
    shop.clock.advance(10 * 60_000)
    const lines = (await perform(shop.bump, shop.run)).map((change) => shop.bump.describe(change))
    expect(lines).toContainEqual(
      "orders.id: old is at 23; new starts beyond 8,663 (headroom 8,640: measured 2.0 rows a minute over 24 h 00 min, times 3; the playbook's 10 would run out)",
    )
    expect(shop.run.events).toContainEqual(expect.objectContaining({ event: 'finding', code: 'identity-headroom-changed' }))
    for (let count = 0; count < 20; count += 1) await shop.old.insert('orders', { customer_id: '1', placed: 'now' })
    expect(await stepsOf(shop.world).bump.plan(shop.run)).toEqual([])
    await shop.close()
  })
})

const canMount = userInfo().uid === 0 && process.platform === 'linux'

describe.skipIf(!canMount)("a full disk under the run's folder (needs root to mount a small one)", () => {
  it('ends with its own message, and the snapshot goes on when there is room', async () => {
    const mount = await mkdtemp(join(tmpdir(), 'migrate-small-disk-'))
    const run = (...args: string[]): boolean => spawnSync(args[0] ?? '', args.slice(1)).status === 0
    if (!run('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount)) {
      await rm(mount, { recursive: true })
      return
    }
    const shop = await movingShop(await memoryHost())
    try {
      await fill(shop.old)
      for (let visit = 0; visit < 400; visit += 1) {
        const page = Array.from({ length: 400 }, (_, at) =>
          String.fromCodePoint(0x4e00 + ((visit * 7919 + at * at * 104729) % 20000)),
        ).join('')
        await shop.old.insert('visits', { page })
      }
      const small = new TestRun(join(mount, 'run'), shop.clock)
      await mkdir(small.directory)
      await expect(perform(shop.snapshot, small)).rejects.toMatchObject({
        code: 'disk-full',
        hint: expect.stringContaining('--state'),
      })
      expect(run('mount', '-o', 'remount,size=64m', mount)).toBe(true)
      await perform(stepsOf(shop.world).snapshot, small)
      await perform(stepsOf(shop.world).restore, small)
      expect(await contents(shop.new)).toEqual(await contents(shop.old))
    } finally {
      await shop.close()
      run('umount', mount)
      await rm(mount, { recursive: true, force: true })
    }
  })
})
