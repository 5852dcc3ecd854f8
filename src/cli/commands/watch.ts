import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate watch`: watch-propagation again, and the guard where the playbook has one, after a run or beside it; they only look. */
export function addWatch(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('watch <playbook>').description('watch again how customers move to the new host')).action(
    async (playbook: string, flags: Flags) => {
      const { withPlaybook } = await import('../session.ts')
      const { observeSteps } = await import('../../run/observe.ts')
      finish(
        await withPlaybook(playbook, { io, flags }, 'live', ({ options }) => {
          const guards = options.sequence.flat().filter(({ id }) => id === 'guard')
          return observeSteps(options, ['watch-propagation', ...guards.map(({ id }) => id)])
        }),
      )
    },
  )
}
