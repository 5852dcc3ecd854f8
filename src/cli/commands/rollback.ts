import type { Command } from 'commander'
import type { RunResult } from '../../run/command.ts'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'
import type { Prepared } from '../prepare.ts'

/** `migrate rollback`: takes back what a run did, newest first; after the cutover, without losing what the new host got. */
export function addRollback(program: Command, io: Io, finish: Finish): void {
  withFlags(
    program
      .command('rollback <playbook>')
      .description('take back what a run did, newest first; after the cutover: DNS back, and the new orders with it'),
  )
    .option('--dry-run', 'list what would be taken back, writing nothing')
    .action(async (playbook: string, flags: Flags & { readonly dryRun?: boolean }) => {
      const { withPlaybook } = await import('../session.ts')
      const dryRun = flags.dryRun ?? false
      finish(await withPlaybook(playbook, { io, flags }, dryRun ? 'rollback' : 'back', (prepared) => takeBack(prepared, dryRun)))
    })
}

async function takeBack(prepared: Prepared, dryRun: boolean): Promise<RunResult> {
  const { options } = prepared
  const { readHistory } = await import('../../run/state.ts')
  const { history } = await readHistory(options.directory)
  if (history.wasCutOver) {
    const { goBack } = await import('../way-back.ts')
    return await goBack(prepared, dryRun)
  }
  const { rollback } = await import('../../run/undo.ts')
  return await rollback({ ...options, dryRun })
}
