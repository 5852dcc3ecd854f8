import type { Clock } from '../base/clock.ts'
import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { type Json, jsonSchema } from '../base/json.ts'
import type { Redactor } from '../base/secret.ts'
import type { EventBody, EventSink, RunEvent } from './events.ts'
import { HandingOver } from './handing-over.ts'
import { isParking, type RunHistory } from './history.ts'
import type { Journal } from './journal.ts'
import type { JournalRecord } from './records.ts'
import { redactJson } from './redaction.ts'
import type { Step, StepRun } from './step.ts'
import { Teller } from './tell.ts'
import type { Hook } from './tell-outbox.ts'

/** Asks the person; absent when there is no terminal. */
export type Ask = (question: string, hint: string | undefined) => Promise<boolean>

export interface SessionOptions {
  readonly id: string
  readonly directory: string
  readonly clock: Clock
  readonly sink: EventSink
  readonly redactor: Redactor
  readonly history: RunHistory
  readonly dryRun: boolean
  readonly yes: boolean
  readonly ask: Ask | undefined
  /** Absent in a dry run, which writes nothing (law 6). */
  readonly journal: Journal | undefined
  /** Looks on beside a run: what a step remembers lasts as long as this process, and is written nowhere. */
  readonly observing?: { history(): Promise<RunHistory> }
  /** Who is told of what happens, and what they need to know of the run for it; nobody in a dry run. */
  readonly telling?: { readonly hooks: readonly Hook[]; readonly playbook: string; readonly steps: readonly Step[] } | undefined
}

/** A question at a terminal that nobody answers for so long is told. */
const UNANSWERED_MS = 60_000

/** What a step saw last, kept for the report. */
interface Observed {
  readonly figures: Map<string, number>
  watch: EventBody | undefined
  parked: boolean
}

/** One process's part in a run: everything that leaves passes through here, stamped, and with its secrets blanked. */
export class Session {
  readonly id: string
  readonly clock: Clock
  readonly history: RunHistory
  readonly dryRun: boolean
  readonly handingOver = new HandingOver()
  /** Ids of the steps that the person named. */
  readonly named = new Set<string>()
  readonly #options: SessionOptions
  readonly #observed = new Map<string, Observed>()
  readonly #overlay = new Map<string, Json>()
  readonly #teller: Teller | undefined
  #pending: Promise<unknown>[] = []
  #refreshed: RunHistory | undefined

  constructor(options: SessionOptions) {
    this.id = options.id
    this.clock = options.clock
    this.history = options.history
    this.dryRun = options.dryRun
    this.#options = options
    this.#teller = this.#makeTeller()
  }

  emit(step: string | null, body: EventBody): void {
    const event = this.#stamped(step, body)
    this.#options.sink(event)
    this.#teller?.hear(event)
  }

  /** Tells those who aren't looking how it ended, and waits for a while until they know. Nobody is told of anything afterwards. */
  async part(bodies: readonly EventBody[], abort: AbortSignal): Promise<void> {
    for (const body of bodies) this.#teller?.hear(this.#stamped(null, body))
    await this.#teller?.settle(abort)
  }

