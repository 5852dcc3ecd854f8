import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate reconcile`: carries over what was still written on the old host. */
export function addReconcile(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('reconcile <playbook>').description('carry over what was still written on the old host'))
    .option('--dry-run', 'list what would be carried over, writing nothing')
    .action(async (playbook: string, flags: Flags & { readonly dryRun?: boolean }) => {
      const { withPlaybook } = await import('../session.ts')
      const { runSequence } = await import('../../run/runner.ts')
      const dryRun = flags.dryRun ?? false
      const view = dryRun ? 'plan' : 'live'
      finish(
        await withPlaybook(playbook, { io, flags }, view, ({ options }) =>
          runSequence({ ...options, dryRun, only: 'reconcile' }),
        ),
      )
    })
}
