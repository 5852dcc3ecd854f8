import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

const WATCHING: readonly string[] = ['watch-propagation', 'guard']

/** `migrate watch`: watch-propagation again, and the guard where the playbook has one, after a run or beside it; they only look. */
export function addWatch(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('watch <playbook>').description('watch again how customers move to the new host')).action(
    async (playbook: string, flags: Flags) => {
      const { withPlaybook } = await import('../session.ts')
      const { observeSteps } = await import('../../run/observe.ts')
      finish(
        await withPlaybook(playbook, { io, flags }, 'live', ({ options, playbook: { name }, display }) => {
          const watching = options.sequence.flat().filter(({ id }) => WATCHING.includes(id))
          // The steps that led here aren't gone through again, so they aren't shown.
          display.begin({ name, playbook, sequence: [watching] })
          return observeSteps(options, ['watch-propagation', ...watching.map(({ id }) => id)])
        }),
      )
    },
  )
}
