import { formatDuration } from '../base/units.ts'
import type { HeadroomWatch, RunEvent, Traffic } from './events.ts'
import type { Happening, Signal } from './tell-conditions.ts'

type Watch = RunEvent & { readonly event: 'watch' }

/** A headroom that lasts for less than this is told; one that would last for the other is safe again. */
const SOON_MS = 3_600_000
const SAFE_MS = 2 * SOON_MS
/** One look may go wrong by itself, in either direction. */
const LOOKS = 2
/** Resolvers may keep an answer for as long as its TTL, and many do for longer: an hour is long. */
const LAG_MS = 3_600_000
const MOST_NAMED = 5

/** What the watch's figures say that people should know, and when it is over: risen after two looks in a row, gone after two others. */
export class WatchConditions {
  readonly #headed: (title: string) => string
  readonly #looks = new Map<string, number>()
  /** Since when servers have been lagging, milliseconds, monotonic. */
  #laggingSince: number | undefined

  constructor(headed: (title: string) => string) {
    this.#headed = headed
  }

  hear(event: Watch, at: number): readonly Signal[] {
    return [
      ...this.#drained(event),
      ...event.headroom.flatMap((use) => this.#headroom(use, event)),
      ...(['old', 'new'] as const).flatMap((side) => this.#unanswered(side, event[side], event)),
      ...this.#carrying(event),
      ...this.#lagging(event, at),
    ]
  }

  #drained(event: Watch): readonly Signal[] {
    if (!event.drained) return [{ kind: 'gone', key: 'drained' }]
    const quiet = event.quiet === undefined ? '' : ` for ${formatDuration(event.quiet.seconds * 1000)}`
    const text = `The old host has got no order and no customer's hit${quiet}: it counts as drained.`
    return [
      { kind: 'gone', key: 'late' },
      { kind: 'risen', key: 'drained', happening: this.#about(event, 'drained', 'info', 'the old host is drained', text) },
    ]
  }

  #headroom(use: HeadroomWatch, event: Watch): readonly Signal[] {
    const side = use.host ?? 'old'
    const name = use.column === '' ? use.table : `${use.table}.${use.column}`
    // Each host's numbers have a gap of their own to stay in.
    const key = `headroom ${side} ${name}`
    const leftMs = use.runsOutAt === null ? Number.POSITIVE_INFINITY : Date.parse(use.runsOutAt) - Date.parse(event.time)
    if (BigInt(use.left) <= 0n) {
      const text = `The ${side} host has used up the numbers kept free for it in ${name}: its next ones are those that the other host gives out too. Such rows are found by reconcile, not lost.`
      return [this.#risen(`${key} gone`, event, 'headroom', 'error', `headroom used up: ${name}`, text)]
    }
    if (leftMs < SOON_MS) {
      const text = `At the present rate the headroom of ${name} is used up in ${formatDuration(leftMs)}, at ${use.runsOutAt} (${use.left} numbers left).\n→ Before that, the ${side} host's numbering is moved past the other one's where the account may do that; slowing the old host down helps too.`
      return [
        this.#risen(
          `${key} soon`,
          event,
          'headroom',
          'warning',
          `headroom of ${name} runs out in ${formatDuration(leftMs)}`,
          text,
        ),
      ]
    }
    if (leftMs < SAFE_MS) return []
    const over = this.#about(
      event,
      'headroom',
      'info',
      `headroom of ${name} is enough again`,
      `${use.left} numbers are left in ${name}.`,
    )
    return [{ kind: 'gone', key: `${key} `, over }]
  }

  #unanswered(side: 'old' | 'new', { unanswered = [] }: Traffic, event: Watch): readonly Signal[] {
    const key = `unanswered ${side}`
    const state = this.#settled(key, unanswered.length > 0)
    if (state === undefined) return []
    if (!state) {
      const over = this.#about(
        event,
        'unanswered',
        'info',
        `the ${side} host answers again`,
        `The watch gets answers from the ${side} host again.`,
      )
      return [{ kind: 'gone', key, over }]
    }
    const text = `The watch gets no answer from the ${side} host's ${unanswered.join(' and ')}. It goes on asking.${side === 'old' ? ' Until then the old host does not count as quiet.' : ' Customers may be on it: look at it.'}`
    const severity = side === 'new' ? 'error' : 'warning'
    return [this.#risen(key, event, 'unanswered', severity, `the ${side} host does not answer`, text)]
  }

  #carrying(event: Watch): readonly Signal[] {
    const state = event.carrying === undefined ? undefined : this.#settled('carrying', event.carrying.failing)
    if (state === undefined) return []
    if (!state) {
      const over = this.#about(
        event,
        'carrying',
        'info',
        'orders are carried over again',
        'New rows of the old host are carried over again.',
      )
      return [{ kind: 'gone', key: 'carrying', over }]
    }
    const last = event.carrying?.lastAt ?? null
    const text = `New rows of the old host can't be carried over at present${last === null ? '' : `, the last time it worked was ${last}`}. Nothing is lost: it is tried again by itself, and reconcile carries all that is left.`
    return [this.#risen('carrying', event, 'carrying', 'warning', 'orders of the old host are not carried over', text)]
  }

  #lagging(event: Watch, at: number): readonly Signal[] {
    const lagging = event.lagging ?? []
    if (lagging.length === 0) {
      this.#laggingSince = undefined
      return [{ kind: 'gone', key: 'lagging' }]
    }
    this.#laggingSince ??= at
    if (at - this.#laggingSince < LAG_MS) return []
    const named = lagging.slice(0, MOST_NAMED).map(({ server, says }) => `${server} says ${says}`)
    const rest = lagging.length > MOST_NAMED ? ` and ${lagging.length - MOST_NAMED} more` : ''
    const text = `${event.resolvers.agreed} of ${event.resolvers.total} name servers give the new address; for ${formatDuration(at - this.#laggingSince)} these have been late: ${named.join('; ')}${rest}. Customers behind them still come to the old host.`
    return [this.#risen('lagging', event, 'lagging', 'warning', 'name servers still give the old address', text)]
  }

  /** `undefined` until a state was seen at so many looks in a row. */
  #settled(key: string, state: boolean): boolean | undefined {
    const before = this.#looks.get(key) ?? 0
    const looks = state ? Math.max(0, before) + 1 : Math.min(0, before) - 1
    this.#looks.set(key, looks)
    return Math.abs(looks) >= LOOKS ? state : undefined
  }

  #risen(
    key: string,
    event: Watch,
    topic: Happening['topic'],
    severity: Happening['severity'],
    title: string,
    text: string,
  ): Signal {
    return { kind: 'risen', key, happening: this.#about(event, topic, severity, title, text) }
  }

  #about(event: Watch, topic: Happening['topic'], severity: Happening['severity'], title: string, text: string): Happening {
    return { topic, severity, code: null, step: event.step, title: this.#headed(title), text }
  }
}
