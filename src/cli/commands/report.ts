import { resolve } from 'node:path'
import type { Command } from 'commander'
import { isoTime } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { type Flags, stateDirectory, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate report`: time log and post-mortem as Markdown, from the journal alone. */
export function addReport(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('report <playbook>').description('time log and post-mortem as Markdown')).action(
    async (playbook: string, flags: Flags) => {
      const { withDisplay } = await import('../session.ts')
      const { concluded } = await import('../conclusion.ts')
      const { loadPlaybookName } = await import('../../playbook/name.ts')
      const { reportOf } = await import('../../report/index.ts')
      const code = await withDisplay({ io, flags, playbook }, 'text', async ({ display, clock }) => {
        const started = clock.monotonic()
        const name = await loadPlaybookName(playbook)
        const markdown = await reportOf(stateDirectory(flags, resolve(playbook), name))
        if (markdown === undefined) throw noRun(name)
        display.tell({ time: isoTime(clock.now()), run: null, step: null, event: 'report', markdown }, markdown.trimEnd())
        return concluded(display, clock, started)
      })
      finish(code)
    },
  )
}

const noRun = (name: string): MigrateError =>
  new MigrateError('run-missing', `There is no run of ${name} yet, so there is nothing to report.`, {
    ending: 'usage',
    hint: 'Begin with  migrate run PLAYBOOK, or name the folder of the run with --state DIR.',
  })
