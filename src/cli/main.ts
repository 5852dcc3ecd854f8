import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { systemClock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { boundYoungGeneration } from '../base/young-generation.ts'
import { addCheck } from './commands/check.ts'
import { addDemo } from './commands/demo.ts'
import { addInit } from './commands/init.ts'
import { addReconcile } from './commands/reconcile.ts'
import { addRehearse } from './commands/rehearse.ts'
import { addReport } from './commands/report.ts'
import { addRollback } from './commands/rollback.ts'
import { addRun } from './commands/run.ts'
import { addStatus } from './commands/status.ts'
import { addWatch } from './commands/watch.ts'
import { asOwn, conclude } from './conclusion.ts'
import { jsonDisplay } from './display/json.ts'
import { type Finish, flushed, type Io, processIo } from './io.ts'

const EXAMPLE = `
Example:
  $ migrate init shop.yml              asks, looks at both hosts, writes the playbook
  $ migrate check shop.yml             everything that could go wrong, before anything is done
  $ migrate run shop.yml --dry-run     the whole plan, writing nothing
  $ migrate run shop.yml               the migration; run it again to resume
  $ migrate rollback shop.yml          the way back

Exit codes: 0 done, 1 a step failed, 2 usage or playbook wrong, 3 waits for a person, 130 interrupted.`

/** The whole program: one command with its arguments. Resolves to the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  boundYoungGeneration()
  const io = processIo()
  let code = 0
  const program = programFor(io, (exit) => {
    code = exit
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    code = failed(error, args, io)
  }
  await Promise.all([flushed(io.stdout), flushed(io.stderr)])
  return code
}

function programFor(io: Io, finish: Finish): Command {
  const program = new Command('migrate')
    .description('Move a live shop to a new host while customers keep buying, and lose nothing.')
    .version(version(), '--version')
    .addHelpText('after', EXAMPLE)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: () => undefined })
  for (const add of [addInit, addCheck, addRun, addRehearse, addWatch, addReconcile, addRollback, addStatus, addReport, addDemo])
    add(program, io, finish)
  for (const command of program.commands) command.exitOverride().copyInheritedSettings(program)
  return program
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}

/** Errors that no command caught: wrong usage, or a fault of ours. `--json` has them on stdout like everything else. */
function failed(error: unknown, args: readonly string[], io: Io): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0
  const own = error instanceof CommanderError ? usageError(error) : asOwn(error)
  const toStdout = args.includes('--json') ? (line: string) => io.stdout.write(line) : () => undefined
  const toStderr = (text: string): void => void io.stderr.write(`${text}\n`)
  if (args.includes('--verbose') && !(error instanceof CommanderError) && error instanceof Error) toStderr(String(error.stack))
  const display = jsonDisplay(toStdout, toStderr)
  return conclude(display, systemClock, systemClock.monotonic(), own)
}

function usageError(error: CommanderError): MigrateError {
  // Without any command, commander's message is only "(outputHelp)".
  const message = error.code === 'commander.help' ? 'Say what to do: migrate COMMAND.' : error.message.replace(/^error: /, '')
  return new MigrateError('usage', message, { ending: 'usage', hint: 'See  migrate --help  or  migrate COMMAND --help.' })
}
