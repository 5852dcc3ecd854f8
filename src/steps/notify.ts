import { createHash } from 'node:crypto'
import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Notice } from '../base/notice.ts'
import { inTime } from '../base/time-limit.ts'
import { retrying } from '../run/retry.ts'
import type { Step, StepRun } from '../run/step.ts'
import { missingPart, type NamedNotifier, type StepContext, type StepKind, type World } from './world.ts'

const optionsSchema = z.union([
  z.string().min(1),
  z.strictObject({
    text: z.string().min(1).describe('What they are told'),
    to: z
      .union([z.string(), z.array(z.string()).min(1)])
      .optional()
      .describe('Names of hooks in notify:; all when left out'),
  }),
])
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({ tell: z.string(), to: z.array(z.string()).readonly() }).readonly()
type Change = z.infer<typeof changeSchema>

/** For one receiver with all its tries, milliseconds: a message is never worth holding the run up for longer. */
const LIMIT_MS = 60_000

export const notifyKind: StepKind<Options> = {
  name: 'notify',
  summary: 'Tell people something at this point, by the hooks of notify:',
  options: optionsSchema,
  create: (options, { id, world }: StepContext): Step<Change> => {
    const { text, to } = typeof options === 'string' ? { text: options, to: undefined } : options
    const change: Change = { tell: text, to: to === undefined ? hooksOf(world).map(({ name }) => name) : [to].flat() }
    return {
      id,
      title: `Tell ${change.to.length === 0 ? 'people' : change.to.join(', ')}: ${firstLine(text)}`,
      phase: 'settle',
      change: changeSchema,
      check: async () => check(world, to === undefined ? undefined : [to].flat()),
      // What was told once is in the journal. One who was cut off may be told twice, which harms nobody.
      plan: async (run) => (run.history(change) === 'applied' ? [] : [change]),
      apply: (_change, run) => tellAll(id, change, world, run),
      verify: async () => [],
      // What was said can't be unsaid, and nothing was changed by saying it.
      undo: async () => undefined,
      describe: ({ to: names }) => `tell ${names.join(', ')}: ${firstLine(text)}`,
    }
  },
}

const hooksOf = ({ notifiers = [] }: World): readonly NamedNotifier[] => notifiers

function check(world: World, to: readonly string[] | undefined): readonly Finding[] {
  const known = hooksOf(world).map(({ name }) => name)
  if (known.length === 0) return [missingPart('notify', 'notify', 'notify: [{ mail: founder@shop.example, … }]')]
  return (to ?? []).filter((name) => !known.includes(name)).map((name) => unknownHook(name, known))
}

function unknownHook(name: string, known: readonly string[]): Finding {
  const near = nearest(name, known)
  return {
    severity: 'error',
    code: 'notify-hook-unknown',
    message: `The step notify is to tell "${name}", and no hook in notify: has this name.`,
    hint: near === undefined ? `The hooks are: ${known.join(', ')}.` : `Did you mean "${near}"?`,
    ending: 'usage',
  }
}

async function tellAll(id: string, { tell, to }: Change, world: World, run: StepRun): Promise<void> {
  const hooks = hooksOf(world).filter(({ name }) => to.includes(name))
  const notice: Notice = {
    id: createHash('sha256').update(`${id} ${tell}`).digest('hex').slice(0, 16),
    playbook: world.name,
    run: run.id,
    step: id,
    time: isoTime(run.clock.now()),
    topic: 'notify',
    severity: 'info',
    code: null,
    title: `${world.name}: ${firstLine(tell)}`,
    text: tell,
  }
  await Promise.all(hooks.map((hook) => tellOne(hook, notice, world, run)))
}

/** A message that can't be delivered is told, and the run goes on. */
async function tellOne({ name, notifier }: NamedNotifier, notice: Notice, world: World, run: StepRun): Promise<void> {
  const { clock, signal } = run
  const late = () => new MigrateError('notice-undelivered', `The ${notifier.label} took no message in time.`)
  try {
    await inTime({ clock, signal, ms: LIMIT_MS, late }, (stop) =>
      retrying(
        clock,
        stop,
        () => undefined,
        () => world.effects(`notify: ${name}`, () => notifier.send(notice, stop)),
      ),
    )
  } catch (error) {
    run.signal.throwIfAborted()
    const { code, hint } = error instanceof MigrateError ? error : { code: 'notice-undelivered', hint: undefined }
    run.emit({
      event: 'finding',
      severity: 'warning',
      code,
      message: `A message could not be delivered by ${name}: ${messageOf(error)}`,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

const LONGEST_LINE = 80
const firstLine = (text: string): string => {
  const line = text.trim().split('\n', 1)[0] ?? ''
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE - 1)}…` : line
}
