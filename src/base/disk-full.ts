import { codeOf, MigrateError } from './errors.ts'

/** SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE ("Result and Error Codes" in SQLite's documentation). */
const SQLITE_FULL = [13, 778, 4874]

/** True for the system's and SQLite's errors that mean a full disk or a used up quota. */
export const isDiskFull = (error: unknown): boolean => {
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return true
  return code === 'ERR_SQLITE_ERROR' && SQLITE_FULL.includes(Number(Reflect.get(Object(error), 'errcode')))
}

/** What was thrown while something was kept in the run's folder: a full disk as the reader needs it said, anything else as it was. */
export function keepingError(error: unknown, folder: string): unknown {
  if (!isDiskFull(error)) return error
  return new MigrateError(
    'disk-full',
    `The disk of the run's folder is full: nothing more could be kept in ${folder}. What was to be done with it was not begun.`,
    {
      hint: 'Make room there, or move the whole run to a larger disk and name its place with --state, then run again: what is kept stays.',
      cause: error,
    },
  )
}

/** Throws for a write that took less than it was given: a regular file does so when there is no more room (POSIX, write), without an error. */
export function refuseShort(written: number, length: number): void {
  if (written !== length)
    throw Object.assign(new Error(`only ${written} of ${length} bytes could be written`), { code: 'ENOSPC' })
}

/** What was thrown while something was kept among the temporary files of this machine: a full disk as the reader needs it said, anything else as it was. */
export function noTemporaryRoom(error: unknown, what: string): unknown {
  if (!isDiskFull(error)) return error
  return new MigrateError(
    'disk-full',
    `There is no room among the temporary files of this machine to put ${what} in order. Nothing was changed by that.`,
    {
      hint: 'Make room there, or name a folder on a larger disk in the environment variable SQLITE_TMPDIR, then run again.',
      cause: error,
    },
  )
}
