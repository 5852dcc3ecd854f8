import { MigrateError } from '../base/errors.ts'

export interface Stops {
  /** The first Ctrl-C, SIGTERM or hang-up: stop at the next safe point. */
  readonly interrupt: AbortSignal
  /** Ctrl-C after that: stop now. */
  readonly abort: AbortSignal
  /** Lets go of the signals. */
  dispose(): void
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Turns signals into two stops. A third ends the process at once; the journal is made for that too. Only Ctrl-C is said again by somebody who
 * means it: a window that is closed hangs up by its shell and by itself, and `timeout` or a service manager tells a process and its group.
 */
export function listenForSignals(notice: (text: string) => void, exit: (code: number) => never): Stops {
  const interrupt = new AbortController()
  const abort = new AbortController()
  const reason = new MigrateError('interrupted', 'Stopped, as asked.', { ending: 'interrupted', hint: 'Run again to resume.' })
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupt.signal.aborted && signal !== 'SIGINT') return
    if (!interrupt.signal.aborted) {
      notice('Stopping at the next safe point; press Ctrl-C again to stop now.')
      interrupt.abort(reason)
    } else if (!abort.signal.aborted) {
      notice('Stopping now. Run again to resume.')
      abort.abort(reason)
    } else exit(130)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return {
    interrupt: interrupt.signal,
    abort: abort.signal,
    dispose: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal)
    },
  }
}
