import type { RunResult } from '../run/command.ts'
import type { EventSink } from '../run/events.ts'

/** Several parts of one command end with one `finished`. */
export const withoutEnd =
  (sink: EventSink): EventSink =>
  (event) => {
    if (event.event !== 'finished') sink(event)
  }

export const endOf = ({ outcome, exit, seconds }: RunResult) => ({ outcome, exit, seconds })
