import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '../base/json.ts'
import type { Outcome } from './events.ts'
import type { Reread } from './journal.ts'
import type { Binding, JournalEntry, JournalRecord, PlannedStep } from './records.ts'

export type ChangeState = 'begun' | 'applied' | 'undoing' | 'undone'

/** A change that was begun at some time. */
export interface PastChange {
  /** The line of the journal that began it. */
  readonly n: number
  readonly step: string
  /** Tells it apart from the step's other changes. */
  readonly key: string
  /** Read from the journal where it is a long one. `null` of one that can't be taken back: nobody asks for it. */
  readonly change: Json
  readonly summary: string
  readonly undoable: boolean
  readonly redacted: boolean
  readonly state: ChangeState
}

export type StepStatus = 'waiting' | 'running' | 'finished' | 'failed' | 'undone'

export interface Failure {
  readonly step: string | null
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
  readonly time: string
}

interface StepPast {
  status: StepStatus
  /** When it last finished, rows waited for a person. */
  parked: boolean
  /** It has found such rows since it was last begun. */
  parking: boolean
}

interface RunPast {
  readonly id: string
  readonly playbook: string
  readonly hash: string
  readonly binding: Binding
  readonly steps: readonly PlannedStep[]
  readonly startedAt: string
}

/** True for the code of a finding that ends a run as `parked`. */
export const isParking = (code: string): boolean => code === 'rows-parked' || code === 'files-parked'

/** The code with which a step ends because one beside it failed. */
export const STOPPED = 'stopped'

export const toldKey = (hook: string, key: string): string => `${hook}\n${key}`

const changeKey = (step: string, change: Json): string => keyOf(step, canonicalJson(change))
const keyOf = (step: string, text: string): string => `${step} ${createHash('sha256').update(text).digest('hex')}`

/** Changes whose text is longer are not held: all together they may have a million files in them. */
const MOST_HELD = 4096

type Begun = Extract<JournalRecord, { type: 'change-begun' }>

class BegunChange implements PastChange {
  readonly n: number
  readonly step: string
  readonly key: string
  readonly summary: string
  readonly undoable: boolean
  readonly redacted: boolean
  state: ChangeState = 'begun'
  readonly #held: Json
  readonly #reread: Reread | undefined

  constructor(n: number, { step, change, summary, undoable, redacted }: Begun, reread: Reread | undefined) {
    const text = canonicalJson(change)
    this.n = n
    this.step = step
    this.key = keyOf(step, text)
    this.summary = summary
    this.undoable = undoable
    this.redacted = redacted ?? false
    this.#held = undoable && (text.length <= MOST_HELD || reread === undefined) ? change : null
    this.#reread = undoable && text.length > MOST_HELD ? reread : undefined
  }

  get change(): Json {
    return this.#reread === undefined ? this.#held : changeIn(this.#reread())
  }
}

const changeIn = ({ record }: JournalEntry): Json => (record.type === 'change-begun' ? record.change : null)

const STATE_AFTER = { 'change-applied': 'applied', 'change-undoing': 'undoing', 'change-undone': 'undone' } as const

/** The journal, folded: what this run has done so far, over all the processes that worked on it. */
export class RunHistory {
  #run: RunPast | undefined
  #outcome: Outcome | undefined
  #endedAt: string | undefined
  #failure: Failure | undefined
  #rollingBack = false
  #rolledBack = false
  readonly #steps = new Map<string, StepPast>()
  readonly #changes = new Map<number, BegunChange>()
  readonly #latest = new Map<string, number>()
  readonly #facts = new Map<string, Json>()
  readonly #told = new Set<string>()

