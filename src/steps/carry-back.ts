import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import { layoutOf } from '../databases/layout.ts'
import { type ReconcileChange, reconcileChangeSchema } from '../reconcile/plan-items.ts'
import type { Sequence, Step, StepRun } from '../run/step.ts'
import { applyRaise, describeRaise, type Raise, raiseSchema, raisesBeyond } from './carry-back-numbers.ts'
import { carryFilesBack, passOf } from './carry-files.ts'
import { databaseOf } from './database-parts.ts'
import { identityName } from './headroom.ts'
import { reverseReconcile } from './reconcile.ts'
import type { World } from './world.ts'

/** The step's id in the journal: when it has made a change, the old host numbers beyond the new one. */
export const CARRY_BACK = 'carry-back'
/** The same of the files. */
const CARRY_FILES_BACK = 'carry-files-back'

const changeSchema = z.union([raiseSchema, reconcileChangeSchema])
type CarryBackChange = z.infer<typeof changeSchema>

/**
 * After DNS went back: the orders that were placed on the new host meanwhile are carried to the old one with their numbers, by the
 * same merge with the hosts swapped. The old host's identities are raised past the new host's before anything else, so that what
 * is born there from now on doesn't meet what is carried. Nothing on the new host is touched.
 */
export function carryBack(world: World): Step<CarryBackChange> {
  const merge = reverseReconcile(CARRY_BACK, world)
  return {
    id: merge.id,
    title: merge.title,
    phase: 'settle',
    change: changeSchema,
    check: async (run) => [...(await merge.check(run)), ...((await world.old.database?.missingRights('write')) ?? [])],
    // The raises go further than the merge itself would have it.
    plan: async (run) => [...(await raises(world, run)), ...(await merge.plan(run)).filter(({ kind }) => kind !== 'number')],
    apply: async (change, run) => {
      if (change.kind === 'raise') await applyRaise(world, change)
      else await merge.apply(change, run)
    },
    verify: async (run) => [...(await merge.verify(run)), newHostKept],
    describe: (change) => (change.kind === 'raise' ? describeRaise(change) : merge.describe(change satisfies ReconcileChange)),
  }
}

/** Everything that the new host got, carried to the old one: rows first, then files where the playbook has them carried. */
export function goingBack(world: World, sequence: Sequence): Sequence {
  const { old, new: fresh } = world
  const hasRows = old.database !== undefined && fresh.database !== undefined
  const carriesFiles = passOf(sequence)
    .flat()
    .some(({ id }) => id !== 'reconcile')
  const hasFiles = carriesFiles && old.files !== undefined && fresh.files !== undefined
  return [...(hasRows ? [[carryBack(world)]] : []), ...(hasFiles ? [[carryFilesBack(CARRY_FILES_BACK, world)]] : [])]
}

const newHostKept: Finding = {
  // A warning, since it asks for something: nobody may miss it.
  severity: 'warning',
  code: 'new-host-kept',
  message:
    'Customers are being sent to the old host again, and what was placed on the new one is there too. The new host was left as it is.',
  hint: 'Resolvers may send some customers to the new host until their TTL ends: run  migrate rollback PLAYBOOK  once more after that, it carries the rest.',
}

async function raises(world: World, run: StepRun): Promise<readonly Raise[]> {
  const fresh = databaseOf(world.new)
  const states = await fresh.identities(await layoutOf(fresh))
  return raisesBeyond(world, run, new Map(states.map(({ identity, last }) => [identityName(identity), last])))
}
