import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Database } from '../../src/databases/port.ts'
import type { EventBody } from '../../src/run/events.ts'
import type { Step } from '../../src/run/step.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { recallHeadroom } from '../../src/steps/headroom.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import type { World } from '../../src/steps/world.ts'
import type { DatabaseHost, ShopDatabase } from '../contract/database-host.ts'
import { memoryResolver } from '../fakes/memory-dns.ts'
import { perform, TestRun, takeBack } from '../fakes/step-run.ts'
import { dnsWorld, findings, NEW, record, shopZone, stepOf } from './dns-world.ts'
import { fill, type MovingOptions, type MovingShop, movingShop } from './moving-shop.ts'

const HEADROOM = 120
/**
 * What customers may order between two looks of the watch. From the last look that finds enough left to the move there are three
 * such times, and a twentieth of the headroom is never left to chance.
 */
const BETWEEN_LOOKS = 2
const WATCH = { resolvers: ['127.0.0.1'], quiet: '500ms', every: '50ms' }

type Watch = Extract<EventBody, { event: 'watch' }>

/** The same database, with something done at each call of one of its functions. */
function hooked(database: Database, hooks: Partial<Record<string, (call: () => unknown) => unknown>>): Database {
  return new Proxy(database, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: readonly unknown[]): unknown => {
        const call = (): unknown => Reflect.apply(member, target, args)
        const hook = hooks[String(name)]
        return hook === undefined ? call() : hook(call)
      }
    },
  })
}

/** Customers who come as fast as they can, but never more than so many between two looks. */
class Crowd {
  #tickets = 0
  #wake: () => void = () => undefined

  let(count: number): void {
    this.#tickets = count
    this.#wake()
  }

