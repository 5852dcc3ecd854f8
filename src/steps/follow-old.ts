import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Step, StepRun } from '../run/step.ts'
import { missingDatabase } from './database-parts.ts'
import { FollowPasses } from './follow-passes.ts'
import type { World } from './world.ts'

/** The step's id in the journal. */
export const FOLLOW_OLD = 'follow-old'

const changeSchema = z.object({ kind: z.literal('follow'), quietMs: z.number() }).readonly()
type Change = z.infer<typeof changeSchema>

/** What the last time of following saw: whether anything came before the old host was quiet. */
export interface Followed {
  sawRows: boolean
}

const LOOK_MS = 1000

/**
 * Carries the old host's new rows over as they are born, until none came for `quietMs`. For `migrate reconcile --follow`, before and after
 * the full pass; `followed` tells whether that one is due.
 */
export const followOld = (world: World, quietMs: number, followed: Followed): Step<Change> => ({
  id: FOLLOW_OLD,
  title: "Carry the old host's orders over as they come",
  phase: 'settle',
  change: changeSchema,
  check: async () => check(world),
  plan: async () => [{ kind: 'follow', quietMs }],
  apply: (change, run) => follow(world, change, followed, run),
  verify: async () => [],
  // What was carried stays, as after reconcile; a rollback carries back what the new host made of it.
  undo: async () => undefined,
  describe: (change) => `carry new rows over until none came for ${formatDuration(change.quietMs)}`,
})

const check = (world: World): readonly Finding[] =>
  [world.old, world.new].filter((host) => host.database === undefined).map((host) => missingDatabase(FOLLOW_OLD, host))

async function follow(world: World, { quietMs }: Change, followed: Followed, run: StepRun): Promise<void> {
  followed.sawRows = false
  const passes = FollowPasses.open(world, run)
  if (passes === undefined) return
  if ((await passes.pass(run)) === undefined && !passes.isFailing) throw baselineMissing()
  let movedAt = run.clock.monotonic()
  await passes.during(run, async () => {
    while (run.clock.monotonic() - movedAt < quietMs) {
      await run.clock.sleep(LOOK_MS, run.signal)
      if (!passes.moved()) continue
      followed.sawRows = true
      movedAt = run.clock.monotonic()
    }
  })
}

const baselineMissing = (): MigrateError =>
  new MigrateError('baseline-missing', "There is no baseline yet, so it can't be told which rows are new. Nothing was changed.", {
    hint: 'It is taken at the end of restore-database. Run  migrate run PLAYBOOK  first; it goes on where it stopped.',
  })
