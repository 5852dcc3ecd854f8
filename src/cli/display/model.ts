import { formatCount } from '../../base/units.ts'
import type { Outcome, ProgressUnit, RunEvent } from '../../run/events.ts'
import type { Phase, Sequence } from '../../run/step.ts'
import { Meter } from './meter.ts'
import { failedLines, findingLines, guardLines, reconciledLines, watchLines } from './words.ts'

/** What the steps are gone through for: forwards, where customers don't see it, where none of it lasts, or back. */
export type Work = 'run' | 'rehearsal' | 'demo' | 'rollback'

export type StepState = 'waiting' | 'running' | 'done' | 'skipped' | 'failed' | 'asking' | 'stopped' | 'undone'

/** A counter of a running step. */
export interface Counter {
  readonly done: number
  readonly total: number | null
  readonly unit: ProgressUnit
  readonly item: string | undefined
  readonly meter: Meter
}

/** One step as the screen shows it. */
export interface StepView {
  readonly id: string
  readonly title: string
  readonly phase: Phase
  readonly undoable: boolean
  state: StepState
  startedAt: number | undefined
  seconds: number | undefined
  /** The change in hand, and how many are done. */
  applying: string | undefined
  applied: number
  undone: number
  planned: number
  readonly counters: Map<string, Counter>
  /** The last watch or reconcile figures. */
  figures: readonly string[]
  /** Rows that were carried over as they were born, by table. */
  readonly strays: Map<string, number>
  /** When the last of them were, milliseconds since 1970. */
  carriedAt: number | undefined
  warnings: readonly string[]
  note: string | undefined
  /** Why it failed or what it waits for. */
  outcome: readonly string[]
}

/** The run as the screen shows it: events, folded. */
export class ScreenModel {
  readonly name: string
  readonly playbook: string
  readonly work: Work
  steps: readonly StepView[]
  run = ''
  resumed = false
  startedAt: number | undefined
  now = 0
  outcome: Outcome | undefined
  seconds: number | undefined
  /** What concerns no step. */
  messages: readonly string[] = []
  notice: string | undefined
  /** What is being looked at, before anything is changed. */
  checking: string | undefined
  readonly #byId: Map<string, StepView>

  constructor(name: string, playbook: string, sequence: Sequence, work: Work = 'run') {
    this.name = name
    this.playbook = playbook
    this.work = work
    this.steps = sequence.flat().map((step) => view(step.id, step.title, step.phase, step.undo !== undefined))
    this.#byId = new Map(this.steps.map((step) => [step.id, step]))
  }

  add(event: RunEvent): void {
    this.run = event.run
    this.now = Date.parse(event.time)
    this.startedAt ??= this.now
    const step = event.step === null ? undefined : (this.#byId.get(event.step) ?? this.#further(event.step, event))
    if (step) addToStep(step, event, this.now)
    else this.#addToRun(event)
  }

  /** A step that no playbook names, such as carrying orders back in a rollback. */
  #further(id: string, event: RunEvent): StepView | undefined {
    if (event.event !== 'started') return undefined
    const step = view(id, event.title ?? id, 'settle', false)
    this.steps = [...this.steps, step]
    this.#byId.set(id, step)
    return step
  }

  #addToRun(event: RunEvent): void {
    if (event.event === 'started') this.resumed = event.resumed ?? false
    if (event.event === 'finished') {
      this.outcome = event.outcome
      this.seconds = event.seconds
    }
    if (event.event === 'finding' && event.severity !== 'info') this.messages = [...this.messages, ...findingLines(event)]
    if (event.event === 'failed') this.messages = [...this.messages, ...failedLines(event)]
    if (event.event === 'note') this.messages = [...this.messages, event.message]
  }
}

const view = (id: string, title: string, phase: Phase, undoable: boolean): StepView => ({
  id,
  title,
  phase,
  undoable,
  state: 'waiting',
  startedAt: undefined,
  seconds: undefined,
  applying: undefined,
  applied: 0,
  undone: 0,
  planned: 0,
  counters: new Map(),
  figures: [],
  strays: new Map(),
  carriedAt: undefined,
  warnings: [],
  note: undefined,
  outcome: [],
})

function addToStep(step: StepView, event: RunEvent, now: number): void {
  switch (event.event) {
    case 'started':
      step.state = 'running'
      step.startedAt = now
      return
    case 'finding':
      if (event.severity !== 'info') step.warnings = [...step.warnings, ...findingLines(event)]
      return
    case 'change':
      addChange(step, event)
      return
    case 'progress':
      addProgress(step, event, now)
      return
    case 'watch':
      step.figures = watchLines(event, now)
      return
    case 'guard':
      step.figures = guardLines(event)
      return
    case 'reconciled':
      if (event.newOnly !== true) step.figures = reconciledLines(event)
      else addStrays(step, event, now)
      return
    case 'note':
      if (event.inFigures !== true) step.note = event.message
      return
    case 'waiting':
      step.state = 'asking'
      step.outcome = [event.message, ...(event.hint === undefined ? [] : [`→ ${event.hint}`])]
      return
    case 'done':
      step.state = event.skipped ? 'skipped' : 'done'
      step.seconds = event.seconds
      return
    case 'failed':
      step.state = event.code === 'interrupted' || event.code === 'stopped' ? 'stopped' : 'failed'
      step.seconds = event.seconds
      step.outcome = [event.message, ...(event.hint === undefined ? [] : [`→ ${event.hint}`])]
      return
    case 'finished':
      return
  }
}

function addStrays(step: StepView, event: RunEvent & { readonly event: 'reconciled' }, now: number): void {
  step.carriedAt = now
  for (const [table, { inserted }] of Object.entries(event.tables))
    step.strays.set(table, (step.strays.get(table) ?? 0) + inserted)
}

function addChange(step: StepView, event: RunEvent & { readonly event: 'change' }): void {
  if (event.phase === 'planned') step.planned += 1
  if (event.phase === 'applying') step.applying = event.summary
  if (event.phase === 'applied') {
    step.applied += 1
    step.applying = undefined
  }
  if (event.phase === 'undone') {
    step.state = 'undone'
    step.undone += 1
    step.note = step.undone === 1 ? `taken back: ${event.summary}` : `${formatCount(step.undone)} changes taken back`
  }
}

function addProgress(step: StepView, event: RunEvent & { readonly event: 'progress' }, now: number): void {
  const meter = step.counters.get(event.unit)?.meter ?? new Meter()
  meter.add(now, event.done)
  step.counters.set(event.unit, { done: event.done, total: event.total, unit: event.unit, item: event.item, meter })
}
