import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate rehearse`: everything up to the cutover, for real, where customers don't see it. */
export function addRehearse(program: Command, io: Io, finish: Finish): void {
  withFlags(
    program
      .command('rehearse <playbook>')
      .description('snapshot and restore for real into a scratch database and folder on the new host, measured, then removed'),
  )
    .option('--clean', 'only remove what a rehearsal that was killed left on the new host')
    .action(async (playbook: string, flags: Flags & { readonly clean?: boolean }) => {
      const { rehearse } = await import('../rehearse.ts')
      finish(await rehearse(playbook, { io, flags }, flags.clean ?? false))
    })
}
