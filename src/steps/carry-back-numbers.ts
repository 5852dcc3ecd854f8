import { z } from 'zod'
import { formatCount } from '../base/units.ts'
import { layoutOf } from '../databases/layout.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import { type IdentityState, identitySchema } from '../databases/schema.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, findingOf } from './database-parts.ts'
import { NEW_NUMBERS_KEY, newNumbersSchema } from './guard-decision.ts'
import { identityName, recallHeadroom } from './headroom.ts'
import type { World } from './world.ts'

/** The step's id in the journal. */
export const CARRY_NUMBERS = 'carry-back-numbers'

export const raiseSchema = z
  .object({ kind: z.literal('raise'), identity: identitySchema, from: z.string(), to: z.string() })
  .readonly()
export type Raise = z.infer<typeof raiseSchema>

/** Both hosts go on handing out numbers while DNS moves back: the old host begins at least so many further on. */
const LEAST_HEADROOM = 1000n

/**
 * Right after DNS went back because the new host had failed: the old host numbers on beyond what the new one had given when it was
 * last seen. Its database may be dead, and what it holds is to be carried with its numbers when it answers again.
 */
export const carryBackNumbers = (world: World): Step<Raise> => ({
  id: CARRY_NUMBERS,
  title: 'Number on beyond the new host',
  phase: 'settle',
  change: raiseSchema,
  check: async () => [],
  plan: (run) => plan(world, run),
  apply: (change) => applyRaise(world, change),
  verify: async () => [],
  describe: describeRaise,
})

async function plan(world: World, run: StepRun): Promise<readonly Raise[]> {
  const seen = newNumbersSchema.safeParse(run.recall(NEW_NUMBERS_KEY)).data
  if (seen === undefined || world.old.database === undefined) return []
  const missing = await world.old.database.missingRights('identities').catch((error: unknown) => [findingOf(error)])
  if (missing.length > 0) {
    // What is carried later is then numbered anew where it meets what the old host gave meanwhile.
    for (const finding of missing) run.emit({ event: 'finding', ...finding, severity: 'warning' })
    return []
  }
  return raisesBeyond(world, run, new Map(Object.entries(seen).map(([name, last]) => [name, BigInt(last)])))
}

/** The raises that the old host's identities need to number beyond these values of the new one, by identity name. */
export async function raisesBeyond(
  world: World,
  run: StepRun,
  newLast: ReadonlyMap<string, bigint | null>,
): Promise<readonly Raise[]> {
  const old = databaseOf(world.old)
  const records = new Map(recallHeadroom(run).map((record) => [identityName(record.identity), record]))
  return (await old.identities(await layoutOf(old))).flatMap((state) => {
    const name = identityName(state.identity)
    const record = records.get(name)
    const raised = record === undefined ? 0n : BigInt(record.to) - BigInt(record.from)
    return raiseOf(state, newLast.get(name) ?? null, raised < 0n ? -raised : raised)
  })
}

/** None where the new host never numbered beyond the old one. */
function raiseOf(old: IdentityState, last: bigint | null, headroom: bigint): readonly Raise[] {
  if (last === null || isBeyond(old.next, last, old.identity.increment)) return []
  const step = BigInt(old.identity.increment)
  const distance = headroom > LEAST_HEADROOM ? headroom : LEAST_HEADROOM
  return [{ kind: 'raise', identity: old.identity, from: String(last), to: String(last + (step < 0n ? -distance : distance)) }]
}

export const applyRaise = (world: World, { identity, to }: Raise): Promise<void> =>
  databaseOf(world.old).raiseIdentity(identity, BigInt(to))

export const describeRaise = ({ identity, from, to }: Raise): string =>
  `${identityName(identity)}: new is at ${formatCount(BigInt(from))}; old goes on beyond ${formatCount(BigInt(to))}`
