import { isoTime } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'
import type { HeadroomWatch } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'
import { headroomUse, identityName, recallHeadroom } from './headroom.ts'
import type { HostTraffic, Sample } from './watch-traffic.ts'

const MINUTE_MS = 60_000
/** The last moment that ISO 8601 with four digits can name; beyond it a headroom doesn't run out. */
const FAR_AWAY_MS = Date.UTC(9999, 11, 31)
/** A headroom that would last less than this is worth a warning. */
const SOON_MS = 60 * MINUTE_MS

/** How much of each headroom the old host has used, and when it would be gone. Warns once for each identity and severity. */
export function watchHeadroom(
  run: StepRun,
  old: Sample | undefined,
  traffic: HostTraffic,
  warned: Set<string>,
): readonly HeadroomWatch[] {
  return recallHeadroom(run).map((record) => {
    const name = identityName(record.identity)
    const { table, column, used, left } = headroomUse(record, old?.states.get(name))
    const rate = traffic.ratePerMinute(name)
    const untilMs = rate === null || rate <= 0 ? null : (Number(left) / rate) * MINUTE_MS
    const at = untilMs === null ? null : run.clock.now() + Math.max(0, untilMs)
    warn(run, { name, left: BigInt(left), untilMs }, warned)
    return { table, column, used, left, runsOutAt: at === null || at > FAR_AWAY_MS ? null : isoTime(at) }
  })
}

interface Remaining {
  readonly name: string
  readonly left: bigint
  readonly untilMs: number | null
}

function warn(run: StepRun, { name, left, untilMs }: Remaining, warned: Set<string>): void {
  if (left <= 0n && !warned.has(`${name} gone`)) {
    warned.add(`${name} gone`)
    run.emit({
      event: 'finding',
      severity: 'error',
      code: 'headroom-used-up',
      message: `The old host has used the whole headroom of ${name}: its new numbers are those that the new host gave out too.`,
      hint: 'Such rows are found by reconcile and parked or remapped, not lost. Stop orders on the old host if you can (a maintenance page).',
    })
  } else if (left > 0n && untilMs !== null && untilMs < SOON_MS && !warned.has(name)) {
    warned.add(name)
    run.emit({
      event: 'finding',
      severity: 'warning',
      code: 'headroom-running-out',
      message: `At the present rate the headroom of ${name} is used up in ${formatDuration(untilMs)} (${left} left).`,
      hint: 'Slow the old host down or put up a maintenance page there; orders beyond it would get numbers that the new host gave out.',
    })
  }
}
