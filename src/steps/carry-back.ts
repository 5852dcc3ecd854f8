import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import { type IdentityState, identitySchema } from '../databases/schema.ts'
import { type ReconcileChange, reconcileChangeSchema } from '../reconcile/plan-items.ts'
import type { Sequence, Step, StepRun } from '../run/step.ts'
import { carryFilesBack, passOf } from './carry-files.ts'
import { databaseOf } from './database-parts.ts'
import { identityName, recallHeadroom } from './headroom.ts'
import { reverseReconcile } from './reconcile.ts'
import type { World } from './world.ts'

/** The step's id in the journal: when it has made a change, the old host numbers beyond the new one. */
export const CARRY_BACK = 'carry-back'
/** The same of the files. */
const CARRY_FILES_BACK = 'carry-files-back'

const raiseSchema = z.object({ kind: z.literal('raise'), identity: identitySchema, from: z.string(), to: z.string() }).readonly()
const changeSchema = z.union([raiseSchema, reconcileChangeSchema])
type CarryBackChange = z.infer<typeof changeSchema>
type Raise = z.infer<typeof raiseSchema>

/** Both hosts go on handing out numbers while DNS moves back: the old host begins at least so many further on. */
const LEAST_HEADROOM = 1000n

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
      if (change.kind === 'raise') await databaseOf(world.old).raiseIdentity(change.identity, BigInt(change.to))
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
  hint: 'Resolvers may send some customers to the new host until their TTL ends: run "migrate rollback" once more after that, it carries the rest.',
}

const describeRaise = ({ identity, from, to }: Raise): string =>
  `${identityName(identity)}: new is at ${formatCount(BigInt(from))}; old goes on beyond ${formatCount(BigInt(to))}`

async function raises(world: World, run: StepRun): Promise<readonly Raise[]> {
  const [old, fresh] = [databaseOf(world.old), databaseOf(world.new)]
  const [oldStates, newStates] = await Promise.all([
    old.schema().then((schema) => old.identities(schema)),
    fresh.schema().then((schema) => fresh.identities(schema)),
  ])
  const targets = new Map(newStates.map((state) => [identityName(state.identity), state]))
  const records = new Map(recallHeadroom(run).map((record) => [identityName(record.identity), record]))
  return oldStates.flatMap((state) => {
    const name = identityName(state.identity)
    const record = records.get(name)
    const raised = record === undefined ? 0n : BigInt(record.to) - BigInt(record.from)
    return raiseOf(state, targets.get(name), raised < 0n ? -raised : raised)
  })
}

/** The raise that an identity of the old host needs; none where the new host never numbered beyond it. */
function raiseOf(old: IdentityState, fresh: IdentityState | undefined, headroom: bigint): readonly Raise[] {
  const last = fresh?.last ?? null
  if (last === null || isBeyond(old.next, last, old.identity.increment)) return []
  const step = BigInt(old.identity.increment)
  const distance = headroom > LEAST_HEADROOM ? headroom : LEAST_HEADROOM
  return [{ kind: 'raise', identity: old.identity, from: String(last), to: String(last + (step < 0n ? -distance : distance)) }]
}
