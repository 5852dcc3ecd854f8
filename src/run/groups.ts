import { MigrateError } from '../base/errors.ts'
import { executeStep, type StepEnd } from './execute.ts'
import { INTERRUPTED, RunEnding, type Verdict, verdictOf } from './failures.ts'
import { STOPPED } from './history.ts'
import type { Session } from './session.ts'
import type { Sequence, Step } from './step.ts'

export interface GroupStops {
  readonly interrupt: AbortSignal
  readonly abort: AbortSignal
}

export interface GroupsEnd {
  /** `undefined` when every group has ended well. */
  readonly verdict: Verdict | undefined
  readonly didSomething: boolean
}

/**
 * Runs the groups one after the other, the steps of each side by side; the first that fails tells those beside it to stop, and all
 * are awaited. A step that follows one of the group before (`Step.follows`) is begun beside that one once it hands over.
 */
export async function runGroups(session: Session, groups: Sequence, stops: GroupStops): Promise<GroupsEnd> {
  let didSomething = false
  let current = new Group(session, stops)
  for (const [index, steps] of groups.entries()) {
    const next = new Group(session, stops)
    const stopped = stops.interrupt.aborted || stops.abort.aborted
    if (!stopped) current.beginAll(steps, followers(steps, groups[index + 1] ?? []), next)
    const ends = [...(await current.ends())]
    // What began early belongs to the next group; when that one won't come, it is awaited here.
    if (stopped || ends.some((end) => end.kind !== 'finished')) ends.push(...(await next.ends()))
    const verdict = verdictOfGroup(ends) ?? (stopped ? INTERRUPTED : undefined)
    if (verdict !== undefined) return { verdict, didSomething }
    didSomething ||= ends.some((end) => end.kind === 'finished' && !end.skipped)
    current = next
  }
  return { verdict: undefined, didSomething }
}

/** Steps of the next group that follow one of this group. */
const followers = (group: readonly Step[], next: readonly Step[]): readonly Step[] =>
  next.filter((step) => step.follows !== undefined && group.some((leader) => leader.id === step.follows))

/** The steps of one group, some of which may have begun while the group before was at work. */
class Group {
  readonly #session: Session
  readonly #stops: GroupStops
  readonly #sibling = new AbortController()
  readonly #ends: StepEnd[] = []
  readonly #running = new Map<string, Promise<void>>()

  constructor(session: Session, stops: GroupStops) {
    this.#session = session
    this.#stops = stops
  }

  /** Begins what hasn't begun yet; `early` steps of the next group begin when their leaders hand over. */
  beginAll(steps: readonly Step[], early: readonly Step[], next: Group): void {
    for (const step of early) {
      this.#session.handingOver.onceHandedOver(step.follows ?? '', () => next.#begin(step, [this, next]))
    }
    for (const step of steps) if (!this.#running.has(step.id)) this.#begin(step, [this])
  }

  /** How the steps ended, in the order in which they did; steps that begin meanwhile are awaited too. */
  async ends(): Promise<readonly StepEnd[]> {
    for (let awaited = -1; awaited !== this.#running.size; ) {
      awaited = this.#running.size
      await Promise.all(this.#running.values())
    }
    return this.#ends
  }

  /** `beside`: the groups whose steps it stops by failing, and that stop it. */
  #begin(step: Step, beside: readonly Group[]): void {
    const sibling = AbortSignal.any(beside.map((group) => group.#sibling.signal))
    this.#session.handingOver.began(step.id)
    const running = executeStep(this.#session, step, { ...this.#stops, sibling }).then((end) => {
      this.#session.handingOver.ended(step.id)
      this.#ends.push(end)
      if (!endsGroup(end)) return
      const reason = new MigrateError(STOPPED, `"${step.title}" ended the run.`, { ending: 'interrupted' })
      for (const group of beside) group.#sibling.abort(reason)
    })
    this.#running.set(step.id, running)
  }
}

/** One that waits for a person lets those beside it come to their end; one that failed, or ends the run, doesn't. */
const endsGroup = (end: StepEnd): boolean => end.kind === 'failed' || (end.kind === 'waiting' && end.error instanceof RunEnding)

/** `undefined` when the next group may begin. A failure outweighs an interrupt, and that one a wait. */
function verdictOfGroup(ends: readonly StepEnd[]): Verdict | undefined {
  for (const kind of ['failed', 'interrupted', 'waiting'] as const) {
    const end = ends.find((each) => each.kind === kind)
    if (end !== undefined && end.kind !== 'finished') return verdictOf(end.error)
  }
  return undefined
}
