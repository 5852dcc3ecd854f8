import { formatBytes, formatDuration } from '../base/units.ts'

/** What a shared host and a home line give; only estimates in a plan rest on them. A run shows what is measured. */
const ASSUMED_BYTES_PER_SECOND = 10 * 2 ** 20
const ASSUMED_FILES_PER_SECOND = 100

/** How long a copy may take, for a plan: `about 2 min 05 s, assuming 10.0 MiB/s`. */
export function copyTime(bytes: number): string {
  return `${about(bytes / ASSUMED_BYTES_PER_SECOND)}, assuming ${formatBytes(ASSUMED_BYTES_PER_SECOND)}/s`
}

/** The same for files, of which each costs time too, however small it is. */
export function filesTime(files: number, bytes: number): string {
  const seconds = bytes / ASSUMED_BYTES_PER_SECOND + files / ASSUMED_FILES_PER_SECOND
  return `${about(seconds)}, assuming ${formatBytes(ASSUMED_BYTES_PER_SECOND)}/s and ${ASSUMED_FILES_PER_SECOND} files a second`
}

const about = (seconds: number): string => (seconds < 1 ? 'less than a second' : `about ${formatDuration(seconds * 1000)}`)
