import { beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { checkSequence, runSequence } from '../../src/run/runner.ts'
import type { Sequence, Step } from '../../src/run/step.ts'
import { bumpIdentitiesKind } from '../../src/steps/bump-identities.ts'
import { checkKind } from '../../src/steps/check.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { restoreDatabaseKind } from '../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../src/steps/snapshot-database.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import type { StepKind, World } from '../../src/steps/world.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver } from '../run/shelf.ts'

/** Of some servers it takes tens of seconds each time. */
describe('reading the schema of a host', () => {
  let old: MemoryShop
  let fresh: MemoryShop
  let readings: { old: number; new: number }
  let asked: { readonly old: string[]; readonly new: string[] }
  /** What happens on the old host before it answers. */
  let whenAsked: (operation: string, reading: number) => Promise<void>
  let world: World

  beforeEach(async () => {
    old = new MemoryShop()
    fresh = new MemoryShop()
    await old.createShop()
    readings = { old: 0, new: 0 }
    asked = { old: [], new: [] }
    whenAsked = async () => undefined
    const counted = (shop: MemoryShop, side: 'old' | 'new') =>
      shop.open({
        onCall: async (operation, when) => {
          if (when !== 'before') return
          asked[side].push(operation)
          if (operation === 'schema') readings[side] += 1
          if (side === 'old') await whenAsked(operation, readings.old)
        },
      })
    world = testWorld({
      old: { database: counted(old, 'old') },
      new: { database: counted(fresh, 'new') },
      tables: { visits: { mode: 'copy-only' }, customers: { match: ['email'] } },
    })
  })

  const step = <O>(kind: StepKind<O>, options?: unknown): Step =>
    kind.create(kind.options.parse(options), testContext(world, kind.name))
  const moving = (): Sequence => [[step(snapshotDatabaseKind)], [step(restoreDatabaseKind)]]

  it('is done once for all steps that are checked together, and once more when they are checked again', async () => {
    const { options, events } = await runOver([
      [step(checkKind)],
      ...moving(),
      [step(bumpIdentitiesKind)],
      [step(watchPropagationKind)],
      [step(reconcileKind)],
    ])
    await checkSequence(options)
    expect(readings).toEqual({ old: 1, new: 1 })
    await checkSequence(options)
    expect(readings).toEqual({ old: 2, new: 2 })
    expect(events.filter(({ event }) => event === 'failed')).toEqual([])
  })

  it('is done again by the next check where it failed', async () => {
    whenAsked = async (operation, reading) => {
      if (operation === 'schema' && reading === 1) throw new Error('connection refused')
    }
    const { options, events } = await runOver([[step(checkKind)], ...moving()])
    await checkSequence(options)
    expect(readings.old).toBe(2)
    const found = events.flatMap((event) => (event.event === 'finding' && event.severity === 'error' ? [event.message] : []))
    expect(found).toEqual([expect.stringContaining('connection refused')])
  })

  it('is done twice to move a database: for the checks, and when the snapshot begins; its tables alone are read when it ends', async () => {
    const { options } = await runOver(moving())
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(asked.old.filter((operation) => operation === 'schema' || operation === 'tables')).toEqual([
      'schema',
      'schema',
      'tables',
    ])
    expect(asked.new.filter((operation) => operation === 'schema' || operation === 'tables')).toEqual(['tables'])
  })

  it('and asking what its server is and how large its tables are, is done once for all steps that are checked together', async () => {
    const { options } = await runOver([[step(checkKind)], ...moving()])
    await checkSequence(options)
    for (const operations of [asked.old, asked.new])
      expect(operations.filter((operation) => operation === 'info')).toEqual(['info'])
    expect(asked.old.filter((operation) => operation === 'sizes')).toEqual(['sizes'])
  })

  it('is done anew for the plan: what came after the checks arrives', async () => {
    whenAsked = async (operation, reading) => {
      if (operation === 'schema' && reading === 2) await old.createFurther()
    }
    const { options } = await runOver(moving())
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect((await fresh.open().schema()).tables.map(({ name }) => name.name)).toContain('tokens')
  })

  it('is done anew where a snapshot is begun once more: what came after the plan arrives', async () => {
    let isCut = false
    whenAsked = async (operation) => {
      if (operation !== 'identities' || isCut) return
      isCut = true
      await old.createFurther()
      throw new MigrateError('database-connection-lost', 'The connection was cut.', { retrySafe: true })
    }
    const { options } = await runOver(moving())
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect((await fresh.open().schema()).tables.map(({ name }) => name.name)).toContain('tokens')
  })
})
