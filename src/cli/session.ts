import { styleText } from 'node:util'
import { type Clock, systemClock } from '../base/clock.ts'
import { playbookWords } from '../base/commands.ts'
import { askInTerminal } from './ask.ts'
import { asOwn, conclude } from './conclusion.ts'
import { speakingOf } from './display/commands.ts'
import type { Display } from './display/display.ts'
import { wrap } from './display/frame.ts'
import { jsonDisplay } from './display/json.ts'
import { legible } from './display/legible.ts'
import { noPassing, passingOn } from './display/passing.ts'
import { type PlainOptions, plainDisplay } from './display/plain.ts'
import type { PlanView } from './display/plan.ts'
import { saying } from './display/saying.ts'
import type { Flags } from './flags.ts'
import type { Io } from './io.ts'
import type { Prepared, Surroundings } from './prepare.ts'
import { listenForSignals } from './signals.ts'

/** How a command's events are best shown to a person. */
export type View = 'live' | 'back' | 'rehearsal' | 'demo' | 'text' | PlanView

/** Chooses between the three ways of showing: lines of JSON, a live screen, plain text. */
export async function displayFor(view: View, { flags, io, playbook }: Session): Promise<Display> {
  const fitted = (text: string): string => (io.isTerminal ? wrap(text, Math.max(40, io.stdout.columns ?? 80)).join('\n') : text)
  const notice = (text: string): void => void io.stderr.write(`${fitted(text)}\n`)
  const write = (text: string): void => void io.stdout.write(text)
  const display = flags.json
    ? jsonDisplay(write, (text) => notice(legible(text)))
    : saying(legible, await displayForPeople(view, { flags, io }, { fitted, notice, write }))
  return playbook === undefined ? display : speakingOf(playbookWords(playbook, flags), display)
}

async function displayForPeople(
  view: View,
  { flags, io }: Session,
  { fitted, notice, write }: Pick<Required<PlainOptions>, 'fitted' | 'notice' | 'write'>,
): Promise<Display> {
  const ask = io.isTerminal && !flags.yes ? askInTerminal : undefined
  const passing =
    io.isTerminal && flags.plain !== true
      ? passingOn(
          (text) => io.stderr.write(text),
          () => io.stderr.columns ?? 80,
        )
      : noPassing
  const verbose = flags.verbose ?? false
  if (view === 'plan' || view === 'check' || view === 'rollback' || view === 'reconcile') {
    const { planDisplay } = await import('./display/plan.ts')
    return planDisplay({
      write,
      notice,
      passing,
      verbose,
      ask,
      what: view,
      columns: io.isTerminal ? Math.max(40, io.stdout.columns ?? 80) : undefined,
      paint: (colour, text) => (io.isColoured ? styleText(colour, text, { validateStream: false }) : text),
    })
  }
  if (view !== 'text' && io.isTerminal && flags.plain !== true) {
    const { screenDisplay } = await import('./display/screen.ts')
    const work = view === 'back' ? 'rollback' : view === 'rehearsal' || view === 'demo' ? view : 'run'
    return screenDisplay({ output: io.stdout, notice, passing, clock: systemClock, coloured: io.isColoured, work, ask })
  }
  return plainDisplay({ write, notice, verbose, ask, fitted })
}

export interface Session {
  readonly io: Io
  readonly flags: Flags
  /** As the person named it: messages name commands that can be typed. */
  readonly playbook?: string
}

/** A command that works on a playbook's run: prepared, shown, stopped by signals, and always ended by `finished`. Returns the exit code. */
export async function withPlaybook(
  file: string,
  session: Session,
  view: View,
  work: (prepared: Prepared) => Promise<{ readonly exit: number }>,
): Promise<number> {
  return await withDisplay({ ...session, playbook: file }, view, async ({ display, clock }) => {
    const stops = listenForSignals(display.notice, process.exit)
    const surroundings: Surroundings = { clock, env: session.io.env, flags: session.flags, display, stops }
    try {
      // With it come the steps and all that they need: a command that reads a run's folder alone does without them.
      const { prepare } = await import('./prepare.ts')
      const prepared = await prepare(file, surroundings)
      try {
        return (await work(prepared)).exit
      } finally {
        await prepared.world.close()
      }
    } finally {
      stops.dispose()
    }
  })
}

/** Shows what `work` tells; when it throws, the error and `finished` are told here. */
export async function withDisplay(
  session: Session,
  view: View,
  work: (given: { readonly display: Display; readonly clock: Clock }) => Promise<number>,
): Promise<number> {
  const { flags, io } = session
  const clock = systemClock
  const started = clock.monotonic()
  const display = await displayFor(view, session)
  try {
    return await work({ display, clock })
  } catch (error) {
    if (flags.verbose && error instanceof Error) io.stderr.write(`${error.stack}\n`)
    return conclude(display, clock, started, asOwn(error))
  } finally {
    await display.close()
  }
}
