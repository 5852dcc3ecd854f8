import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { RunEnding } from '../run/failures.ts'
import { GOING_BACK_KEY, type GoingBack, goingBackSchema } from '../run/going-back.ts'
import type { StepRun } from '../run/step.ts'
import { recallCutover } from './dns-change.ts'
import type { HostWatch, Numbers } from './guard-host.ts'
import type { GuardOptions } from './guard-options.ts'
import { identityName } from './headroom.ts'
import { MAINTENANCE_KEY } from './own-files.ts'

/** The run's memory of how far the new host had numbered when it was last seen well: its database may not answer any more. */
export const NEW_NUMBERS_KEY = 'new-numbers'
export const newNumbersSchema = z.record(z.string(), z.string()).readonly()

/** What was decided about the cutover that stands; `undefined` when nothing was. */
export function decisionOf(run: StepRun): GoingBack | undefined {
  const decided = goingBackSchema.nullish().parse(run.recall(GOING_BACK_KEY)) ?? undefined
  return decided?.cutoverAt === cutoverAtOf(run) ? decided : undefined
}

const cutoverAtOf = (run: StepRun): number | null => recallCutover(run)?.at ?? null

/** Ends the run so that the command goes back (cli/way-back.ts). */
export const goesBack = ({ by, reason }: GoingBack): RunEnding =>
  new RunEnding(
    'failback',
    `${by === 'guard' ? 'It was decided' : 'A person decided'} to send customers back to the old host: ${reason}.`,
    { hint: 'It goes on by itself with what a rollback does.' },
  )

interface Failure {
  /** What is wrong, for people. */
  readonly reason: string
  readonly numbers: Numbers | undefined
}

interface Deciding {
  readonly failback: GuardOptions['failback']
  readonly old: HostWatch
  /** Its pages are the new host's, by a relay: that they answer is all that can be asked of them. */
  readonly relayed: boolean
}

/**
 * The new host has failed for long: is there a way back, and is it wanted? Each question has one answer in a run, on disk before
 * anything is done. Returns why nothing was decided, for people, or `undefined` when it was decided to stay. Throws RunEnding to go back.
 */
export async function decide(run: StepRun, failure: Failure, deciding: Deciding): Promise<string | undefined> {
  const before = decisionOf(run)
  if (before?.decision === 'back') throw goesBack(before)
  if (before?.decision === 'stay') return undefined
  if (deciding.failback === 'off') return 'Nothing is done about it, as the playbook says. To go back: migrate rollback PLAYBOOK'
  const unfit = await unfitness(run, deciding)
  if (unfit !== undefined) return `The old host isn't fit to take customers back: ${unfit}. So nothing is decided`
  if (deciding.failback === 'auto') throw goesBack(await keep(run, 'back', 'guard', failure))
  const isBack = await askPerson(run, failure.reason)
  const decided = await keep(run, isBack ? 'back' : 'stay', 'person', failure)
  if (isBack) throw goesBack(decided)
  return undefined
}

/** Never back to a host that is dead or closed, by others or by this run. */
async function unfitness(run: StepRun, { old, relayed }: Deciding): Promise<string | undefined> {
  if (typeof run.recall(MAINTENANCE_KEY) === 'string') return 'this run closed its site; the rollback opens it again'
  if (!old.watched.some((part) => part !== 'storage'))
    return 'the playbook gives neither old.site nor old.database to see that by'
  const { faults } = await old.look(run, relayed)
  return faults.length === 0 ? undefined : faults.map(({ message }) => message).join('; ')
}

async function askPerson(run: StepRun, reason: string): Promise<boolean> {
  try {
    return await run.confirm(
      `${reason}. Send customers back to the old host, and their orders after them? No = stay, and don't ask again.`,
      'Or run: migrate rollback PLAYBOOK',
      true,
    )
  } catch (error) {
    if (!(error instanceof MigrateError) || error.ending !== 'waiting') throw error
    throw new RunEnding('failback-offered', `${reason}. Customers are still sent there; nothing was changed.`, {
      ending: 'waiting',
      hint: 'To send them back to the old host, and their orders after them: migrate rollback PLAYBOOK. To go on once the new host is mended, run again. With guard: { failback: auto } it goes back by itself.',
    })
  }
}

async function keep(
  run: StepRun,
  decision: GoingBack['decision'],
  by: GoingBack['by'],
  { reason, numbers }: Failure,
): Promise<GoingBack> {
  if (numbers !== undefined && decision === 'back') {
    const given = numbers.states.flatMap(({ identity, last }) => (last === null ? [] : [[identityName(identity), String(last)]]))
    await run.remember(NEW_NUMBERS_KEY, Object.fromEntries(given))
  }
  const decided: GoingBack = { decision, by, at: isoTime(run.clock.now()), reason, cutoverAt: cutoverAtOf(run) }
  await run.remember(GOING_BACK_KEY, decided)
  return decided
}
