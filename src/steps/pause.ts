import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import type { Step } from '../run/step.ts'
import type { StepContext, StepKind } from './world.ts'

const optionsSchema = z.union([
  z.string().min(1),
  z.strictObject({ message: z.string().min(1).describe('What the person is to do or to decide') }),
])
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({ confirm: z.string() }).readonly()
type Change = z.infer<typeof changeSchema>

export const pauseKind: StepKind<Options> = {
  name: 'pause',
  summary: 'Wait until a person confirms',
  options: optionsSchema,
  create: (options, { id }: StepContext): Step<Change> => {
    const message = typeof options === 'string' ? options : options.message
    const change: Change = { confirm: message }
    return {
      id,
      title: `Wait for a person: ${message}`,
      phase: 'settle',
      change: changeSchema,
      check: async () => [],
      // Once confirmed it is in the journal, and nobody is asked again.
      plan: async (run) => (run.history(change) === 'applied' ? [] : [change]),
      apply: async (_change, run) => {
        const hint = 'Run again in a terminal and confirm, or with --yes, which confirms every pause.'
        if (await run.confirm(message, hint)) return
        throw new MigrateError('not-confirmed', `Not confirmed: ${message}`, {
          ending: 'waiting',
          hint: 'Run again when it is so: the run goes on here.',
        })
      },
      verify: async () => [],
      // Nothing was changed by asking.
      undo: async () => undefined,
      describe: () => `ask a person: ${message}`,
    }
  },
}
