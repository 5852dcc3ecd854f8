import { styleText } from 'node:util'
import { DefaultRenderer, Listr } from 'listr2'
import type { Clock } from '../../base/clock.ts'
import type { RunEvent } from '../../run/events.ts'
import type { Ask } from '../../run/session.ts'
import type { Display, ShowOptions } from './display.ts'
import { type FrameOptions, frame, type Paint, wrap } from './frame.ts'
import { ScreenModel, type Work } from './model.ts'
import type { Passing } from './passing.ts'

export interface ScreenOptions {
  readonly output: NodeJS.WriteStream
  /** Shows what is looked at before the screen is there. */
  readonly passing: Passing
  /** Where words go that come when the screen isn't there. */
  readonly notice: (text: string) => void
  readonly clock: Clock
  readonly coloured: boolean
  readonly work: Work
  /** Asks while the screen stands aside. */
  readonly ask: Ask | undefined
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** The live view in a terminal. listr2 draws and redraws it; what it shows comes from the events alone. */
export function screenDisplay(options: ScreenOptions): Display {
  const paint: Paint = (colour, text) => (options.coloured ? styleText(colour, text, { validateStream: false }) : text)
  let model: ScreenModel | undefined
  let shown: Shown | undefined
  let begun: ShowOptions | undefined

  const start = (): void => {
    if (model) shown = show(model, { ...options, paint })
  }
  const stop = async (keep: boolean): Promise<void> => {
    const ending = shown
    shown = undefined
    await ending?.end(keep)
  }

  return {
    begin: (given) => {
      begun = given
    },
    sink: (event: RunEvent) => {
      if (begun && !model) {
        options.passing(undefined)
        model = new ScreenModel(begun.name, begun.playbook, begun.sequence, options.work)
        start()
      }
      model?.add(event)
    },
    checking: (what) => {
      if (model && shown) model.checking = what
      else options.passing(what)
    },
    tell: (_event, text) => {
      options.passing(undefined)
      const lines = wrap(text, Math.max(40, options.output.columns ?? 80))
      if (text !== '') options.output.write(`${lines.join('\n')}\n`)
    },
    notice: (text) => {
      if (model && shown) model.notice = text
      else {
        options.passing(undefined)
        options.notice(text)
      }
    },
    ask:
      options.ask &&
      (async (question, hint) => {
        await stop(false)
        try {
          return (await options.ask?.(question, hint)) ?? false
        } finally {
          start()
        }
      }),
    close: async () => {
      options.passing(undefined)
      await stop(true)
    },
  }
}

interface Shown {
  /** Takes the view away; `keep` leaves its last state in the terminal. */
  end(keep: boolean): Promise<void>
}

function show(model: ScreenModel, options: ScreenOptions & { readonly paint: Paint }): Shown {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let mode: 'live' | 'keep' | 'clear' = 'live'
  let turn = 0

  const draw = (final: boolean): string => {
    if (final && mode === 'clear') return ''
    turn += 1
    const size: FrameOptions = {
      columns: Math.max(40, options.output.columns ?? 80),
      spinner: SPINNER[turn % SPINNER.length] ?? '-',
      now: options.clock.now(),
      paint: options.paint,
    }
    // Two rows stay free: one that reaches the last row scrolls at every redraw.
    const lines = frame(model, final ? size : { ...size, rows: Math.max(8, (options.output.rows ?? 24) - 2) })
    return final ? [...lines, ''].join('\n') : lines.join('\n')
  }

  class Renderer extends DefaultRenderer {
    override create(parts?: { prompt?: boolean }): string {
      return draw(parts?.prompt === false)
    }
  }

  const tasks = model.steps.map((step) => ({ title: step.title, task: () => ended }))
  const list = new Listr(tasks, {
    concurrent: true,
    exitOnError: false,
    // Otherwise it ends the process on Ctrl-C, whatever is in hand.
    registerSignalListeners: false,
    renderer: Renderer,
    fallbackRenderer: Renderer,
  })
  const running = list.run()
  return {
    end: async (keep) => {
      mode = keep ? 'keep' : 'clear'
      end()
      await running
    },
  }
}
