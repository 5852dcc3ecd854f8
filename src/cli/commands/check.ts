import type { Command } from 'commander'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate check`: every problem and every risk at once, writing nothing. */
export function addCheck(program: Command, io: Io, finish: Finish): void {
  withFlags(
    program.command('check <playbook>').description('validate, connect, and report every problem and risk at once'),
  ).action(async (playbook: string, flags: Flags) => {
    const { withPlaybook } = await import('../session.ts')
    const { checkSequence } = await import('../../run/runner.ts')
    finish(await withPlaybook(playbook, { io, flags }, 'check', ({ options }) => checkSequence(options)))
  })
}
