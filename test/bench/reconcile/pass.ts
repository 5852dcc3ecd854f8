// One command of ours in a process of its own, so that its memory can be seen from outside. What to do comes as JSON in the variable
// PASS; what it took goes to stdout as JSON.
import { systemClock } from '../../../src/base/clock.ts'
import type { Json } from '../../../src/base/json.ts'
import { takeBaseline } from '../../../src/reconcile/baseline.ts'
import { reconcileKind } from '../../../src/steps/reconcile.ts'
import { TestRun, testContext, testWorld } from '../../fakes/step-run.ts'
import { PARALLEL, type Place } from '../databases/engine.ts'
import { open } from '../databases/move.ts'

export interface Pass {
  readonly what: 'baseline' | 'reconcile'
  readonly adapter: string
  readonly old: Place
  readonly new: Place
  readonly folder: string
}

export interface PassTimes {
  /** Comparing all, until the plan is there; or the whole baseline. */
  readonly compareSeconds: number
  /** From the plan until the last row was written. */
  readonly applySeconds: number
  readonly carried: number
}

async function pass({ what, adapter, old, new: fresh, folder }: Pass): Promise<PassTimes> {
  const [source, target] = await Promise.all([open(adapter, old, 'old database'), open(adapter, fresh, 'new database')])
  const begun = systemClock.monotonic()
  const seconds = (): number => (systemClock.monotonic() - begun) / 1000
  try {
    if (what === 'baseline') {
      const { tables } = await target.schema()
      await takeBaseline({
        directory: folder,
        database: target,
        peer: source,
        tables: tables.filter(({ name }) => name.name === 'narrow'),
      })
      return { compareSeconds: seconds(), applySeconds: 0, carried: 0 }
    }
    const world = testWorld({
      old: { database: source, connections: PARALLEL },
      new: { database: target, connections: PARALLEL },
    })
    const run = new TestRun(folder)
    const step = reconcileKind.create(reconcileKind.options.parse(undefined), testContext(world, 'reconcile'))
    const changes = await step.plan(run)
    const compareSeconds = seconds()
    for (const change of changes) await step.apply(change, run)
    return {
      compareSeconds,
      applySeconds: seconds() - compareSeconds,
      carried: changes.reduce((sum: number, each) => sum + itemsOf(each), 0),
    }
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

const itemsOf = (change: Json): number =>
  typeof change === 'object' && change !== null && 'items' in change && Array.isArray(change.items) ? change.items.length : 0

if (process.env.PASS !== undefined) console.log(JSON.stringify(await pass(JSON.parse(process.env.PASS))))
