import { formatDuration } from '../base/units.ts'
import type { RunEvent } from '../run/events.ts'

export interface StepTime {
  readonly step: string
  readonly title: string
  readonly seconds: number
}

/** How long what took, and what follows from it for a real move or a disaster. Seconds. */
export interface RehearsalTimes {
  readonly steps: readonly StepTime[]
  /** Recovery time: from the first byte that is saved until the new host is ready for customers. */
  readonly rtoSeconds: number
  /** Recovery point: how old the newest order on the new host is by then. */
  readonly rpoSeconds: number
}

/** Listens to a run's events and adds up the times. */
export class Stopwatch {
  readonly #titles = new Map<string, string>()
  readonly #begun = new Map<string, number>()
  readonly #steps: StepTime[] = []
  #end = 0

  hear(event: RunEvent): void {
    if (event.step === null) return
    const at = Date.parse(event.time)
    if (event.event === 'started') {
      this.#titles.set(event.step, event.title ?? event.step)
      if (!this.#begun.has(event.step)) this.#begun.set(event.step, at)
    }
    if (event.event !== 'done') return
    this.#steps.push({ step: event.step, title: this.#titles.get(event.step) ?? event.step, seconds: event.seconds })
    this.#end = Math.max(this.#end, at)
  }

  times(): RehearsalTimes {
    const since = (pattern: RegExp): number => {
      const starts = [...this.#begun].filter(([step]) => pattern.test(step)).map(([, at]) => at)
      return starts.length === 0 ? 0 : Math.max(0, (this.#end - Math.min(...starts)) / 1000)
    }
    return { steps: this.#steps, rtoSeconds: since(/^(snapshot|restore)-/), rpoSeconds: since(/^snapshot-database/) }
  }
}

/** For people. */
export function timesText({ steps, rtoSeconds, rpoSeconds }: RehearsalTimes, leftOut: readonly string[]): string {
  const width = Math.max(0, ...steps.map((each) => each.title.length))
  const line = (title: string, seconds: number): string => `  ${title.padEnd(width)}  ${formatDuration(seconds * 1000)}`
  return [
    'The rehearsal took:',
    ...steps.map((each) => line(each.title, each.seconds)),
    '',
    `From the first byte saved until the new host is ready: ${formatDuration(rtoSeconds * 1000)} (RTO, without DNS).`,
    `The newest order there is then ${formatDuration(rpoSeconds * 1000)} old (RPO): reconcile carries what came since, as long as the old host lives.`,
    ...(leftOut.length === 0 ? [] : [`Not rehearsed: ${leftOut.join(', ')}.`]),
    'What the rehearsal made on the new host has been removed.',
    '',
  ].join('\n')
}
