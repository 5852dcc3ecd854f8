import { type Clock, isoTime } from '../base/clock.ts'
import type { CommandOptions, RunResult } from '../run/command.ts'
import type { EventSink, RunEvent } from '../run/events.ts'
import { type GoingBack, goingBackOf } from '../run/going-back.ts'
import type { RunHistory } from '../run/history.ts'
import { readHistory } from '../run/state.ts'
import type { Sequence } from '../run/step.ts'
import type { Prepared } from './prepare.ts'

/**
 * `migrate rollback` after the cutover: DNS back first, then what customers left on the new host, carried to the old one. What was
 * prepared on the new host stays. Can be cut off at any place and run again.
 */
export async function goBack({ options, world }: Prepared, dryRun: boolean): Promise<RunResult> {
  const { rollback } = await import('../run/undo.ts')
  const held = new HeldEnd(options)
  const parts = { ...options, dryRun, sink: held.sink }
  const isFollowed = (await partsOfCarrying(world, options.sequence, (await readHistory(options.directory)).history)).length > 0
  const isPart = options.isPart === true || isFollowed
  const back = await rollback({ ...parts, phases: ['cutover', 'settle'], customersFirst: true, isPart })
  const ends = [back]
  const { history } = await readHistory(options.directory)
  // What isn't for customers may be left for later; where they are sent must be the old host before their orders go there.
  if ((back.exit === 0 || !history.cutOver) && back.outcome !== 'interrupted') {
    const { runSequence } = await import('../run/runner.ts')
    const sequences = await partsOfCarrying(world, options.sequence, history)
    for (const [index, sequence] of sequences.entries())
      ends.push(await runSequence({ ...parts, sequence, isPart: options.isPart === true || index < sequences.length - 1 }))
  }
  const last = ends.findLast(({ exit }) => exit !== 0) ?? ends.at(-1) ?? back
  held.release(last)
  return last
}

/** Each is a run of its own: that the new database can't be asked must not keep the old one's numbers from being moved first. */
async function partsOfCarrying(world: Prepared['world'], steps: Sequence, history: RunHistory): Promise<readonly Sequence[]> {
  const { goingBack } = await import('../steps/carry-back.ts')
  const { carryBackNumbers } = await import('../steps/carry-back-numbers.ts')
  const { NEW_NUMBERS_KEY } = await import('../steps/guard-decision.ts')
  const carrying = goingBack(world, steps)
  const hasNumbers = history.fact(NEW_NUMBERS_KEY) !== undefined
  return [...(hasNumbers ? [[[carryBackNumbers(world)]]] : []), ...(carrying.length === 0 ? [] : [carrying])]
}

/** Holds back how a part of a command ended, until nothing follows it: a command ends once. */
class HeldEnd {
  readonly #sink: EventSink
  readonly #clock: Clock
  #end: RunEvent | undefined

  constructor({ sink, clock }: CommandOptions) {
    this.#sink = sink
    this.#clock = clock
  }

  readonly sink: EventSink = (event) => {
    if (event.step === null && event.event === 'finished') this.#end = event
    else this.#sink(event)
  }

  /** Tells the last end that was held back, with the outcome that the whole came to. */
  release({ outcome, exit }: RunResult): void {
    const end = this.#end
    this.#end = undefined
    if (end?.event !== 'finished') return
    this.#sink({ ...end, time: isoTime(this.#clock.now()), outcome, exit })
  }
}

/** The decision to go back, as long as that isn't done to its end. */
function wayBackDue(history: RunHistory, carrying: Sequence): GoingBack | undefined {
  const decided = goingBackOf(history)
  if (decided?.decision !== 'back') return undefined
  const isCarried = carrying.flat().every(({ id }) => history.statusOf(id) === 'finished')
  return history.cutOver || !isCarried ? decided : undefined
}

/** Customers were sent back to the old host, and it has gone on from there: its numbers are beyond the new one's. */
export async function hasGoneBack(history: RunHistory): Promise<boolean> {
  const { CARRY_BACK } = await import('../steps/carry-back.ts')
  const { CARRY_NUMBERS } = await import('../steps/carry-back-numbers.ts')
  if (history.cutOver) return false
  const wasCarried = history.changes.some(({ step }) => step === CARRY_BACK || step === CARRY_NUMBERS)
  return wasCarried || (goingBackOf(history)?.decision === 'back' && history.wasCutOver)
}

