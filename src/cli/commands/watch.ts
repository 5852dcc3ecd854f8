import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate watch`: the step watch-propagation again, after a run or beside it; it only looks. */
export function addWatch(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('watch <playbook>').description('watch again how customers move to the new host')).action(
    async (playbook: string, flags: Flags) => {
      const { withPlaybook } = await import('../session.ts')
      const { observeStep } = await import('../../run/observe.ts')
      finish(await withPlaybook(playbook, { io, flags }, 'live', ({ options }) => observeStep(options, 'watch-propagation')))
    },
  )
}
