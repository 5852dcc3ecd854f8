import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import type { Effects } from '../../src/run/step.ts'
import type { DatabaseHost } from '../contract/database-host.ts'
import type { MemoryDatabase } from '../fakes/memory-database.ts'
import type { CallHook, MemoryDatabaseOptions, MemoryServerOptions } from '../fakes/memory-options.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { contents, fill, type MovingShop, movingShop, stepsOf } from './moving-shop.ts'

/** In memory where the system has such a folder: the same files are written and brought to disk hundreds of times. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A process that dies at its Nth doing: that one and everything after it fails. */
class Death {
  #left = Number.POSITIVE_INFINITY
  count = 0

  at(n: number): void {
    this.#left = n
    this.count = 0
  }

  never(): void {
    this.at(Number.POSITIVE_INFINITY)
  }

  readonly hook: CallHook = () => {
    this.count += 1
    if (this.count >= this.#left) throw new Error('the process was killed')
  }

  readonly effects: Effects = async (name, effect) => {
    await this.hook(name, 'before')
    const result = await effect()
    await this.hook(name, 'after')
    return result
  }
}

const mortalHost = (death: Death, options: MemoryServerOptions): DatabaseHost => ({
  database: async () =>
    new (class extends MemoryShop {
      override open(more: MemoryDatabaseOptions = {}): MemoryDatabase {
        return super.open({ ...more, onCall: death.hook })
      }
    })(options),
  close: async () => undefined,
})

const endOf = (shop: MovingShop): Json => (shop.new as MemoryShop).server.dump()

async function moveAll(shop: MovingShop): Promise<void> {
  const { snapshot, restore, bump } = stepsOf(shop.world)
  for (const step of [snapshot, restore, bump]) {
    await perform(step, shop.run)
    for (const finding of await step.verify(shop.run)) expect(finding.severity).not.toBe('error')
  }
}

describe.each([
  ['readers of one instant', { consistent: true, batchRows: 4 }],
  ['readers of several moments', { consistent: false, batchRows: 4, bulk: false }],
] as const)('a move of a database, killed at every call, with %s', (_name, options) => {
  const shops: MovingShop[] = []
  afterEach(async () => {
    for (const shop of shops.splice(0)) await shop.close()
  })

  const begin = async (death: Death): Promise<MovingShop> => {
    const shop = await movingShop(mortalHost(death, options), { effects: death.effects, folder: FOLDER })
    shops.push(shop)
    await fill(shop.old)
    return shop
  }

  // Every call at the beginning, every eighth where rows flow: there it is the same few calls, over and over. In shares, so that
  // none takes long.
  it.each([0, 1, 2, 3, 4, 5])('ends as an unbroken one does (share %i of six)', async (share) => {
    const whole = new Death()
    const unbroken = await begin(whole)
    whole.never()
    await moveAll(unbroken)
    const [expected, calls] = [endOf(unbroken), whole.count]
    expect(calls).toBeGreaterThan(100)
    const points = Array.from({ length: calls }, (_, at) => at + 1).filter((n) => n < 40 || n % 8 === 0)
    for (const n of points.filter((_, at) => at % 6 === share)) {
      const death = new Death()
      const shop = await begin(death)
      death.at(n)
      await moveAll(shop).catch(() => undefined)
      death.never()
      await moveAll(shop)
      expect(endOf(shop), `killed at call ${n}`).toEqual(expected)
      await shop.close()
      shops.pop()
    }
  })

  it('ends the same when every process dies a little further on', async () => {
    const death = new Death()
    const shop = await begin(death)
    let lives = 0
    for (let n = 5; ; n += 5) {
      lives += 1
      death.at(n)
      const done = await moveAll(shop).then(
        () => true,
        () => false,
      )
      if (done) break
    }
    death.never()
    expect(lives).toBeGreaterThan(10)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
    expect(await shop.restore.plan(shop.run)).toEqual([])
  })
})
