import { codeOf, MigrateError } from '../base/errors.ts'
import { runProgram } from '../base/program.ts'
import type { StepRun } from '../run/step.ts'

/** How long a command may take to end after it was asked to, seconds. */
const GRACE_SECONDS = 5

export interface CommandResult {
  readonly exit: number
  /** The last lines of what it wrote, oldest first. */
  readonly tail: readonly string[]
}

const TAIL_LINES = 10

/**
 * Runs a command with `sh -c` in `directory`, giving each line that it writes to `line`. Its whole process group is ended when the run's
 * signal aborts, and when this process dies, in whatever way: SIGTERM, and SIGKILL after 5 s. Throws the signal's reason in the first case.
 */
export async function runLocally(
  command: string,
  directory: string,
  run: StepRun,
  line: (text: string) => void,
): Promise<CommandResult> {
  const tail: string[] = []
  const take = (text: string): void => {
    line(text)
    tail.push(text)
    if (tail.length > TAIL_LINES) tail.shift()
  }
  try {
    const { exit } = await runProgram({
      program: 'sh',
      args: ['-c', command],
      directory,
      environment: { MIGRATE_RUN: run.id, MIGRATE_STATE: run.directory },
      graceSeconds: GRACE_SECONDS,
      signal: run.signal,
      line: take,
    })
    return { exit, tail }
  } catch (error) {
    if (codeOf(error) !== 'native-tool-not-started') throw error
    throw new MigrateError('command-not-started', `The command "${command}" could not be started.`, {
      cause: error,
      hint: 'Is there a shell (/bin/sh) on this machine?',
    })
  }
}
