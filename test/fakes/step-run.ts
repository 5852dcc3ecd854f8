import { type Clock, systemClock } from '../../src/base/clock.ts'
import { canonicalJson, type Json } from '../../src/base/json.ts'
import type { EventBody } from '../../src/run/events.ts'
import { directly, type Effects, type Step, type StepRun } from '../../src/run/step.ts'
import type { Host, StepContext, TableRules, World } from '../../src/steps/world.ts'

/** A run that keeps its journal in memory: what it was told, asked and shown can be looked at. */
export class TestRun implements StepRun {
  readonly id = 'run-1'
  readonly clock: Clock
  readonly directory: string
  dryRun = false
  named = false
  signal: AbortSignal = new AbortController().signal
  /** What the person says to every question. */
  answer = true
  /** True once the step said that another may begin beside it. */
  handedOver = false
  /** Whether the step that this one follows is still at work. */
  following = false
  readonly facts = new Map<string, Json>()
  readonly events: EventBody[] = []
  readonly questions: string[] = []
  readonly journal = new Map<string, 'begun' | 'applied'>()

  constructor(directory: string, clock: Clock = systemClock) {
    this.directory = directory
    this.clock = clock
  }

  emit(body: EventBody): void {
    this.events.push(body)
  }

  progress(done: number, total: number | null, unit: 'rows', item?: string): void {
    this.emit({ event: 'progress', done, total, unit, ...(item === undefined ? {} : { item }) })
  }

  async remember(key: string, value: Json): Promise<void> {
    this.facts.set(key, structuredClone(value))
  }

  recall(key: string): Json | undefined {
    return this.facts.get(key)
  }

  history(change: Json): 'never' | 'begun' | 'applied' {
    return this.journal.get(canonicalJson(change)) ?? 'never'
  }

  async confirm(question: string): Promise<boolean> {
    this.questions.push(question)
    return this.answer
  }

  handOver(): boolean {
    this.handedOver = true
    return this.following
  }

  isFollowing(): boolean {
    return this.following
  }
}

/** Plans and applies as the runner does, each change read back from JSON; returns what was planned. */
export async function perform(step: Step, run: TestRun): Promise<readonly Json[]> {
  const planned = await step.plan(run)
  for (const change of planned) {
    const restored = step.change.parse(JSON.parse(JSON.stringify(change)))
    run.journal.set(canonicalJson(change), 'begun')
    await step.apply(restored, run)
    run.journal.set(canonicalJson(change), 'applied')
  }
  return planned
}

/** Two steps as a run does them, `next` beside `first` from its first word on. */
export async function sideBySide(run: TestRun, first: () => Promise<unknown>, next: () => Promise<unknown>): Promise<void> {
  run.following = true
  const { promise: handedOver, resolve } = Promise.withResolvers<void>()
  const handOver = run.handOver.bind(run)
  run.handOver = () => {
    resolve()
    return handOver()
  }
  const taken = first().finally(() => {
    run.following = false
  })
  await Promise.race([handedOver, taken])
  await Promise.all([taken, next()])
}

/** Takes changes back, newest first. */
export async function takeBack(step: Step, changes: readonly Json[], run: TestRun): Promise<void> {
  for (const change of changes.toReversed()) await step.undo?.(step.change.parse(JSON.parse(JSON.stringify(change))), run)
}

export const trackRules: TableRules = {
  mode: 'track',
  headroom: 'auto',
  conflict: 'park',
  add: [],
  match: [],
  ignore: [],
  columns: {},
  sums: [],
}

export interface TestWorldOptions {
  readonly old?: Partial<Host>
  readonly new?: Partial<Host>
  readonly tables?: Readonly<Record<string, Partial<TableRules>>>
  readonly effects?: Effects
}

export const testWorld = (options: TestWorldOptions): World => ({
  name: 'test',
  old: { side: 'old', connections: 2, ...options.old },
  new: { side: 'new', connections: 2, ...options.new },
  resolvers: () => [],
  tables: new Map(Object.entries(options.tables ?? {}).map(([name, rules]) => [name, { ...trackRules, ...rules }])),
  defaults: trackRules,
  references: [],
  noReferences: [],
  where: (path) => `playbook.yml ${path.join('.')}`,
  effects: options.effects ?? directly,
  close: async () => undefined,
})

export const testContext = (world: World, id: string, playbookDirectory = '/'): StepContext => ({
  id,
  world,
  playbookDirectory,
  playbookName: 'shop.yml',
  others: () => [],
  afterCutover: false,
})
