import type { RunEvent } from '../../run/events.ts'
import type { Ask } from '../../run/session.ts'
import type { Display } from './display.ts'
import { Meter } from './meter.ts'
import { eventLines, rateWords } from './words.ts'

export interface PlainOptions {
  readonly write: (text: string) => void
  readonly notice: (text: string) => void
  readonly verbose: boolean
  readonly ask?: Ask | undefined
  /** Breaks what is told between words, where a terminal is; a report is kept as it is, to be copied. */
  readonly fitted?: (text: string) => string
}

/** Between two lines of progress of one step, milliseconds. */
const PROGRESS_EVERY_MS = 10_000
const STEP_WIDTH = 18

/** Lines for a log: time, step, words. No line is ever taken back. */
export function plainDisplay({ write, notice, verbose, ask, fitted = (text) => text }: PlainOptions): Display {
  const progress = new Thinned()
  return {
    begin: () => undefined,
    checking: () => undefined,
    sink: (event) => {
      const lines = event.event === 'progress' ? progress.lines(event) : eventLines(event, verbose)
      const head = `${event.time.slice(11, 19)}  ${(event.step ?? '').padEnd(STEP_WIDTH)} `
      for (const line of lines) write(`${head}${line}\n`.replaceAll(/\n(?=.)/g, `\n${' '.repeat(head.length)}`))
    },
    tell: (event, text) => write(text === '' ? '' : `${event.event === 'report' ? text : fitted(text)}\n`),
    notice,
    ask,
    close: async () => undefined,
  }
}

/** Progress now and then, with the rate. */
class Thinned {
  readonly #last = new Map<string, number>()
  readonly #meters = new Map<string, Meter>()

  lines(event: RunEvent & { readonly event: 'progress' }): readonly string[] {
    const key = `${event.step} ${event.unit}`
    const at = Date.parse(event.time)
    const meter = this.#meters.get(key) ?? new Meter()
    this.#meters.set(key, meter)
    meter.add(at, event.done)
    if (at - (this.#last.get(key) ?? Number.NEGATIVE_INFINITY) < PROGRESS_EVERY_MS) return []
    this.#last.set(key, at)
    const rate = meter.rate === undefined || event.unit === 'seconds' ? '' : ` · ${rateWords(meter.rate, event.unit)}`
    return eventLines(event, false).map((line) => line + rate)
  }
}