  /** Takes in one more entry, in the journal's order. `reread`: gives it once more, so that a long change needn't be held. */
  add(entry: JournalEntry, reread?: Reread): void {
    const { record } = entry
    if (record.type === 'run-started') {
      this.#begin(record, entry)
    } else if (record.type === 'change-begun') {
      const begun = new BegunChange(entry.n, record, reread)
      this.#changes.set(entry.n, begun)
      this.#latest.set(begun.key, entry.n)
    } else if (record.type === 'change-applied' || record.type === 'change-undoing' || record.type === 'change-undone') {
      this.#settle(record)
    } else if (record.type === 'fact') {
      this.#facts.set(record.key, record.value)
    } else if (record.type === 'notice-told') {
      this.#told.add(toldKey(record.hook, record.key))
    } else if (record.type === 'notice-over') {
      for (const told of this.#told) if (told.endsWith(toldKey('', record.key))) this.#told.delete(told)
    } else {
      this.#addProgress(record, entry)
    }
  }

  /** What people have been told and holds still: `toldKey` of the hook's name and the condition. */
  get told(): ReadonlySet<string> {
    return this.#told
  }

  get run(): RunPast | undefined {
    return this.#run
  }

  /** How the last process ended; `undefined` while one works, or when it died. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  get endedAt(): string | undefined {
    return this.#endedAt
  }

  get failure(): Failure | undefined {
    return this.#failure
  }

  /** A rollback was begun and nothing was run since. */
  get rollingBack(): boolean {
    return this.#rollingBack
  }

  /** Everything that can be taken back has been, and nothing was done since. */
  get rolledBack(): boolean {
    return this.#rolledBack
  }

  /** In the order in which they were begun. */
  get changes(): readonly PastChange[] {
    return [...this.#changes.values()]
  }

  statusOf(step: string): StepStatus {
    return this.#steps.get(step)?.status ?? 'waiting'
  }

  isParked(step: string): boolean {
    return this.#steps.get(step)?.parked ?? false
  }

  fact(key: string): Json | undefined {
    return this.#facts.get(key)
  }

  /** What became of the latest change of this step with the same data. */
  historyOf(step: string, change: Json): 'never' | 'begun' | 'applied' {
    const n = this.#latest.get(changeKey(step, change))
    const state = n === undefined ? undefined : this.#changes.get(n)?.state
    if (state === undefined || state === 'undone') return 'never'
    return state === 'applied' ? 'applied' : 'begun'
  }

  /** True when a step of the cutover has begun a change that wasn't taken back: customers may be on the new host. */
  get cutOver(): boolean {
    return this.#cutoverChanges().some((change) => change.state !== 'undone')
  }

  /** True also when the cutover was taken back since: customers have been on the new host, and may have left orders there. */
  get wasCutOver(): boolean {
    return this.#cutoverChanges().length > 0
  }

  #cutoverChanges(): readonly PastChange[] {
    const phases = new Map(this.#run?.steps.map((step) => [step.id, step.phase]))
    return this.changes.filter((change) => phases.get(change.step) === 'cutover')
  }

  #begin(record: Extract<JournalRecord, { type: 'run-started' }>, entry: JournalEntry): void {
    const { run: id, playbook, hash, binding, steps } = record
    this.#run = { id, playbook, hash, binding, steps, startedAt: entry.time }
  }

  #settle(record: Extract<JournalRecord, { type: 'change-applied' | 'change-undoing' | 'change-undone' }>): void {
    const change = this.#changes.get(record.of)
    if (change === undefined) return
    change.state = STATE_AFTER[record.type]
    if (record.type !== 'change-applied') this.#step(change.step).status = 'undone'
  }

  #addProgress(record: JournalRecord, entry: JournalEntry): void {
    switch (record.type) {
      case 'run-resumed':
        this.#outcome = undefined
        this.#endedAt = undefined
        this.#rollingBack = false
        return
      case 'step-started':
        this.#start(this.#step(record.step))
        return
      case 'step-finished':
        this.#finish(this.#step(record.step), record.skipped)
        if (this.#failure?.step === record.step) this.#failure = undefined
        return
      case 'step-failed':
        this.#step(record.step).status = 'failed'
        // A step that was stopped for the one beside it: that one's failure, in the line before, is the one to know.
        if (record.code !== STOPPED) this.#failure = { ...record, hint: record.hint, time: entry.time }
        return
      case 'finding':
        if (isParking(record.code) && record.step !== null) this.#step(record.step).parking = true
        return
      case 'rollback-started':
        this.#rollingBack = true
        this.#outcome = undefined
        this.#endedAt = undefined
        this.#forgetFurther()
        return
      case 'rolled-back':
        this.#rolledBack = true
        return
      case 'run-finished':
        this.#outcome = record.outcome
        this.#endedAt = entry.time
        if (record.outcome === 'ok') this.#failure = undefined
        if (record.code !== undefined && record.message !== undefined) {
          this.#failure = { step: null, code: record.code, message: record.message, hint: record.hint, time: entry.time }
        }
        return
      default:
        return
    }
  }

  /** What a way back carries is due anew with each: steps that the playbook doesn't have. */
  #forgetFurther(): void {
    const own = new Set(this.#run?.steps.map(({ id }) => id))
    for (const id of this.#steps.keys()) if (!own.has(id)) this.#steps.delete(id)
  }

  #start(step: StepPast): void {
    step.parking = false
    if (step.status !== 'finished') step.status = 'running'
  }

  #finish(step: StepPast, skipped: boolean): void {
    if (!skipped) step.parked = step.parking
    step.status = 'finished'
  }

  #step(id: string): StepPast {
    const known = this.#steps.get(id)
    if (known !== undefined) return known
    const made: StepPast = { status: 'waiting', parked: false, parking: false }
    this.#steps.set(id, made)
    return made
  }
}
