import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Io } from '../io.ts'
import type { Finish } from '../main.ts'

/** `migrate rollback`: takes back what a run did, newest first. */
export function addRollback(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('rollback <playbook>').description('take back what a run did, newest first'))
    .option('--dry-run', 'list what would be taken back, writing nothing')
    .action(async (playbook: string, flags: Flags & { readonly dryRun?: boolean }) => {
      const { withPlaybook } = await import('../session.ts')
      const { rollback } = await import('../../run/undo.ts')
      const dryRun = flags.dryRun ?? false
      finish(
        await withPlaybook(playbook, { io, flags }, dryRun ? 'plan' : 'live', ({ options }) => rollback({ ...options, dryRun })),
      )
    })
}