  async buy(shop: ShopDatabase, count: number): Promise<readonly string[]> {
    const ids: string[] = []
    while (ids.length < count) {
      while (this.#tickets === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      this.#tickets -= 1
      ids.push(await order(shop))
    }
    return ids
  }
}

const order = (shop: ShopDatabase): Promise<string> =>
  shop.insert('orders', { customer_id: '1', placed: '2026-11-21 00:00:00.000000', status: 'open' })

/** The old host's identity is moved past the new one's range when its headroom runs out: on a pair of databases, real or fake. */
export function leapfrogSuite(name: string, open: () => Promise<DatabaseHost>): void {
  describe(`numbers of two hosts on ${name}`, () => {
    let host: DatabaseHost
    let shop: MovingShop
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())
    afterEach(() => shop?.close())

    /** A shop that was moved, with a small headroom; everything is ready for the watch. */
    const moved = async (options: MovingOptions = {}): Promise<{ readonly run: TestRun; readonly world: World }> => {
      shop = await movingShop(host, { tables: { orders: { headroom: HEADROOM } }, ...options })
      await fill(shop.old)
      await perform(shop.snapshot, shop.run)
      await perform(shop.restore, shop.run)
      await perform(shop.bump, shop.run)
      const run = new TestRun(shop.run.directory, systemClock)
      for (const [key, value] of shop.run.facts) run.facts.set(key, value)
      run.facts.set(CUTOVER_KEY, { at: systemClock.now(), ttlSeconds: 0 })
      const zone = shopZone([
        record({ name: 'shop.example', content: NEW, ttlSeconds: 1 }),
        record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example', ttlSeconds: 1 }),
      ])
      return { run, world: { ...dnsWorld(zone, { resolvers: [memoryResolver(zone)] }), ...databasesOf(shop) } }
    }
    const databasesOf = ({ world }: MovingShop) => ({ old: world.old, new: world.new, tables: world.tables })
    const watching = (world: World): Step => stepOf(watchPropagationKind, world, WATCH)
    const reconciling = (world: World): Step => stepOf(reconcileKind, world)
    const useOf = (run: TestRun) =>
      run.events.flatMap((event) =>
        event.event === 'watch' ? (event satisfies Watch).headroom.filter(({ table }) => table.endsWith('orders')) : [],
      )
    const reconciledUse = (run: TestRun) =>
      run.events
        .flatMap((event) => (event.event === 'reconciled' ? event.headroom : []))
        .findLast(({ table }) => table.endsWith('orders'))
    const orderRecord = (run: TestRun) => recallHeadroom(run).find(({ identity }) => identity.table.name === 'orders')
    const ids = async (of: ShopDatabase): Promise<readonly string[]> => (await of.rows('orders')).map(({ id }) => id ?? '')

    it('are never the same, however far past the headroom the old shop goes on, and all of it is carried', async () => {
      const crowds = { old: new Crowd(), new: new Crowd() }
      const { run, world } = await moved({
        reachOld: async (old) =>
          hooked(old.open({ connections: 3 }), {
            identities: async (call) => {
              const states = await call()
              crowds.old.let(BETWEEN_LOOKS)
              crowds.new.let(BETWEEN_LOOKS - 1)
              return states
            },
          }),
      })
      const before = new Set(await ids(shop.old))
      const watch = watching(world)
      const [, onOld, onNew] = await Promise.all([
        perform(watch, run),
        crowds.old.buy(shop.old, 2 * HEADROOM),
        crowds.new.buy(shop.new, HEADROOM),
      ])
      expect(new Set([...before, ...onOld, ...onNew]).size).toBe(before.size + 3 * HEADROOM)
      expect(findings(run)).toContain('identity-leapt')
      expect(findings(run)).not.toContain('headroom-used-up')
      const uses = useOf(run)
      expect(uses.every(({ left }) => BigInt(left) >= 0n)).toBe(true)
      expect(uses.some(({ host: whose }) => whose === 'new')).toBe(true)

      const reconcile = reconciling(world)
      await perform(reconcile, run)
      expect((await reconcile.verify(run)).filter(({ severity }) => severity === 'error')).toEqual([])
      const arrived = new Set(await ids(shop.new))
      expect([...before, ...onOld, ...onNew].filter((id) => !arrived.has(id))).toEqual([])
      expect(await reconcile.plan(run)).toEqual([])
      expect(await shop.bump.plan(run)).toEqual([])

      // Whoever comes now, on either host, meets nobody either; the old host has room again.
      const [late, next] = [await order(shop.old), await order(shop.new)]
      expect([late, next].filter((id) => arrived.has(id))).toEqual([])
      expect(BigInt(next)).toBeGreaterThan(BigInt(late))
      await perform(reconcile, run)
      await reconcile.verify(run)
      expect(reconciledUse(run)?.host).toBeUndefined()
    })

    it('are those of the new host again before the old one’s of beyond are carried there', async () => {
      const { run, world } = await moved()
      for (let n = 0; n < HEADROOM - 4; n += 1) await order(shop.old)
      await perform(watching(world), run)
      const beyond = await order(shop.old)
      const reconcile = reconciling(world)
      const [first] = await reconcile.plan(run)
      expect(first).toMatchObject({ kind: 'leap', from: beyond })
      await perform(reconcile, run)
      expect(await reconcile.plan(run)).toEqual([])
      const [late, next] = [await order(shop.old), await order(shop.new)]
      expect(BigInt(late)).toBe(BigInt(beyond) + 1n)
      expect(BigInt(next) - BigInt(late)).toBe(BigInt(HEADROOM))
      await perform(reconcile, run)
      await reconcile.verify(run)
      const size = String(HEADROOM)
      expect(reconciledUse(run)).toMatchObject({ raisedBy: size, used: '1', left: String(HEADROOM - 1) })
      expect(reconciledUse(run)?.host).toBeUndefined()
      expect(await ids(shop.new)).toEqual(expect.arrayContaining([beyond, late, next]))
    })

    it('are set back by an undo while nobody has taken one since, and stay where they are once somebody has', async () => {
      const { run, world } = await moved()
      for (let n = 0; n < HEADROOM - 4; n += 1) await order(shop.old)
      const last = BigInt((await ids(shop.old)).at(-1) ?? '0')
      const furthest = (await ids(shop.old)).reduce((far, id) => (BigInt(id) > far ? BigInt(id) : far), last)
      const watch = watching(world)
      const changes = await perform(watch, run)
      expect(findings(run)).toEqual(['identity-leapt'])
      expect(orderRecord(run)?.leaps).toHaveLength(1)
      await takeBack(watch, changes, run)
      expect(orderRecord(run)?.leaps).toBeUndefined()
      expect(BigInt(await order(shop.old))).toBe(furthest + 1n)

      const again = await perform(watch, run)
      const beyond = BigInt(await order(shop.old))
      await takeBack(watch, again, run)
      expect(findings(run).at(-1)).toBe('leap-kept')
      expect(BigInt(await order(shop.old))).toBe(beyond + 1n)
    })

    it.each([
      ['before it was moved', false],
      ['after it was moved', true],
    ])('are moved once by a run that died %s', async (_when, effect) => {
      let dying = false
      const stop = new AbortController()
      const { run, world } = await moved({
        reachOld: async (old) =>
          hooked(old.open({ connections: 3 }), {
            raiseIdentity: async (call) => {
              if (!dying || effect) await call()
              if (!dying) return
              stop.abort(new Error('died'))
              throw new Error('died')
            },
          }),
      })
      for (let n = 0; n < HEADROOM - 4; n += 1) await order(shop.old)
      dying = true
      run.signal = stop.signal
      await expect(perform(watching(world), run)).rejects.toThrow('died')
      const begun = orderRecord(run)?.leaps
      expect(begun).toHaveLength(1)
      dying = false
      run.signal = new AbortController().signal
      await perform(watching(world), run)
      expect(orderRecord(run)?.leaps).toHaveLength(1)
      expect(orderRecord(run)?.leaps?.[0]).toMatchObject({ to: begun?.[0]?.to, before: begun?.[0]?.before })
      expect(BigInt(await order(shop.old))).toBe(BigInt(begun?.[0]?.to ?? 0) + 1n)
    })

    it('are moved past by the new host where the old one has overtaken it already, so that no further ones meet', async () => {
      const { run, world } = await moved()
      for (let n = 0; n < HEADROOM + 7; n += 1) await order(shop.old)
      await perform(watching(world), run)
      expect(findings(run)).toEqual(['headroom-used-up', 'identity-leapt'])
      const taken = new Set(await ids(shop.old))
      for (let n = 0; n < 10; n += 1) expect(taken.has(await order(shop.new))).toBe(false)
      const before = new Set(await ids(shop.new))
      for (let n = 0; n < 10; n += 1) expect(before.has(await order(shop.old))).toBe(false)
    })

    it('are for a person to move where the account may not: told with the statement and the time, and known once it was run', async () => {
      const { run, world } = await moved()
      const reader = await shop.old.openReadOnly?.()
      if (reader === undefined) throw new Error('this host has no accounts')
      const owner = shop.old.open()
      try {
        const looking = watching({ ...world, old: { ...world.old, database: reader } })
        expect((await looking.check(run)).map(({ code }) => code)).toContain('leap-only-by-hand')
        expect((await watching(world).check(run)).map(({ code }) => code)).not.toContain('leap-only-by-hand')
        for (let n = 0; n < HEADROOM - 4; n += 1) await order(shop.old)
        await perform(looking, run)
        const told = run.events.find((event) => event.event === 'finding' && event.code === 'leap-by-hand')
        expect(told).toMatchObject({ severity: 'error' })
        expect(findings(run)).not.toContain('identity-leapt')
        const identity = orderRecord(run)?.identity
        const sql = identity === undefined ? undefined : owner.raiseSql?.(identity, BigInt(orderRecord(run)?.leaps?.[0]?.to ?? 0))
        if (sql === undefined || told?.event !== 'finding') return
        expect(told.hint).toContain(sql)
        await owner.runStatements([sql])
        // Some servers don't show a mere reader where an identity stands: he sees it by the next row.
        await order(shop.old)
        const meanwhile = run.events.length
        await perform(looking, run)
        expect(run.events.slice(meanwhile).filter((event) => event.event === 'finding' && event.severity === 'error')).toEqual([])
        expect(useOf(run).at(-1)).toMatchObject({ host: 'new', used: '0' })
        const taken = new Set(await ids(shop.new))
        for (let n = 0; n < 10; n += 1) expect(taken.has(await order(shop.old))).toBe(false)
      } finally {
        await owner.close()
        await reader.close()
      }
    })

    it('are left to the run by whoever only looks on', async () => {
      const { run, world } = await moved()
      for (let n = 0; n < HEADROOM - 4; n += 1) await order(shop.old)
      const before = await shop.oldDatabase.identities(await shop.oldDatabase.schema())
      const onlooker = Object.assign(run, { observing: { refresh: async () => undefined } })
      await perform(watching(world), onlooker)
      expect(findings(run)).toEqual(['leap-by-hand'])
      expect(await shop.oldDatabase.identities(await shop.oldDatabase.schema())).toEqual(before)
    })
  })
}
