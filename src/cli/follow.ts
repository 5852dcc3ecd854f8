import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { buildSequence } from '../playbook/index.ts'
import type { RunResult } from '../run/command.ts'
import type { EventSink } from '../run/events.ts'
import { runSequence } from '../run/runner.ts'
import type { Sequence } from '../run/step.ts'
import { passOf } from '../steps/carry-files.ts'
import { followOld } from '../steps/follow-old.ts'
import type { Prepared } from './prepare.ts'

/** As long as the watch waits when the playbook says nothing else. */
const USUAL_QUIET_MS = 30 * 60_000
/** What came while everything was compared shows within this. */
const LATE_MS = 60_000

/**
 * `migrate reconcile --follow`: carries rows as they are born until none came for `quietMs` (the watch's own patience when absent), then
 * compares everything; and once more as long as late ones come. It ends as its last full pass did.
 */
export async function follow(prepared: Prepared, quietMs: number | undefined): Promise<RunResult> {
  const { options, playbook, world } = prepared
  const followed = { sawRows: false }
  const patienceMs = quietMs ?? watchQuietMs(prepared)
  const following = followOld(world, patienceMs, followed)
  const late = followOld(world, Math.min(patienceMs, LATE_MS), followed)
  // A pass keeps what it read of the hosts: each has a step of its own.
  const full = (): Sequence => passOf(buildSequence(playbook, world))
  prepared.display.begin({ name: playbook.name, playbook: playbook.file, sequence: [[following], ...full()] })
  const sink = oneCommand(options.sink)
  let last = await runSequence({ ...options, sink, sequence: [[following], ...full()] })
  while (isThrough(last)) {
    const watched = await runSequence({ ...options, sink, sequence: [[late]] })
    if (!isThrough(watched)) last = watched
    if (!isThrough(watched) || !followed.sawRows) break
    last = await runSequence({ ...options, sink, sequence: [[following], ...full()] })
  }
  const { outcome, exit, seconds, runId } = last
  options.sink({ time: isoTime(options.clock.now()), run: runId, step: null, event: 'finished', outcome, exit, seconds })
  return last
}

/** Done, or done but for rows that a person decides about: late ones are waited for all the same. */
const isThrough = ({ outcome }: RunResult): boolean => outcome === 'ok' || outcome === 'parked'

const watchSchema = z.object({ quiet: z.number() })

function watchQuietMs({ playbook }: Prepared): number {
  const watch = playbook.steps.flat().find((step) => step.kind.name === 'watch-propagation')
  return watchSchema.safeParse(watch?.options).data?.quiet ?? USUAL_QUIET_MS
}

/** Several parts of one command begin once and end once. */
function oneCommand(sink: EventSink): EventSink {
  let hasBegun = false
  return (event) => {
    if (event.step === null && event.event === 'finished') return
    if (event.step === null && event.event === 'started') {
      if (hasBegun) return
      hasBegun = true
    }
    sink(event)
  }
}
