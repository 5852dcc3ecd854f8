import type { Command } from 'commander'
import { isoTime } from '../../base/clock.ts'
import type { RunResult } from '../../run/command.ts'
import type { EventSink } from '../../run/events.ts'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'
import type { Prepared } from '../prepare.ts'

/** `migrate rollback`: takes back what a run did, newest first; after the cutover, without losing what the new host got. */
export function addRollback(program: Command, io: Io, finish: Finish): void {
  withFlags(
    program
      .command('rollback <playbook>')
      .description('take back what a run did, newest first; after the cutover: DNS back, and the new orders with it'),
  )
    .option('--dry-run', 'list what would be taken back, writing nothing')
    .action(async (playbook: string, flags: Flags & { readonly dryRun?: boolean }) => {
      const { withPlaybook } = await import('../session.ts')
      const dryRun = flags.dryRun ?? false
      finish(await withPlaybook(playbook, { io, flags }, dryRun ? 'rollback' : 'back', (prepared) => takeBack(prepared, dryRun)))
    })
}

async function takeBack({ options, world }: Prepared, dryRun: boolean): Promise<RunResult> {
  const { rollback } = await import('../../run/undo.ts')
  const { readHistory } = await import('../../run/state.ts')
  const { history } = await readHistory(options.directory)
  if (!history.wasCutOver) return await rollback({ ...options, dryRun })
  // Customers have been on the new host: DNS goes back first, then their orders. What was prepared there stays.
  const { goingBack } = await import('../../steps/carry-back.ts')
  const sequence = goingBack(world, options.sequence)
  const sink = withoutEnd(options.sink)
  const back = await rollback({ ...options, dryRun, phases: ['cutover', 'settle'], sink, isPart: sequence.length > 0 })
  if (back.exit !== 0 || sequence.length === 0) {
    options.sink({ time: isoTime(options.clock.now()), run: back.runId, step: null, event: 'finished', ...endOf(back) })
    return back
  }
  const { runSequence } = await import('../../run/runner.ts')
  return await runSequence({ ...options, dryRun, sequence })
}

/** Two parts of one command end with one `finished`. */
const withoutEnd =
  (sink: EventSink): EventSink =>
  (event) => {
    if (event.event !== 'finished') sink(event)
  }

const endOf = ({ outcome, exit, seconds }: RunResult) => ({ outcome, exit, seconds })
