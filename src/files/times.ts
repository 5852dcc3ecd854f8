import type { FilePowers } from './port.ts'

/** Of a host that has no limits of its own, or none that are known. */
export const ANY_TIME: FilePowers['timeRange'] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]

/** A time as it is where only those of a range can be, seconds. */
export const within = ([earliest, latest]: FilePowers['timeRange'], seconds: number): number =>
  Math.min(latest, Math.max(earliest, seconds))

/** Whether a file's time there is the one that it was to have, in whole seconds. */
export const isSameTime = (wanted: number, there: number, { timeRange }: Pick<FilePowers, 'timeRange'>): boolean =>
  Math.floor(within(timeRange, wanted)) === Math.floor(there)
