import type { Command } from 'commander'
import { MigrateError } from '../../base/errors.ts'
import type { CommandOptions } from '../../run/command.ts'
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
        await withPlaybook(playbook, { io, flags }, view, async (prepared) => {
          const run = (options: CommandOptions) => runSequence({ ...options, dryRun, fresh, from, until, only })
          if (fresh) return await run(prepared.options)
          const onwards = async (options: CommandOptions) => {
            await refuseAfterWayBack(options.directory)
            return await run(options)
          }
          if (dryRun) return await onwards(prepared.options)
          const { runOrGoBack } = await import('../way-back.ts')
          const isWhole = [from, until, only].every((id) => id === undefined)
          return await runOrGoBack(prepared, { isWhole, run: onwards })
        }),
      )
    })
}

/**
 * After a way back from the cutover the old host numbers beyond the new one: going forward again in the same run would send
 * customers to numbers that the old host has given out.
 */
async function refuseAfterWayBack(directory: string): Promise<void> {
  const { readHistory } = await import('../../run/state.ts')
  const { hasGoneBack } = await import('../way-back.ts')
  const { history } = await readHistory(directory)
  if (!(await hasGoneBack(history))) return
  throw new MigrateError(
    'went-back',
    'This run was taken back after its cutover. The old host has gone on from there, and the numbers prepared on the new host don’t fit any more. Nothing was changed.',
    {
      ending: 'usage',
      hint: "To fetch orders that still arrived on the new host:  migrate rollback PLAYBOOK. To move again, empty the new host's database, then begin anew with --fresh.",
    },
  )
}
