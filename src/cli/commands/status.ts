import { resolve } from 'node:path'
import type { Command } from 'commander'
import { isoTime } from '../../base/clock.ts'
import { playbookWords } from '../../base/commands.ts'
import { type Flags, stateDirectory, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate status`: where the run stands, from its folder alone. */
export function addStatus(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('status <playbook>').description('where the run stands, from its folder alone')).action(
    async (playbook: string, flags: Flags) => {
      const { withDisplay } = await import('../session.ts')
      finish(
        await withDisplay({ io, flags, playbook }, 'text', async ({ display, clock }) => {
          const { concluded } = await import('../conclusion.ts')
          const { loadPlaybookName } = await import('../../playbook/name.ts')
          const { readStatus } = await import('../../run/status.ts')
          const { isLocked } = await import('../../run/lock.ts')
          const { statusText } = await import('../status-text.ts')
          const started = clock.monotonic()
          const name = await loadPlaybookName(playbook)
          const directory = stateDirectory(flags, resolve(playbook), name)
          const status = await readStatus(directory)
          const atWork = await isLocked(directory)
          const run = status.state === 'run' ? status.run : null
          display.tell(
            { time: isoTime(clock.now()), run, step: null, event: 'status', directory, atWork, status },
            statusText(status, name, playbookWords(playbook, flags), atWork),
          )
          return concluded(display, clock, started)
        }),
      )
    },
  )
}
