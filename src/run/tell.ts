import type { Clock } from '../base/clock.ts'
import type { MigrateError } from '../base/errors.ts'
import type { Notice } from '../base/notice.ts'
import type { EventBody, RunEvent } from './events.ts'
import { toldKey } from './history.ts'
import type { JournalRecord } from './records.ts'
import type { Step } from './step.ts'
import { Conditions, type Happening, type Signal } from './tell-conditions.ts'
import { type Hook, Outbox } from './tell-outbox.ts'

/** How long the end of a command waits for messages that are on their way. */
const PATIENCE_MS = 20_000
/** From here on it is said that something is waited for. */
const NOTICEABLE_MS = 2000

/** Codes of our own trouble in telling: telling of it the same way would lead nowhere. */
const OWN_CODES: ReadonlySet<string> = new Set(['notice-undelivered', 'notice-refused', 'notice-channel-unreachable'])

export interface TellerOptions {
  readonly hooks: readonly Hook[]
  readonly clock: Clock
  readonly playbook: string
  readonly run: string
  readonly steps: readonly Step[]
  /** What earlier processes of the run told: hook's name and condition, as `toldKey` joins them. */
  readonly told: ReadonlySet<string>
  /** Leaves a line for the journal. Must not throw. */
  record(record: JournalRecord): void
  /** Tells whoever looks at the screen. */
  emit(body: EventBody): void
}

/**
 * Tells people of what happens, by the playbook's hooks: each condition once until it is over, also over several processes. Never throws,
 * never blocks; what couldn't be delivered is a finding of the run.
 */
export class Teller {
  readonly #options: TellerOptions
  readonly #conditions: Conditions
  readonly #outboxes: readonly Outbox[]
  /** Told, or on its way. */
  readonly #told: Set<string>
  #count = 0

  constructor(options: TellerOptions) {
    this.#options = options
    this.#conditions = new Conditions(options.playbook, options.steps)
    this.#told = new Set(options.told)
    this.#outboxes = options.hooks.map(
      (hook) =>
        new Outbox(hook, options.clock, {
          delivered: (key) => options.record({ type: 'notice-told', hook: hook.name, key }),
          failed: (error, count) => this.#tellFailure(hook, error, count),
        }),
    )
  }

  hear(event: RunEvent): void {
    if (event.event === 'finding' && OWN_CODES.has(event.code)) return
    for (const signal of this.#conditions.hear(event, this.#options.clock.monotonic())) this.#take(signal, event)
  }

  /** Waits for what is on its way, for a while; not once `abort` comes. */
  async settle(abort: AbortSignal): Promise<void> {
    if (this.#outboxes.every((outbox) => outbox.isIdle)) return
    const { clock, emit } = this.#options
    const over = new AbortController()
    const patience = new AbortController()
    const after = (ms: number, act: () => void): void => void clock.sleep(ms, over.signal).then(act, () => undefined)
    after(NOTICEABLE_MS, () =>
      emit({ event: 'note', message: 'Waiting until people have been told (Ctrl-C twice: not at all).' }),
    )
    after(PATIENCE_MS, () => patience.abort())
    const enough = AbortSignal.any([abort, patience.signal])
    try {
      await Promise.all(this.#outboxes.map((outbox) => outbox.settle(enough)))
    } finally {
      over.abort()
    }
  }

  #take(signal: Signal, event: RunEvent): void {
    if (signal.kind === 'gone') this.#forget(signal, event)
    else
      for (const outbox of this.#outboxes)
        if (outbox.hook.wants(signal.happening.topic, signal.happening.code))
          this.#tell(outbox, signal.key, signal.happening, event)
  }

  #tell(outbox: Outbox, key: string, happening: Happening, event: RunEvent): void {
    const told = toldKey(outbox.hook.name, key)
    if (this.#told.has(told)) return
    this.#told.add(told)
    outbox.put(key, this.#notice(happening, event))
  }

  #forget({ key, over }: Extract<Signal, { kind: 'gone' }>, event: RunEvent): void {
    const keys = new Set<string>()
    for (const outbox of this.#outboxes) {
      const ours = [...this.#told].filter((told) => told.startsWith(toldKey(outbox.hook.name, key)))
      for (const told of ours) {
        this.#told.delete(told)
        keys.add(told.slice(toldKey(outbox.hook.name, '').length))
      }
      if (ours.length > 0 && over !== undefined) outbox.put(`${key} over`, this.#notice(over, event))
    }
    for (const gone of keys) this.#options.record({ type: 'notice-over', key: gone })
  }

  #notice({ topic, severity, code, step, title, text }: Happening, { time }: RunEvent): Notice {
    const { playbook, run } = this.#options
    this.#count += 1
    return { id: `${time} ${this.#count}`, playbook, run, step, time, topic: topic ?? 'finding', severity, code, title, text }
  }

  #tellFailure(hook: Hook, { code, message, hint }: MigrateError, count: number): void {
    const finding = {
      severity: 'warning',
      code,
      message: `${count === 1 ? 'A message' : `${count} messages`} could not be delivered by ${hook.name}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    } as const
    this.#options.emit({ event: 'finding', ...finding })
    this.#options.record({ type: 'finding', step: null, ...finding })
  }
}
