import { createHash } from 'node:crypto'
import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import type { Shell } from '../files/port.ts'
import type { Step, StepRun } from '../run/step.ts'
import { type CommandResult, runLocally } from './local-command.ts'
import { durationMs } from './options.ts'
import { missingPart, type StepContext, type StepKind, type World } from './world.ts'

const optionsSchema = z.strictObject({
  command: z.string().min(1).describe('As a shell understands it'),
  on: z.enum(['here', 'old', 'new']).default('here').describe('Where it runs: on this machine, or over SSH on a host'),
  timeout: durationMs.optional().describe('It is ended when it takes longer'),
  repeatable: z.boolean().default(false).describe('May be run again when it is not known whether it took effect'),
  undo: z.string().min(1).optional().describe('A command that takes it back in a rollback'),
})
type Options = z.infer<typeof optionsSchema>

/** The command itself may hold a secret: the journal knows it by its hash. */
const changeSchema = z.object({ on: z.enum(['here', 'old', 'new']), commandSha256: z.string() }).readonly()
type Change = z.infer<typeof changeSchema>

export const runKind: StepKind<Options> = {
  name: 'run',
  summary: 'Run a command on this machine, or over SSH on a host',
  options: optionsSchema,
  create: runStep,
}

const MOST_TEXT = 2000

/**
 * A command of the user's own. The world can't be asked whether it took effect, so the journal is: once it ended well it isn't run
 * again; when a run was cut off in it a person decides, unless it is declared `repeatable`. One that ended badly is run again. A command on this
 * machine ends with migrate, however that ends; one on a host may go on by itself, which is said before it is run once more.
 */
function runStep(options: Options, { id, world, playbookDirectory }: StepContext): Step<Change> {
  const change: Change = { on: options.on, commandSha256: createHash('sha256').update(options.command).digest('hex') }
  const failedKey = `${id} failed`
  let cutOff = false
  const execute = (command: string, run: StepRun): Promise<void> =>
    world.effects(`run: ${id}`, () => runCommand(command, options, { id, world, playbookDirectory }, run))
  const step: Step<Change> = {
    id,
    title: `Run ${shortened(options.command)}${options.on === 'here' ? '' : ` on the ${options.on} host`}`,
    phase: 'settle',
    change: changeSchema,
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    check: async () =>
      options.on === 'here' || world[options.on].shell !== undefined
        ? []
        : [
            missingPart(
              id,
              `a shell on the ${options.on} host`,
              `${options.on}: { files: "sftp://site@${options.on}.example.com/site" }`,
            ),
          ],
    plan: async (run) => {
      const history = run.history(change)
      cutOff = history === 'begun' && run.recall(failedKey) !== change.commandSha256
      return history === 'applied' ? [] : [change]
    },
    apply: async (_change, run) => {
      if (cutOff && !(await runAgain(id, options, world, run))) return
      cutOff = false
      if (run.recall(failedKey) !== undefined) await run.remember(failedKey, null)
      try {
        await execute(options.command, run)
      } catch (error) {
        if (!run.signal.aborted) await run.remember(failedKey, change.commandSha256)
        throw error
      }
    },
    verify: async () => [],
    describe: () => `${options.on === 'here' ? 'here' : `on the ${options.on} host`}: ${shortened(options.command)}`,
  }
  const { undo } = options
  return undo === undefined ? step : { ...step, undo: (_change, run) => execute(undo, run) }
}

async function runAgain(id: string, options: Options, world: World, run: StepRun): Promise<boolean> {
  const cut = `${id} was cut off while its command ran (${shortened(options.command)})`
  const where = options.on === 'here' ? undefined : (world[options.on].shell?.label ?? `the ${options.on} host`)
  const state =
    where === undefined
      ? 'it was ended then, but may have taken effect, in part or whole'
      : `it may have taken effect, and may still be running on ${where}`
  const look = where === undefined ? '' : `Look on ${where} first, and wait or end it there. `
  const hint = `${look}Say no if it took effect: the run then goes on after it. A command that may always be run again can be declared \`repeatable: true\`.`
  if (!options.repeatable && !(await run.confirm(`${cut}; ${state}. Run it again?`, hint))) return false
  run.emit({
    event: 'finding',
    severity: where === undefined ? 'info' : 'warning',
    code: 'command-run-again',
    message: `${cut}; ${state}. It is run again${options.repeatable ? ', as it is declared repeatable' : ''}.`,
  })
  return true
}

async function runCommand(
  command: string,
  options: Options,
  { id, world, playbookDirectory }: { readonly id: string; readonly world: World; readonly playbookDirectory: string },
  run: StepRun,
): Promise<void> {
  const note = (text: string): void => run.emit({ event: 'note', message: clipped(text) })
  const shell = options.on === 'here' ? undefined : world[options.on].shell
  if (options.on !== 'here' && shell === undefined) {
    throw new MigrateError('shell-missing', `There is no way to run a command on the ${options.on} host.`, {
      hint: 'It needs files over SFTP with an account that has a shell.',
    })
  }
  const result =
    shell === undefined ? await runLocally(command, playbookDirectory, run, note) : await runOver(shell, command, run, note)
  if (result.exit === 0) return
  const where = shell === undefined ? '' : ` on ${shell.label}`
  const said =
    result.tail.length === 0 ? 'It wrote nothing.' : `Its last lines:\n${result.tail.map((line) => `  ${line}`).join('\n')}`
  throw new MigrateError('command-failed', `The command of ${id}${where} ended with exit code ${result.exit}. ${said}`, {
    hint: 'Mend what it complains of, then run again: it is run anew.',
  })
}

async function runOver(shell: Shell, command: string, run: StepRun, note: (text: string) => void): Promise<CommandResult> {
  const { exit, stdout, stderr } = await shell.run(command, run.signal)
  const lines = `${stdout}\n${stderr}`.split(/\r?\n/).filter((line) => line !== '')
  for (const line of lines) note(line)
  return { exit, tail: lines.slice(-10) }
}

const shortened = (command: string): string => {
  const line = command.replace(/\s+/g, ' ').trim()
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}

const clipped = (text: string): string => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)} …` : text)
