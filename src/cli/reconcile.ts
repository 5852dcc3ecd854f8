import type { RunResult } from '../run/command.ts'
import { passOf } from '../steps/carry-files.ts'
import type { ReconcileFlags } from './commands/reconcile.ts'
import { decide, isBackAlready } from './deciding.ts'
import type { Io } from './io.ts'
import type { Prepared } from './prepare.ts'
import { withPlaybook } from './session.ts'

/** `migrate reconcile`: one pass, after what a person has decided about parked rows and files, where that was asked for. */
export async function reconcile(playbook: string, flags: ReconcileFlags, io: Io): Promise<number> {
  const dryRun = flags.dryRun ?? false
  return await withPlaybook(playbook, { io, flags }, dryRun ? 'reconcile' : 'live', async (prepared) => {
    if (flags.resolve === true || flags.decisions !== undefined) await decide(prepared, flags, io)
    // After the way back the old host is where customers are: there is nothing of it to follow.
    if (flags.follow !== true || (await isBackAlready(prepared.options.directory))) return await onePass(prepared, dryRun)
    const { follow } = await import('./follow.ts')
    return await follow(prepared, flags.quiet)
  })
}

async function onePass({ options, world, playbook, display }: Prepared, dryRun: boolean): Promise<RunResult> {
  const { runSequence } = await import('../run/runner.ts')
  if (await isBackAlready(options.directory)) {
    // After the way back it is what the new host got that is carried: the same pass as the rollback's.
    const { goingBack } = await import('../steps/carry-back.ts')
    const sequence = goingBack(world, options.sequence)
    display.begin({ name: playbook.name, playbook: playbook.file, sequence })
    return await runSequence({ ...options, dryRun, sequence })
  }
  // The steps that led here aren't gone through again, so they aren't shown.
  const alone = passOf(options.sequence)
  display.begin({ name: playbook.name, playbook: playbook.file, sequence: alone })
  return await runSequence({ ...options, dryRun, only: alone.length === 0 ? 'reconcile' : alone.flat().map(({ id }) => id) })
}
