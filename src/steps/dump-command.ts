import { MigrateError } from '../base/errors.ts'
import { runProgram } from '../base/program.ts'
import type { StepRun } from '../run/step.ts'
import type { Host } from './world.ts'

export interface DumpCommand {
  readonly command: string
  /** Where it runs: the playbook's folder. */
  readonly directory: string
  /** The snapshot's folder. */
  readonly snapshot: string
  /** Whose database it is about. */
  readonly host: Host
  /** The step, for messages; what was left as it was. */
  readonly step: string
  readonly untouched: string
}

const LONGEST_NOTE = 2000

/**
 * Runs a command of the founder's own on this machine with `sh -c`. It finds the snapshot's folder and the database in MIGRATE_SNAPSHOT,
 * MIGRATE_HOST, MIGRATE_PORT, MIGRATE_USER, MIGRATE_PASSWORD and MIGRATE_DATABASE. It ends with the run: within two seconds when that
 * is aborted, and when it is killed. Throws `command-failed` with its last lines unless it ends with 0.
 */
export async function runDumpCommand(options: DumpCommand, run: StepRun): Promise<void> {
  const { command, directory, snapshot, host, step, untouched } = options
  const end = await runProgram({
    program: '/bin/sh',
    args: ['-c', command],
    directory,
    environment: {
      ...host.databaseEnvironment?.(),
      MIGRATE_SNAPSHOT: snapshot,
      MIGRATE_RUN: run.id,
      MIGRATE_STATE: run.directory,
    },
    signal: run.signal,
    line: (text) => run.emit({ event: 'note', message: text.slice(0, LONGEST_NOTE) }),
  })
  if (end.exit === 0) return
  const said = [end.stdout, end.stderr].filter((text) => text !== '').join('\n')
  throw new MigrateError(
    'command-failed',
    `The command of ${step} ended with exit code ${end.exit}. ${untouched} ${said === '' ? 'It wrote nothing.' : `Its last lines:\n${said}`}`,
    { hint: 'Mend what it complains of, then run again: it is run anew.' },
  )
}
