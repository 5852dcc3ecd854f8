import { MigrateError } from '../../base/errors.ts'

/** What to do about what a server says of a backup, by number ("Database Engine events and errors (3000 to 3999)", and 33111). */
const HINTS: readonly (readonly [numbers: readonly number[], hint: string])[] = [
  [
    [3201, 3202, 3203],
    'The account that the server itself runs under reads and writes there, not the login: name a folder that it may use and that has room, such as the one where it keeps its backups already.',
  ],
  [[3095, 3097, 3098], 'The file holds backups of another kind, which are never overwritten: name one that isn’t there yet.'],
  [[3023], 'The host backs this database up, or changes its files, at this moment: run again when that is over.'],
  [
    [3043, 3053, 3182, 3183, 3186, 3189],
    'Pages are damaged. Of the old database: have its administrator run DBCC CHECKDB before anything is moved. Of the file: have the backup made again.',
  ],
  [
    [3063, 3065, 3271],
    'The address isn’t reached, or not with this credential: its signature must allow to read, write and list, have no question mark in front and not have run out; a blob that is there already is never overwritten.',
  ],
  [[3101], 'Somebody else uses the new database: stop what does, then run again.'],
  [[3104], 'The new database is in an availability group or mirrored: have it taken out, and put back when it is moved.'],
  [[3132], 'The backup lies in several files, of which only one is given: have it made in one, or use method: portable.'],
  [
    [3143, 3169, 3208, 3241, 3242],
    'It isn’t a backup that this server reads: made by a newer release, cut short on its way, or no backup at all. Ask for a newer server, or use method: portable.',
  ],
  [
    [33111],
    'The backup is encrypted: the new server needs the certificate that the old one encrypts with (BACKUP CERTIFICATE … WITH PRIVATE KEY there, CREATE CERTIFICATE in master here). Or use method: portable.',
  ],
]

const numbersOf = (error: unknown): readonly number[] => {
  if (error instanceof AggregateError) return error.errors.flatMap(numbersOf)
  return error instanceof Error && 'number' in error && typeof error.number === 'number' ? [error.number] : []
}

/** The same error with what to do about it, where the server's own number tells that. */
export function withBackupHint(error: MigrateError): MigrateError {
  const said = numbersOf(error.cause)
  const hint = HINTS.find(([numbers]) => numbers.some((number) => said.includes(number)))?.[1]
  if (hint === undefined) return error
  return new MigrateError(error.code, error.message, { hint, cause: error.cause, retrySafe: error.retrySafe })
}
