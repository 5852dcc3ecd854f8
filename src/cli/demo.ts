import { type Clock, isoTime } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'
import type { DemoResult } from '../demo/index.ts'
import type { Outcome, RunEvent } from '../run/events.ts'
import type { Display } from './display/display.ts'
import type { Flags } from './flags.ts'
import { prepare } from './prepare.ts'
import { displayFor, type Session, withDisplay } from './session.ts'
import { listenForSignals, type Stops } from './signals.ts'

export interface DemoFlags extends Flags {
  readonly seed?: number
  readonly customers?: number
}

/** `migrate demo`: plays hosts and customers, runs the real migration between them, and shows both. Returns the exit code. */
export async function showDemo(session: Session & { readonly flags: DemoFlags }): Promise<number> {
  const { flags } = session
  return await withDisplay(session, 'text', async ({ display, clock }) => {
    const { runDemo } = await import('../demo/index.ts')
    const started = clock.monotonic()
    const stops = listenForSignals(display.notice, process.exit)
    const stamp = () => ({ time: isoTime(clock.now()), run: null, step: null })
    try {
      const result = await runDemo({
        clock,
        interrupt: stops.interrupt,
        say: (line) => display.tell({ ...stamp(), event: 'note', message: line }, line),
        move: (playbook, environment) => move(playbook, environment, session, { clock, stops }),
        ...(flags.seed === undefined ? {} : { seed: flags.seed }),
        ...(flags.customers === undefined ? {} : { customers: flags.customers }),
      })
      display.tell({ ...stamp(), event: 'receipts', ...reckoning(result) }, `\n${result.words.join('\n')}`)
      const seconds = (clock.monotonic() - started) / 1000
      display.tell(
        { ...stamp(), event: 'finished', outcome: outcomeOf(result.exit), exit: result.exit, seconds },
        `The demo took ${formatDuration(seconds * 1000)}.${result.exit === 0 ? '\nA shop of your own begins with:  migrate init shop.yml' : ''}`,
      )
      return result.exit
    } finally {
      stops.dispose()
    }
  })
}

/** As `migrate run` does it without a terminal: nothing is asked, the safe answer is taken. */
async function move(
  playbook: string,
  env: Readonly<Record<string, string>>,
  session: Session,
  { clock, stops }: { readonly clock: Clock; readonly stops: Stops },
): Promise<number> {
  const { runSequence } = await import('../run/runner.ts')
  const { flags } = session
  const shown = await displayFor('demo', session)
  const display = flags.json ? withoutFinished(shown) : shown
  try {
    const prepared = await prepare(playbook, { clock, env, flags, display, stops })
    try {
      return (await runSequence({ ...prepared.options, yes: false, ask: undefined })).exit
    } finally {
      await prepared.world.close()
    }
  } finally {
    await display.close()
  }
}

/** `finished` is the last line of a command, and the demo goes on after the run. */
const withoutFinished = (display: Display): Display => ({
  ...display,
  sink: (event: RunEvent) => {
    if (event.event !== 'finished') display.sink(event)
  },
})

function outcomeOf(exit: number): Outcome {
  if (exit === 0) return 'ok'
  return exit === 130 ? 'interrupted' : exit === 3 ? 'waiting' : 'failed'
}

const reckoning = ({ check, carried, takings }: DemoResult) => ({
  receipts: check?.receipts ?? null,
  good: check?.good ?? null,
  carried,
  faults: check?.faults.map(({ receipt, fault }) => ({ order: receipt.order, email: receipt.email, fault })) ?? [],
  failedPurchases: takings.failures.length,
})
