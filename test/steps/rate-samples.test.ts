import { beforeEach, describe, expect, it } from 'vitest'
import type { Schema } from '../../src/databases/schema.ts'
import { courseOf, rememberFirstLook, whileSampling } from '../../src/steps/rate-samples.ts'
import { stamp } from '../../src/steps/steady-time.ts'
import { FakeClock, JumpingClock } from '../fakes/clock.ts'
import type { MemoryDatabase } from '../fakes/memory-database.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { TestRun } from '../fakes/step-run.ts'

const MINUTE = 60_000

describe('looking at the old host’s numbers while something else goes on', () => {
  let clock: FakeClock
  let shop: MemoryShop
  let run: TestRun
  let looks: number
  let failing: boolean
  let old: MemoryDatabase
  let schema: Schema
  let schemaReadings: number

  beforeEach(async () => {
    clock = new FakeClock(undefined, { automatic: false })
    shop = new MemoryShop()
    await shop.createShop()
    run = new TestRun('/nowhere', clock)
    looks = 0
    failing = false
    old = shop.open({
      onCall: (operation, when) => {
        if (operation === 'schema' && when === 'before') schemaReadings += 1
        if (operation !== 'identities' || when !== 'before') return
        looks += 1
        if (failing) throw new Error('connection refused')
      },
    })
    schema = await old.schema()
    await rememberFirstLook(run, clock.now(), await old.identities(schema))
    looks = 0
    schemaReadings = 0
  })

  const rows = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) await shop.insert('never_used', { note: 'x' })
  }
  const course = () => courseOf(run)?.('never_used.id')

  it('keeps the busiest stretch of at least a minute, and what was seen last', async () => {
    await whileSampling(run, { old, schema }, async (look) => {
      for (const [count, minutes] of [
        [10, 1],
        [300, 1],
        [5, 2],
      ] as const) {
        await rows(count)
        await clock.advance(minutes * MINUTE)
        look()
        await clock.advance(0)
      }
    })
    expect(course()?.peak).toBe(300)
    expect(course()?.last.position).toBe(315n)
    expect(course()?.first).toEqual({ at: clock.now() - 4 * MINUTE, position: 0n })
    expect(looks).toBe(3)
    expect(schemaReadings).toBe(0)
  })

  it('reads the schema anew where the snapshot’s asks for what went since, and goes on by that', async () => {
    const gone = schema.identities.slice(0, 1).map((identity) => ({ ...identity, table: { schema: '', name: 'gone' } }))
    const before: Schema = { ...schema, identities: [...gone, ...schema.identities] }
    await whileSampling(run, { old, schema: before }, async (look) => {
      for (const count of [60, 30]) {
        await rows(count)
        await clock.advance(MINUTE)
        look()
        await clock.advance(0)
      }
    })
    expect(course()?.peak).toBe(60)
    expect(run.events).toEqual([])
    expect(schemaReadings).toBe(1)
  })

  it('measures by a clock that nobody can set, however this machine’s is set meanwhile', async () => {
    for (const jump of [10 * 60 * MINUTE, -10 * 60 * MINUTE]) {
      const jumping = new JumpingClock(undefined, { automatic: false })
      run = new TestRun('/nowhere', jumping)
      const before = course()
      expect(before).toBeUndefined()
      await rememberFirstLook(run, stamp(jumping), await old.identities(await old.schema()))
      await whileSampling(run, { old, schema }, async (look) => {
        await rows(100)
        await jumping.advance(2 * MINUTE)
        jumping.set(jump)
        look()
        await jumping.advance(0)
      })
      const span = (course()?.last.at ?? 0) - (course()?.first.at ?? 0)
      expect([course()?.peak, span]).toEqual([50, 2 * MINUTE])
      expect(jumping.now() - (course()?.first.at ?? 0)).toBe(2 * MINUTE)
    }
  })

  it('asks no more than once a minute, and more rarely as the hours pass', async () => {
    await whileSampling(run, { old, schema }, async (look) => {
      for (let seconds = 0; seconds < 59; seconds += 1) {
        await clock.advance(1000)
        look()
      }
      expect(looks).toBe(0)
      await clock.advance(10 * 60 * MINUTE)
      look()
      await clock.advance(10 * MINUTE)
      look()
      expect(looks).toBe(1)
    })
  })

  it('lets the work go on when the old host can’t be asked, and says so once', async () => {
    failing = true
    let done = false
    await whileSampling(run, { old, schema }, async (look) => {
      for (let n = 0; n < 3; n += 1) {
        await clock.advance(10 * MINUTE)
        look()
      }
      done = true
    })
    expect(done).toBe(true)
    expect(run.events.filter((event) => event.event === 'note')).toHaveLength(1)
    expect(course()?.peak).toBe(0)
  })

  it('counts nothing of an earlier snapshot', async () => {
    await clock.advance(MINUTE)
    await rows(50)
    await whileSampling(run, { old, schema }, async () => undefined)
    expect(course()?.peak).toBe(50)
    await clock.advance(1000)
    await rememberFirstLook(run, clock.now(), await old.identities(await old.schema()))
    expect(course()).toMatchObject({ peak: 0, first: { position: 50n } })
  })
})
