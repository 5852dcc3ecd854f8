import { isoTime } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import { Follower, type FollowPass } from '../reconcile/follow.ts'
import type { Carrying } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'
import { PASS_KEY } from './reconcile.ts'
import { declaredReferences, rulesFor } from './rules.ts'
import type { World } from './world.ts'

/** From the beginning of one pass to that of the next: what was born is carried within five seconds. */
const EVERY_MS = 4000
/** The old host is left alone for so many times as long as it was asked. */
const LEFT_ALONE = 4
/** Failing so often in a row is told. */
const TOLD_AFTER = 2
/** After passes that failed, and while there is no baseline yet. */
const RETRY_MS = 15_000
const NOT_READY_MS = 60_000

/** Cheap passes with their events, one after the other, as long as somebody else rests. */
export class FollowPasses {
  readonly #follower: Follower
  #nextAt = 0
  /** Passes in a row that failed. */
  #failures = 0
  #moved = false
  #lastAt: number | null = null

  private constructor(follower: Follower) {
    this.#follower = follower
  }

  /** `undefined` where rows can't be carried: only looking on, or a database that the playbook doesn't give. */
  static open(world: World, run: StepRun): FollowPasses | undefined {
    const [source, target] = [world.old.database, world.new.database]
    if (run.observing !== undefined || source === undefined || target === undefined) return undefined
    return new FollowPasses(
      new Follower({
        run: run.id,
        directory: run.directory,
        source,
        target,
        rules: (schema) => rulesFor(world, schema),
        references: (tables) => declaredReferences(world, tables),
        clock: run.clock,
      }),
    )
  }

  /** Carries while `rest` lasts; a pass that has begun comes to its end. Throws what `rest` throws. */
  async during(run: StepRun, rest: () => Promise<void>): Promise<void> {
    const over = new AbortController()
    const resting = rest().finally(() => over.abort())
    const [rested, passed] = await Promise.allSettled([resting, this.#until(run, over.signal)])
    if (rested.status === 'rejected') throw rested.reason
    if (passed.status === 'rejected') throw passed.reason
  }

  /** True since a pass couldn't be made, until one can again. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** For the watch's figures: one that failed by itself is no outage. */
  get carrying(): Carrying {
    return { lastAt: this.#lastAt === null ? null : isoTime(this.#lastAt), failing: this.#failures >= TOLD_AFTER }
  }

  /** True when a row was born on the old host since this was last asked, or nobody could see whether. */
  moved(): boolean {
    const moved = this.#moved || this.#failures > 0
    this.#moved = false
    return moved
  }

  async #until(run: StepRun, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const pause = this.#nextAt - run.clock.monotonic()
      if (pause > 0) {
        try {
          await run.clock.sleep(pause, AbortSignal.any([run.signal, over]))
        } catch (error) {
          if (over.aborted) return
          throw error
        }
      }
      if (!over.aborted) await this.pass(run)
    }
  }

  /** One pass, now; `undefined` when it couldn't be made, which is told once for each outage. */
  async pass(run: StepRun): Promise<FollowPass | undefined> {
    const started = run.clock.monotonic()
    try {
      const pass = await this.#follower.pass(run.signal)
      const took = run.clock.monotonic() - started
      this.#nextAt = started + (pass === undefined ? NOT_READY_MS : pauseAfter(pass, took))
      if (pass !== undefined) {
        if (this.#failures >= TOLD_AFTER) run.emit({ event: 'note', message: 'New rows are carried over again.' })
        this.#failures = 0
        this.#lastAt = run.clock.now()
      }
      this.#moved ||= pass?.moved ?? false
      if (pass !== undefined && pass.carried.size > 0) await tell(run, pass)
      return pass
    } catch (error) {
      run.signal.throwIfAborted()
      if (!(error instanceof MigrateError)) throw error
      this.#failures += 1
      // Two customers in each other's way are no outage.
      this.#nextAt = run.clock.monotonic() + (this.#failures < TOLD_AFTER ? EVERY_MS : RETRY_MS)
      if (this.#failures === TOLD_AFTER) run.emit({ event: 'finding', ...paused(error) })
      return undefined
    }
  }
}

const pauseAfter = ({ more, sourceMs }: FollowPass, took: number): number =>
  Math.max(more ? 0 : EVERY_MS, took + LEFT_ALONE * sourceMs)

async function tell(run: StepRun, { carried, seen, settled }: FollowPass): Promise<void> {
  const pass = Number(run.recall(PASS_KEY) ?? 0) + 1
  await run.remember(PASS_KEY, pass)
  const none = { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
  run.emit({
    event: 'reconciled',
    pass,
    newOnly: true,
    tables: Object.fromEntries([...carried].map(([name, inserted]) => [name, { ...none, inserted }])),
    headroom: [],
    proof: { rows: seen, accounted: settled, unaccounted: seen - settled },
  })
}

const paused = (error: MigrateError) =>
  ({
    severity: 'warning',
    code: 'carry-paused',
    message: `New rows of the old host can't be carried over at present: ${messageOf(error)}`,
    hint: 'Nothing is lost: it is tried again by itself, and reconcile carries all that is left.',
  }) as const
