import { isoTime } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'
import { type Gap, type GapUse, gapOf, timeLeft, useOf } from '../databases/plan/gap.ts'
import type { HeadroomWatch } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'
import { type HeadroomRecord, headroomUse, identityName, recallHeadroom } from './headroom.ts'
import { usedUp } from './leap-findings.ts'
import type { Sight, Traffics } from './leapfrog.ts'

const MINUTE_MS = 60_000
/** The last moment that ISO 8601 with four digits can name; beyond it a headroom doesn't run out. */
const FAR_AWAY_MS = Date.UTC(9999, 11, 31)
/** A headroom that would last less than this is worth a warning. */
const SOON_MS = 60 * MINUTE_MS
/** It counts as safe again, and would be warned of anew, when it lasts for this. */
const SAFE_MS = 2 * SOON_MS

/** How much of each headroom is used, and when it would be gone. Warns once for each identity and severity until it is safe again. */
export function watchHeadroom(run: StepRun, sight: Sight, traffics: Traffics, warned: Set<string>): readonly HeadroomWatch[] {
  return recallHeadroom(run).map((record) => {
    const name = identityName(record.identity)
    const states = { old: sight.old?.states.get(name), new: sight.new?.states.get(name) }
    const gap = gapOf(record, states)
    const use = useOf(gap, record.identity.increment, states[gap.behind])
    const untilMs = timeLeft(use, record.identity.increment, traffics[gap.behind].ratePerMinute(name))
    warn(run, { record, gap, use, untilMs }, warned)
    const at = run.clock.now() + untilMs
    const { raisedBy: _raisedBy, ...shown } = headroomUse(record, states)
    return { ...shown, runsOutAt: at > FAR_AWAY_MS ? null : isoTime(at) }
  })
}

interface Remaining {
  readonly record: HeadroomRecord
  readonly gap: Gap
  readonly use: GapUse
  readonly untilMs: number
}

function warn(run: StepRun, { record, gap, use: { left }, untilMs }: Remaining, warned: Set<string>): void {
  // Each gap is a case of its own.
  const name = identityName(record.identity)
  const key = `${name} ${gap.to}`
  if (left > 0n && untilMs >= SAFE_MS) warned.delete(key)
  if (left <= 0n && !warned.has(`${key} gone`)) {
    warned.add(`${key} gone`)
    run.emit({ event: 'finding', ...usedUp(name, gap.behind) })
  } else if (left > 0n && untilMs < SOON_MS && !warned.has(key)) {
    warned.add(key)
    run.emit({
      event: 'finding',
      severity: 'warning',
      code: 'headroom-running-out',
      message: `At the present rate the headroom of ${name} is used up in ${formatDuration(untilMs)} (${left} left).`,
      hint: `Before that, the ${gap.behind} host's numbering is moved past the other one's where the account may do that; slowing the old host down helps too.`,
    })
  }
}
