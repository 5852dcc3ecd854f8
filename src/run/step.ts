import type { ZodType } from 'zod'
import type { Clock } from '../base/clock.ts'
import type { Finding } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import type { EventBody, ProgressUnit } from './events.ts'

/**
 * `prepare`: customers notice nothing; Ctrl-C stops at once.
 * `cutover`: Ctrl-C waits for the change in hand to end (a safe point).
 * `settle`: after the cutover; Ctrl-C stops between two changes.
 */
export type Phase = 'prepare' | 'cutover' | 'settle'

/**
 * One item of the playbook. `check`, `plan` and `verify` read; only `apply` and `undo` write.
 * A dry run is the same code stopped before `apply`.
 */
export interface Step<C extends Json = Json> {
  /** Unique within the playbook; the kind's name, with `#2`, `#3` … when the kind occurs again. */
  readonly id: string
  /** For people: "Copy the files from the old host". */
  readonly title: string
  readonly phase: Phase
  /** Re-parses what the journal gives back. */
  readonly change: ZodType<C>
  /**
   * Every precondition of this step that can be asked before the run begins, all together. Read-only.
   * Must not fail on what an earlier step of the same run will bring about.
   */
  check(run: StepRun): Promise<readonly Finding[]>
  /** What is left to do, found by asking the world; `[]` = nothing. Read-only. Carries the before-images that `undo` needs. */
  plan(run: StepRun): Promise<readonly C[]>
  /**
   * Brings one change about. Idempotent: may be called again after it was cut off at any instant, also with the change as an
   * earlier process planned it.
   */
  apply(change: C, run: StepRun): Promise<void>
  /** Evidence read back from the world after all changes were applied. An `error` fails the step. Read-only. */
  verify(run: StepRun): Promise<readonly Finding[]>
  /** Takes one change back, finished or not, and reads back that it is gone. Absent = point of no return, said beforehand. */
  undo?(change: C, run: StepRun): Promise<void>
  /** One line for people, with sizes: "upload 5,000 files, 40 MiB". */
  describe(change: C): string
  /** Longest time that `apply` of one change may take, milliseconds; none when absent. */
  readonly timeoutMs?: number
  /**
   * Id of a step whose results this one can take up while that one is still at work. Where that one stands in the group right before
   * this one's, this one begins beside it as soon as it hands over (`StepRun.handOver`); in all else they run as ever.
   */
  readonly follows?: string | undefined
  /** What customers meet doesn't hang on this step's undo: going back after a cutover does it last (run/undo.ts). */
  readonly undoneLast?: true
  /** How many changes may be applied side by side; 1 when absent. Changes must then be independent of their order. */
  readonly parallel?: number
}

/** What the runner lends to a step while it works. */
export interface StepRun {
  /** Identifies the run, in marks on the new host and in logs. */
  readonly id: string
  readonly clock: Clock
  /** Aborts when the step must stop (a signal, a sibling's failure, a timeout). Pass it on to everything that waits. */
  readonly signal: AbortSignal
  /** The run's own folder (absolute), where snapshots and baselines are kept. */
  readonly directory: string
  /** True in a dry run: `plan` may estimate what would only exist after an earlier step's `apply`. */
  readonly dryRun: boolean
  /** The person named this very step (`--only`, `--from`): a step that has ended well may have to begin anew. */
  readonly named: boolean
  /**
   * Present when the command only looks on beside a run: nothing may be written on any host. `refresh` reads anew what the run
   * has remembered meanwhile.
   */
  readonly observing?: { refresh(): Promise<void> }
  /**
   * In `check`: one and the same for all steps that are asked together, so that what several of them ask of a host is asked once. Absent
   * elsewhere, where the world may be another by now.
   */
  readonly round?: object
  emit(body: EventBody): void
  progress(done: number, total: number | null, unit: ProgressUnit, item?: string): void
  /**
   * Durable facts about this run (cursors, times, measured rates), shared by its steps; last value wins. Not proof of anything.
   * `remember` returns when the fact is on disk. Not allowed during `check`, `plan` and dry runs.
   */
  remember(key: string, value: Json): Promise<void>
  recall(key: string): Json | undefined
  /** What the journal says of a change of this step with the same data: for effects that the world can't be asked about. */
  history(change: Json): 'never' | 'begun' | 'applied'
  /**
   * Asks the person. `true` = yes. With `--yes` it is yes at once; without a terminal it throws a MigrateError that ends the
   * command as `waiting` (exit 3). `personOnly`: too much hangs on it for `--yes`, which then is no answer.
   */
  confirm(question: string, hint?: string, personOnly?: boolean): Promise<boolean>
  /** Said while applying: from now on a step that follows this one may begin beside it. Returns whether one does. */
  handOver(): boolean
  /** True while the step that this one follows is still at work beside it: what it makes isn't whole yet. */
  isFollowing(): boolean
}

/** Groups one after the other; the steps of one group run side by side. */
export type Sequence = readonly (readonly Step[])[]

/**
 * Wraps an effect that doesn't pass through a port (a file written in the run's folder, a command started) so that a simulation
 * can cut the run off before or after it. In production it only runs `effect`.
 */
export type Effects = <T>(name: string, effect: () => Promise<T>) => Promise<T>

export const directly: Effects = (_name, effect) => effect()