/** The step's id: a playbook has one at most. */
const GUARD = 'guard'

interface Running {
  /** All steps are run, not a choice of them. */
  readonly isWhole: boolean
  run(options: CommandOptions): Promise<RunResult>
}

/**
 * After the cutover a run that is resumed may be kept from coming to its guard by what that one is there for: a database of the new
 * host that is dead. Then the guard looks on by itself.
 */
async function guardAlone(options: CommandOptions): Promise<RunResult | undefined> {
  const { history } = await readHistory(options.directory)
  const hasGuard = options.sequence.flat().some(({ id }) => id === GUARD)
  if (!hasGuard || !history.cutOver || history.statusOf(GUARD) === 'finished') return undefined
  const message = 'What stands before the guard can’t be done at present: the guard looks on alone.'
  options.sink({ time: isoTime(options.clock.now()), run: history.run?.id ?? '', step: null, event: 'note', message })
  const { runSequence } = await import('../run/runner.ts')
  return await runSequence({ ...options, only: GUARD })
}

/**
 * `migrate run`, and the way back when it was decided on in it or by an earlier process: nobody decides anew. A run that went back
 * ends as failed, since the move didn't come about.
 */
export async function runOrGoBack(prepared: Prepared, { isWhole, run }: Running): Promise<RunResult> {
  const { options, world } = prepared
  const { goingBack } = await import('../steps/carry-back.ts')
  const carrying = goingBack(world, options.sequence)
  const dueNow = async (): Promise<GoingBack | undefined> => wayBackDue((await readHistory(options.directory)).history, carrying)
  const held = new HeldEnd(options)
  let due = await dueNow()
  if (due === undefined) {
    let isGuarding = false
    const sink: EventSink = (event) => {
      isGuarding ||= event.step === GUARD && event.event === 'started'
      held.sink(event)
    }
    const whole = await run({ ...options, sink })
    const keptOff = isWhole && whole.exit === 1 && !isGuarding
    const alone = keptOff ? await guardAlone({ ...options, sink }) : undefined
    const result = alone?.outcome === 'waiting' ? alone : whole
    due = await dueNow()
    if (due === undefined || result.outcome === 'interrupted') {
      held.release(result)
      return result
    }
  }
  const started = options.clock.monotonic()
  // Each part of it may end well and the whole not: what came of it is told below.
  const back = await goBack({ ...prepared, options: { ...options, sink: held.sink, isPart: true } }, false)
  const seconds = (options.clock.monotonic() - started) / 1000
  const result: RunResult = back.exit === 0 ? { ...back, outcome: 'failed', exit: 1 } : back
  const isParked = back.outcome === 'parked'
  const { tellOfRun } = await import('../run/tell-after.ts')
  if (back.exit === 0 || isParked) await tellOfRun(options, back.runId, { event: 'failed', seconds, ...wentBack(due, isParked) })
  else {
    const { history } = await readHistory(options.directory)
    await tellOfRun(options, back.runId, { event: 'finding', ...stillDue(history) })
  }
  held.release(result)
  return result
}

const wentBack = ({ reason, at }: GoingBack, isParked: boolean) => ({
  code: 'failback',
  message: `Customers are sent to the old host again, as was decided at ${at.slice(11, 19)} UTC: ${reason}. What they ordered on the new host is on the old one too${isParked ? ', but for the rows that wait for a decision' : ''}. Nothing on the new host was touched.`,
  hint: `${isParked ? 'To decide:  migrate reconcile PLAYBOOK --resolve. ' : ''}Resolvers may send some customers to the new host until their TTL ends: after that, run  migrate rollback PLAYBOOK  once more. To move again, mend the new host, empty its database, and begin anew with --fresh.`,
})

const stillDue = ({ cutOver }: RunHistory) =>
  ({
    severity: 'error',
    code: cutOver ? 'failback-unfinished' : 'carry-back-due',
    message: cutOver
      ? 'It was decided to go back to the old host, and that isn’t done: customers may still be sent to the new one.'
      : 'Customers are sent to the old host again. What they ordered on the new host isn’t on the old one yet: it waits there until it can be carried.',
    hint: 'When what stands in the way is mended: migrate rollback PLAYBOOK  goes on with it, as often as it takes.',
  }) as const
