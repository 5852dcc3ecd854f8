import { isoTime } from '../base/clock.ts'
import type { RunResult } from '../run/command.ts'
import type { Sequence } from '../run/step.ts'
import type { Prepared } from './prepare.ts'
import { endOf, withoutEnd } from './several.ts'

/** So long the old host must have been quiet where the playbook's watch doesn't say. */
const QUIET_MS = 30 * 60_000
/** What came while the full pass was at work shows within this. */
const LATE_MS = 60_000

interface Following extends Pick<Prepared, 'options' | 'world' | 'display'> {
  readonly playbook: Pick<Prepared['playbook'], 'name' | 'file' | 'steps'>
}

/**
 * `migrate reconcile --follow`: new rows are carried as they are born until the old host is quiet, then everything is compared once; rows
 * that came late start it anew. The exit code is the last full pass's.
 */
export async function reconcileFollowing({ options, world, playbook, display }: Following): Promise<RunResult> {
  const { runSequence } = await import('../run/runner.ts')
  const { followOld } = await import('../steps/follow-old.ts')
  const full = options.sequence
    .map((group) => group.filter((step) => step.id === 'reconcile'))
    .filter((group) => group.length > 0)
  const run = (sequence: Sequence): Promise<RunResult> => runSequence({ ...options, sequence, sink: withoutEnd(options.sink) })
  const follow = async (quietMs: number) => {
    const followed = { sawRows: false }
    return { ended: await run([[followOld(world, quietMs, followed)]]), followed }
  }
  const whole: Sequence = [[followOld(world, quietOf(playbook), { sawRows: false })], ...full]
  display.begin({ name: playbook.name, playbook: playbook.file, sequence: whole })
  let last = await run(whole)
  while (isDone(last)) {
    const { ended, followed } = await follow(LATE_MS)
    if (!isDone(ended)) last = ended
    else if (!followed.sawRows) break
    else last = await run(whole)
  }
  options.sink({ time: isoTime(options.clock.now()), run: last.runId, step: null, event: 'finished', ...endOf(last) })
  return last
}

/** Parked rows wait for a person, but stop nothing. */
const isDone = ({ outcome }: RunResult): boolean => outcome === 'ok' || outcome === 'parked'

/** As long as the playbook's watch asks for. */
function quietOf({ steps }: Following['playbook']): number {
  const watch = steps.flat().find(({ kind }) => kind.name === 'watch-propagation')?.options
  if (typeof watch !== 'object' || watch === null || !('quiet' in watch)) return QUIET_MS
  return typeof watch.quiet === 'number' ? watch.quiet : QUIET_MS
}