  #stamped(step: string | null, body: EventBody): RunEvent {
    const { clock, redactor } = this.#options
    return { time: isoTime(clock.now()), run: this.id, step, ...redactJson(body, redactor) }
  }

  #makeTeller(): Teller | undefined {
    const { telling, dryRun, clock, history } = this.#options
    if (telling === undefined || telling.hooks.length === 0 || dryRun) return undefined
    return new Teller({
      ...telling,
      clock,
      run: this.id,
      told: history.told,
      record: (record) => this.#later(record),
      emit: (body) => this.#options.sink(this.#stamped(null, body)),
    })
  }

  /** Writes to the journal; resolves with the line's number once it is on disk. */
  async record(record: JournalRecord): Promise<number> {
    const { journal, redactor, history } = this.#options
    if (journal === undefined)
      throw new MigrateError('fault', 'A dry run tried to write to the journal. This is a fault in migrate.')
    const { entry, reread } = await journal.append(redactJson(record, redactor))
    history.add(entry, reread)
    return entry.n
  }

  /** The same data as the journal would hold it. */
  redacted<T>(value: T): T {
    return redactJson(value, this.#options.redactor)
  }

  /** Waits until everything that events left for the journal is on disk. */
  async flush(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    await Promise.all(pending)
  }

  observed(step: string): Observed {
    const known = this.#observed.get(step)
    if (known !== undefined) return known
    const made: Observed = { figures: new Map(), watch: undefined, parked: false }
    this.#observed.set(step, made)
    return made
  }

  /**
   * What the step is lent: `read` in `check` and `plan`, where it may not even remember anything; `write` in all else. `round`: of the
   * checks that are made together.
   */
  lend(step: Step, signal: AbortSignal, stage: 'read' | 'write', round?: object): StepRun {
    const { directory, dryRun, clock, history, observing } = this.#options
    return {
      id: this.id,
      clock,
      signal,
      directory,
      dryRun,
      named: this.named.has(step.id),
      ...(round === undefined ? {} : { round }),
      ...(observing === undefined ? {} : { observing: { refresh: () => this.#refresh(observing) } }),
      emit: (body) => this.#emitForStep(step.id, body),
      progress: (done, total, unit, item) =>
        this.#emitForStep(step.id, { event: 'progress', done, total, unit, ...(item === undefined ? {} : { item }) }),
      remember: (key, value) => this.#remember(step, stage, key, value),
      recall: (key) => this.#overlay.get(key) ?? (this.#refreshed ?? history).fact(key),
      history: (change) => history.historyOf(step.id, this.redacted(change)),
      confirm: (question, hint, personOnly) => this.confirm(step.id, question, hint, personOnly),
      handOver: () => this.handingOver.handOver(step.id),
      isFollowing: () => step.follows !== undefined && this.handingOver.isAtWork(step.follows),
    }
  }

  async confirm(step: string, question: string, hint?: string, personOnly = false): Promise<boolean> {
    const { yes, ask } = this.#options
    if (yes && !personOnly) return true
    if (ask === undefined) {
      throw new MigrateError('confirmation-needed', question, {
        ending: 'waiting',
        hint: hint ?? 'Run again in a terminal and answer, or with --yes, which answers every question with yes.',
      })
    }
    const answered = new AbortController()
    this.clock.sleep(UNANSWERED_MS, answered.signal).then(
      () => this.#teller?.hear(this.#stamped(step, { event: 'waiting', message: question, hint })),
      () => undefined,
    )
    try {
      return await ask(question, hint)
    } finally {
      answered.abort()
    }
  }

  #emitForStep(step: string, body: EventBody): void {
    this.emit(step, body)
    const observed = this.observed(step)
    if (body.event === 'progress') observed.figures.set(body.unit, body.done)
    if (body.event === 'watch') observed.watch = body
    if (body.event === 'finding' && isParking(body.code)) observed.parked = true
    if (body.event === 'finding') this.#later({ type: 'finding', step, ...findingFields(body) })
    if (body.event === 'reconciled') this.#later({ type: 'observed', step, body: jsonSchema.parse(body) })
  }

  /** An event can't wait for the disk; the runner does, before it says that anything is done. */
  #later(record: JournalRecord): void {
    if (this.#options.journal === undefined) return
    const written = this.record(record)
    // Marks the promise as handled until `flush` awaits it.
    written.catch(() => undefined)
    this.#pending.push(written)
  }

  async #refresh(observing: { history(): Promise<RunHistory> }): Promise<void> {
    this.#refreshed = await observing.history()
  }

  async #remember(step: Step, stage: 'read' | 'write', key: string, value: Json): Promise<void> {
    if (stage === 'read' || this.dryRun) {
      throw new MigrateError(
        'fault',
        `The step ${step.id} tried to keep "${key}" in its check or plan. This is a fault in migrate.`,
      )
    }
    if (this.#options.observing !== undefined) this.#overlay.set(key, value)
    else await this.record({ type: 'fact', key, value })
  }
}

export const findingFields = (finding: {
  readonly severity: 'error' | 'warning' | 'info'
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
}): { severity: 'error' | 'warning' | 'info'; code: string; message: string; hint?: string } => ({
  severity: finding.severity,
  code: finding.code,
  message: finding.message,
  ...(finding.hint === undefined ? {} : { hint: finding.hint }),
})
