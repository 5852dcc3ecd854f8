import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import type { Notice } from '../base/notice.ts'
import { inTime } from '../base/time-limit.ts'
import { formatDuration } from '../base/units.ts'
import { retrying } from './retry.ts'

/** Who is told, of what, and by which channel (notices/port.ts). */
export interface Hook {
  /** Its name in the playbook; the journal knows it by that. */
  readonly name: string
  readonly label: string
  wants(topic: string | null, code: string | null): boolean
  send(notice: Notice, signal: AbortSignal): Promise<void>
}

/** Between two messages of one hook: what comes meanwhile goes together. */
const GAP_MS = 10_000
/** For one message with all its tries, and for each try. */
const LIMIT_MS = 60_000
const TRY_MS = 15_000
/** What waits at most; the oldest give way, and are counted. */
const MOST_WAITING = 100
const MOST_TOGETHER = 20

interface Waiting {
  readonly key: string
  readonly notice: Notice
}

export interface OutboxEvents {
  /** On its way to everybody no more: the receiver has it. */
  delivered(key: string): void
  /** Given up. Told once until a message gets through again. */
  failed(error: MigrateError, count: number): void
}

/** The messages of one hook, one after the other, beside the run's work: nothing waits for them until `settle`. */
export class Outbox {
  readonly hook: Hook
  readonly #clock: Clock
  readonly #events: OutboxEvents
  readonly #ended = new AbortController()
  readonly #hurry = new AbortController()
  #waiting: Waiting[] = []
  #dropped = 0
  #isFailing = false
  #working: Promise<void> | undefined

  constructor(hook: Hook, clock: Clock, events: OutboxEvents) {
    this.hook = hook
    this.#clock = clock
    this.#events = events
  }

  get isIdle(): boolean {
    return this.#working === undefined
  }

  put(key: string, notice: Notice): void {
    if (this.#ended.signal.aborted) return
    this.#waiting.push({ key, notice })
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting.shift()
      this.#dropped += 1
    }
    this.#working ??= this.#work()
  }

  /** Waits until all is delivered or given up, without the pauses between; not once `enough` aborts. Nothing is sent afterwards. */
  async settle(enough: AbortSignal): Promise<void> {
    this.#hurry.abort()
    const stop = (): void => this.#ended.abort(new MigrateError('notice-undelivered', 'there was no more time'))
    if (enough.aborted) stop()
    enough.addEventListener('abort', stop, { once: true })
    try {
      await this.#working
    } finally {
      enough.removeEventListener('abort', stop)
      this.#ended.abort()
    }
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_TOGETHER)
      try {
        await this.#deliver(
          together(
            batch.map(({ notice }) => notice),
            this.#dropped,
          ),
        )
        this.#dropped = 0
        this.#isFailing = false
        for (const { key } of batch) this.#events.delivered(key)
      } catch (error) {
        this.#giveUp(error, batch.length)
      }
      if (this.#waiting.length > 0) await this.#pause()
    }
    // In the same breath as the last look for messages: one that comes from here on is somebody's work again.
    this.#working = undefined
  }

  #giveUp(error: unknown, count: number): void {
    if (!this.#isFailing) this.#events.failed(asOwn(error, this.hook.label), count)
    this.#isFailing = true
    // Without time, there is none for the others either.
    if (this.#ended.signal.aborted) this.#waiting = []
  }

  async #deliver(notice: Notice): Promise<void> {
    await this.#inTime(LIMIT_MS, this.#ended.signal, (signal) =>
      retrying(
        this.#clock,
        signal,
        () => undefined,
        () => this.#inTime(TRY_MS, signal, (cut) => this.hook.send(notice, cut)),
      ),
    )
  }

  #inTime(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return inTime({ clock: this.#clock, signal, ms, late: () => tooLong(this.hook.label, ms) }, work)
  }

  async #pause(): Promise<void> {
    const cut = AbortSignal.any([this.#hurry.signal, this.#ended.signal])
    try {
      await this.#clock.sleep(GAP_MS, cut)
    } catch (error) {
      if (!cut.aborted) throw error
    }
  }
}

const tooLong = (label: string, ms: number): MigrateError =>
  new MigrateError('notice-undelivered', `The ${label} took no message within ${formatDuration(ms)}.`, {
    hint: 'Is the receiver up, and may this machine reach it?',
    retrySafe: true,
  })

const asOwn = (error: unknown, label: string): MigrateError =>
  error instanceof MigrateError
    ? error
    : new MigrateError('notice-undelivered', `The ${label} took no message: ${messageOf(error)}.`, { cause: error })

const RANK = { error: 2, warning: 1, info: 0 } as const

/** Several as one, the gravest first in its title. */
function together(notices: readonly Notice[], dropped: number): Notice {
  const gravest = [...notices].sort((a, b) => RANK[b.severity] - RANK[a.severity])[0]
  const [first] = notices
  if (gravest === undefined || first === undefined) throw new MigrateError('fault', 'A message about nothing was to be sent.')
  if (notices.length === 1 && dropped === 0) return first
  const more = notices.length - 1 + dropped
  const texts = notices.map(({ title, text, time }) => `${time.slice(11, 19)} UTC ${title}\n${text}`)
  const lost = dropped === 0 ? [] : [`And ${dropped} earlier ones, which were too many to be sent.`]
  return { ...gravest, title: `${gravest.title} (and ${more} more)`, text: [...texts, ...lost].join('\n\n') }
}
