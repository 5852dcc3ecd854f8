import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Part } from '../../src/databases/snapshot/manifest.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import type { DatabaseAbilities, DatabaseHost } from '../contract/database-host.ts'
import { itWhen } from '../contract/database-kit.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { contents, fill, type MovingOptions, type MovingShop, movingShop, stepsOf } from './moving-shop.ts'

const isOfWords = (part: Part): boolean => part.table.endsWith('words')

const WAIT = { timeout: 60_000, interval: 20 }

interface MovingSuiteOptions extends Partial<Pick<DatabaseAbilities, 'sequences' | 'countsDown'>> {
  /** See MovingOptions. With one, what is asked of a server has one order. */
  readonly connections?: number | undefined
}

/** Snapshot, restore and raising identities on a pair of databases, real or fake. */
export function movingSuite(
  name: string,
  open: () => Promise<DatabaseHost>,
  { sequences = true, countsDown = true, connections }: MovingSuiteOptions = {},
): void {
  describe(`moving a database on ${name}`, () => {
    let host: DatabaseHost
    let shop: MovingShop
    const moving = (options: MovingOptions = {}): Promise<MovingShop> => movingShop(host, { connections, ...options })
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())
    afterEach(() => shop?.close())

    it('arrives with every value as it left, and plans nothing more', async () => {
      shop = await moving()
      await fill(shop.old)
      const before = await contents(shop.old)
      expect(await perform(shop.snapshot, shop.run)).toHaveLength(1)
      expect(await shop.snapshot.plan(shop.run)).toEqual([])
      await perform(shop.restore, shop.run)
      expect(await shop.restore.plan(shop.run)).toEqual([])
      expect(await contents(shop.new)).toEqual(before)
      expect(await contents(shop.old)).toEqual(before)
      expect((await shop.restore.verify(shop.run)).map((finding) => finding.severity)).not.toContain('error')
      await perform(shop.bump, shop.run)
      expect(await shop.bump.plan(shop.run)).toEqual([])
      expect(await shop.bump.verify(shop.run)).toMatchObject([{ code: 'identities-raised' }])
    })

    it('loads what was saved while the rest is still being saved', async () => {
      let letEnd = (): void => undefined
      const held = new Promise<void>((resolve) => {
        letEnd = resolve
      })
      shop = await moving({
        clock: systemClock,
        effects: async (name, effect) => {
          if (name === 'append to snapshot manifest: complete') await held
          return effect()
        },
      })
      await fill(shop.old)
      const before = await contents(shop.old)
      const saving = perform(shop.snapshot, shop.run)
      await vi.waitUntil(() => shop.run.handedOver, WAIT)
      shop.run.following = true
      const restoring = perform(shop.restore, shop.run)
      await vi.waitUntil(async () => {
        const there = await shop.new.tables()
        return there.some((name) => name.endsWith('words')) && (await shop.new.rows('words')).length === 25
      }, WAIT)
      letEnd()
      await saving
      shop.run.following = false
      await restoring
      expect(await contents(shop.new)).toEqual(before)
      expect(await shop.restore.plan(shop.run)).toEqual([])
      expect((await shop.restore.verify(shop.run)).map((finding) => finding.severity)).not.toContain('error')
    })

    it('keeps taking orders on the new host, beyond the headroom, where nothing collides', async () => {
      shop = await moving({ tables: { orders: { headroom: 1500 } } })
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      const placed = '2026-11-21 00:00:00.000000'
      const stray = await shop.old.insert('orders', { customer_id: '1', placed, status: 'open' })
      await perform(shop.bump, shop.run)
      const born = await shop.new.insert('orders', { customer_id: '1', placed, status: 'open' })
      expect(BigInt(born)).toBe(BigInt(stray) + 1501n)
      const identities = (await shop.oldDatabase.schema()).identities
      const jump = BigInt(identities.find(({ table }) => table.name === 'never_used')?.jump ?? '0')
      expect(await shop.new.insert('never_used', { note: 'first' })).toBe(String(1001n + jump))
      if (countsDown) expect(await shop.new.insert('countdown', { note: 'down' })).toBe(String(-1001n - jump))
    })

    itWhen(sequences, 'keeps taking numbers from a sequence that no column uses, beyond its headroom', async () => {
      shop = await moving()
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      await perform(shop.bump, shop.run)
      expect(BigInt(await shop.new.nextInvoice())).toBeGreaterThanOrEqual(2000n)
    })

    it('finds a damaged part before any of it is loaded, and names it', async () => {
      shop = await moving()
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      const store = new SnapshotStore(shop.run.directory, directly)
      const [part] = [...(await store.manifest()).tables.values()].flatMap((each) => each.parts).filter(isOfWords)
      if (part === undefined) throw new Error('no part')
      const file = join(store.directory, part.file)
      const bytes = await readFile(file)
      const at = part.offset + part.storedBytes - 3
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
      await writeFile(file, bytes)
      await expect(perform(shop.restore, shop.run)).rejects.toMatchObject({
        code: 'snapshot-damaged',
        message: expect.stringContaining('words'),
      })
      expect(await shop.new.rows('words')).toEqual([])
    })

    it('undoes a restore so that the new database is as it was', async () => {
      shop = await moving()
      await fill(shop.old)
      const before = await shop.new.tables()
      const saved = await perform(shop.snapshot, shop.run)
      const restored = await perform(shop.restore, shop.run)
      const raised = await perform(shop.bump, shop.run)
      await takeBack(shop.bump, raised, shop.run)
      await takeBack(shop.restore, restored, shop.run)
      await takeBack(shop.snapshot, saved, shop.run)
      expect(await shop.new.tables()).toEqual(before)
      await expect(stat(join(shop.run.directory, 'database'))).rejects.toMatchObject({ code: 'ENOENT' })
      // And the whole of it can be done again.
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      expect(await contents(shop.new)).toEqual(await contents(shop.old))
    })

    it('refuses to undo a restore when an order was born on the new host', async () => {
      shop = await moving()
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      const restored = await perform(shop.restore, shop.run)
      const raised = await perform(shop.bump, shop.run)
      await shop.new.insert('orders', { customer_id: '1', placed: '2026-11-21 00:00:00.000000', status: 'open' })
      await expect(takeBack(shop.bump, raised, shop.run)).rejects.toMatchObject({ code: 'new-host-has-orders' })
      await expect(takeBack(shop.restore, restored, shop.run)).rejects.toMatchObject({ code: 'new-host-has-orders' })
      expect(await shop.new.rows('orders')).toHaveLength(4)
    })

    it('refuses a row that was born on the new host before its identity was raised', async () => {
      shop = await moving()
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      await shop.new.insert('customers', { email: 'early@example.com', name: null, note: null })
      await expect(shop.bump.plan(shop.run)).rejects.toMatchObject({
        code: 'new-host-written-early',
        message: expect.stringContaining('customers'),
      })
    })

    it('refuses a new database that has such tables already, by name', async () => {
      shop = await moving()
      await shop.new.createShop()
      const findings = await shop.restore.check(shop.run)
      const named = findings.filter((finding) => finding.code === 'target-not-empty').map((finding) => finding.message)
      expect(named.some((message) => message.includes('orders'))).toBe(true)
    })

    it('says in a dry run what it would do, and writes nothing', async () => {
      shop = await moving()
      await fill(shop.old)
      shop.run.dryRun = true
      const before = await shop.new.tables()
      const lines: string[] = []
      for (const step of [shop.snapshot, shop.restore, shop.bump]) {
        await step.check(shop.run)
        for (const change of await step.plan(shop.run)) lines.push(step.describe(change))
      }
      expect(lines.join('\n')).toMatch(/save 12 tables, about [\d,]+ rows/)
      expect(lines.join('\n')).toMatch(
        /orders\.id: old is at 3; new starts beyond [\d,]+ \(headroom [\d,]+: the least that is given/,
      )
      expect(await shop.new.tables()).toEqual(before)
      expect(shop.run.facts.size).toBe(0)
      expect(await readdir(shop.run.directory)).toEqual([])
    })

    it('goes on in another process where nothing was left to do', async () => {
      shop = await moving()
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      const again = stepsOf(shop.world)
      expect(await again.snapshot.plan(shop.run)).toEqual([])
      expect(await again.restore.plan(shop.run)).toEqual([])
      expect((await again.restore.check(shop.run)).filter((finding) => finding.code === 'target-not-empty')).toEqual([])
    })
  })
}
