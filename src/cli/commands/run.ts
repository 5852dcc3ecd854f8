import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

interface RunFlags extends Flags {
  readonly dryRun?: boolean
  readonly from?: string
  readonly until?: string
  readonly only?: string
  readonly fresh?: boolean
}

/** `migrate run`: the migration. */
export function addRun(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('run <playbook>').description('the migration; resumes an unfinished run by itself'))
    .option('--dry-run', 'the whole plan with sizes, SQL and DNS changes, writing nothing')
    .option('--from <step>', 'begin with this step')
    .option('--until <step>', 'end after this step')
    .option('--only <step>', 'this step alone')
    .option('--fresh', 'keep an earlier run aside and begin a new one')
    .action(async (playbook: string, flags: RunFlags) => {
      const { withPlaybook } = await import('../session.ts')
      const { runSequence } = await import('../../run/runner.ts')
      const { dryRun = false, fresh = false, from, until, only } = flags
      const view = dryRun ? 'plan' : 'live'
      finish(
        await withPlaybook(playbook, { io, flags }, view, ({ options }) =>
          runSequence({ ...options, dryRun, fresh, from, until, only }),
        ),
      )
    })
}
