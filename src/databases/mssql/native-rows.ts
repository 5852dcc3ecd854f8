import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'

type Rows = readonly Readonly<Record<string, unknown>>[]

/** Bits arrive as booleans or numbers. */
const bit = z.union([z.boolean(), z.number()]).nullish().transform(Boolean)
const whole = z.coerce.number().int()

const setRow = z
  .object({
    BackupName: z.string().nullish(),
    BackupType: whole,
    Position: whole,
    DatabaseName: z.string().nullish(),
    SoftwareVersionMajor: whole,
    HasBackupChecksums: bit,
    IsDamaged: bit,
  })
  .transform((row) => ({
    name: row.BackupName ?? '',
    type: row.BackupType,
    position: row.Position,
    database: row.DatabaseName ?? undefined,
    softwareMajor: row.SoftwareVersionMajor,
    checksums: row.HasBackupChecksums,
    damaged: row.IsDamaged,
  }))
/**
 * A backup set, as "RESTORE Statements - HEADERONLY (Transact-SQL)", "Result sets", tells it. Of one behind a password, and of one whose BACKUP
 * was cut off ("*** INCOMPLETE ***"), hardly anything is told, not even the `database`.
 */
export type BackupSet = z.infer<typeof setRow>

const fileRow = z
  .object({ LogicalName: z.string(), PhysicalName: z.string(), Type: z.enum(['D', 'L', 'F', 'S']), FileId: whole, Size: whole })
  .transform((row) => ({ logicalName: row.LogicalName, type: row.Type, fileId: row.FileId, sizeBytes: row.Size }))
/** A file of a backup set, as "RESTORE Statements - FILELISTONLY (Transact-SQL)", "Result sets", tells it. */
export type DatabaseFile = z.infer<typeof fileRow>

/** Older servers write FileID, newer ones FileId; a column's name is compared without case. */
const named = (row: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> => {
  const found = new Map(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]))
  return Object.fromEntries(names.map((name) => [name, found.get(name.toLowerCase())]))
}

const SET_COLUMNS = [
  'BackupName',
  'BackupType',
  'Position',
  'DatabaseName',
  'SoftwareVersionMajor',
  'HasBackupChecksums',
  'IsDamaged',
]
const FILE_COLUMNS = ['LogicalName', 'PhysicalName', 'Type', 'FileId', 'Size']

export const backupSets = (rows: Rows): readonly BackupSet[] => z.array(setRow).parse(rows.map((row) => named(row, SET_COLUMNS)))

export const databaseFiles = (rows: Rows): readonly DatabaseFile[] =>
  z.array(fileRow).parse(rows.map((row) => named(row, FILE_COLUMNS)))

/** BackupType: 1 is a whole database; 2 a log, 4 files, 5 differential … */
const WHOLE = 1

/**
 * The backup set to restore: the one named `name`, or, in a file that someone else made, the newest of a whole database. Throws
 * `backup-unusable` when there is none, when it is damaged, and when a newer server made it than the one that is to restore it
 * ("RESTORE Statements", compatibility: never to an older release). Pure.
 */
export function chooseSet(sets: readonly BackupSet[], name: string | undefined, serverMajor: number, where: string): BackupSet {
  const wholes = sets.filter(({ type, database }) => type === WHOLE && database !== undefined)
  const set = (name === undefined ? wholes : wholes.filter((each) => each.name === name)).at(-1)
  if (set === undefined)
    throw unusable(
      `${where} holds no backup of a whole database${name === undefined ? '' : ` named ${name}`}`,
      'Have a full backup made.',
    )
  if (set.damaged)
    throw unusable(`${where} is damaged: it was made with errors`, 'Have it made again, and look after the old server’s disk.')
  if (set.softwareMajor > serverMajor) {
    throw unusable(
      `${where} was made by SQL Server ${set.softwareMajor}.x; the new server is ${serverMajor}.x, which can't read what a newer one wrote`,
      'Ask the new host for a newer server, or use method: portable.',
    )
  }
  return set
}

const unusable = (what: string, hint: string): MigrateError =>
  new MigrateError('backup-unusable', `${what}. Nothing was restored.`, { hint })
