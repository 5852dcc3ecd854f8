import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { MigrateError } from '../../src/base/errors.ts'
import type { Json } from '../../src/base/json.ts'
import { GOING_BACK_KEY, goingBackSchema } from '../../src/run/going-back.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { guardKind } from '../../src/steps/guard.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { dnsWorld, shopZone, stepOf } from './dns-world.ts'

const EVERY = 15_000
const ANSWER = 10_000
/** So many looks in a row make a failure, and so many a host that is well again. */
const [FAILED_AT, WELL_AT] = [4, 7]

/** Time passes by the guard's rests alone: whatever it waits for meanwhile comes at once. */
class RestingClock implements Clock {
  ms = Date.UTC(2026, 10, 22)
  now = (): number => this.ms
  monotonic = (): number => this.ms
  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (ms === ANSWER) await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    this.ms += ms
  }
}

class CountingRun extends TestRun {
  decisions = 0
  override async remember(key: string, value: Json): Promise<void> {
    if (key === GOING_BACK_KEY) this.decisions += 1
    await super.remember(key, value)
  }
}

interface Moment {
  readonly fresh: 'well' | 'silent' | 'refuses'
  readonly old: 'well' | 'silent' | 'refuses'
}
const state = (bad: number) =>
  fc.oneof(
    { weight: 10 - bad, arbitrary: fc.constant('well' as const) },
    { weight: bad, arbitrary: fc.constantFrom('silent' as const, 'refuses' as const) },
  )
/** Stretches of the same, so that failures last now and then. */
const course = fc
  .array(fc.record({ fresh: state(6), old: state(3), looks: fc.integer({ min: 1, max: 9 }) }), { minLength: 1, maxLength: 8 })
  .map((stretches) => stretches.flatMap(({ looks, ...moment }): readonly Moment[] => Array(looks).fill(moment)))

/** At which look it must go back; told without a thought to how the guard is made. */
function backAt(moments: readonly Moment[]): number | undefined {
  let [streak, failed] = [0, false]
  for (const [at, { fresh, old }] of moments.entries()) {
    const fails = fresh !== 'well'
    streak = fails === failed ? 0 : streak + 1
    if (streak === (failed ? WELL_AT : FAILED_AT)) [streak, failed] = [0, !failed]
    if (failed && fails && old === 'well') return at
  }
  return undefined
}

describe('any course of both hosts', () => {
  const shop = new MemoryShop()
  beforeAll(() => shop.createShop())

  it('goes back after a sustained failure, as soon as the old host is well, and never otherwise or twice', async () => {
    await fc.assert(
      fc.asyncProperty(course, fc.boolean(), async (moments, saysNo) => {
        const clock = new RestingClock()
        const start = clock.ms
        const now = (): Moment => moments[Math.round((clock.ms - start) / EVERY)] ?? { fresh: 'well', old: 'well' }
        const database = (side: keyof Moment) =>
          Object.assign(
            shop.open({
              onCall: () => {
                if (now()[side] === 'silent') throw new MigrateError('database-unreachable', 'connection refused')
              },
            }),
            { refusesRows: async () => (now()[side] === 'refuses' ? 'it is a standby' : undefined) },
          )
        const world = {
          ...dnsWorld(shopZone()),
          old: { side: 'old' as const, connections: 1, database: database('old') },
          new: { side: 'new' as const, connections: 1, database: database('fresh') },
        }
        const [after, well] = [(FAILED_AT - 1) * EVERY, (WELL_AT - 1) * EVERY].map((ms) => `${ms}ms`)
        const settings = { every: `${EVERY}ms`, after, well, looks: FAILED_AT, orders: false, for: `${moments.length * EVERY}ms` }
        const run = new CountingRun('/nowhere', clock)
        run.answer = !saysNo
        run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
        const step = stepOf(guardKind, world, { ...settings, failback: saysNo ? 'offer' : 'auto' })
        const expected = backAt(moments)
        const ended = await perform(step, run).then(
          () => 'stayed',
          (error: unknown) => (error instanceof MigrateError ? error.code : String(error)),
        )
        expect(ended).toBe(expected === undefined || saysNo ? 'stayed' : 'failback')
        expect(run.decisions).toBe(expected === undefined ? 0 : 1)
        const decided = goingBackSchema.optional().parse(run.facts.get(GOING_BACK_KEY))
        if (expected !== undefined) expect(Date.parse(decided?.at ?? '')).toBe(start + expected * EVERY)
        if (ended === 'failback') {
          // The next process neither looks nor decides.
          await expect(perform(step, run)).rejects.toMatchObject({ code: 'failback' })
          expect(run.decisions).toBe(1)
        }
      }),
      { numRuns: 150 },
    )
  })
})
