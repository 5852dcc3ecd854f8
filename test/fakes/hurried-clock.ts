import { type Clock, systemClock } from '../../src/base/clock.ts'

const TIMES = 20

/** Real time that runs faster: for steps that wait beside real servers, whose processes keep virtual time from moving. */
export const hurriedClock: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * TIMES,
  sleep: (ms, signal) => systemClock.sleep(ms / TIMES, signal),
}
