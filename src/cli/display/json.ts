import type { RunEvent } from '../../run/events.ts'
import type { CommandEvent, Display } from './display.ts'

/** One event a line on stdout, and nothing else there. */
export function jsonDisplay(write: (line: string) => void, notice: (text: string) => void): Display {
  const print = (event: RunEvent | CommandEvent): void => write(`${JSON.stringify(event)}\n`)
  return {
    begin: () => undefined,
    checking: () => undefined,
    sink: print,
    tell: print,
    notice,
    ask: undefined,
    close: async () => undefined,
  }
}
