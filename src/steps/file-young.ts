import type { Clock } from '../base/clock.ts'
import type { FileEntry, FileHost } from '../files/port.ts'

/** So far a host's clock may be from ours, seconds, for a file that was changed just now to be known as such. */
const CLOCKS_APART = 60

/** Of what a host has shown: its latest time, when that was (monotonic milliseconds), and up to where its clock is known to have gone on. */
interface Shown {
  readonly timeSeconds: number
  latest: number
  latestAt: number
  passed: number
}

const known = new WeakMap<FileHost, Shown>()

/**
 * Waits, before a file is read that was changed just now, until the host's clock has gone on: whatever changes in it after it was read shows in
 * its time then. Otherwise what comes within the same second, of the same length, would never be seen. Takes no more than two seconds where the
 * host tells times to the second, however many files there are. `undefined`: there is nothing to wait for.
 */
export function untilItsTimeIsOver(
  host: FileHost,
  { mtimeSeconds }: FileEntry,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> | undefined {
  const before = known.get(host)
  if (mtimeSeconds <= (before?.passed ?? Number.NEGATIVE_INFINITY)) return undefined
  const apart = Math.abs(clock.now() / 1000 - mtimeSeconds)
  if (apart > CLOCKS_APART + (before?.timeSeconds ?? CLOCKS_APART)) return undefined
  return waitFor(host, mtimeSeconds, apart, clock, signal)
}

async function waitFor(host: FileHost, mtimeSeconds: number, apart: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const shown = known.get(host) ?? (await shownBy(host))
  if (apart > CLOCKS_APART + shown.timeSeconds) return
  if (mtimeSeconds > shown.latest) {
    shown.latest = mtimeSeconds
    shown.latestAt = clock.monotonic()
  }
  const over = shown.latestAt + (shown.timeSeconds + 1) * 1000
  const left = over - clock.monotonic()
  if (left > 0) await clock.sleep(left, signal)
  shown.passed = Math.max(shown.passed, mtimeSeconds)
}

async function shownBy(host: FileHost): Promise<Shown> {
  const { timeSeconds } = await host.powers()
  const other = known.get(host)
  if (other !== undefined) return other
  const shown = { timeSeconds, latest: Number.NEGATIVE_INFINITY, latestAt: 0, passed: Number.NEGATIVE_INFINITY }
  known.set(host, shown)
  return shown
}
