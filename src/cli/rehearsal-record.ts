import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { keepWhole } from '../base/disk.ts'
import { codeOf, MigrateError } from '../base/errors.ts'

/** What a rehearsal makes on the new host, on disk before it makes it, so that nothing stays behind whatever happens. */
const recordSchema = z
  .object({
    mark: z.string().regex(/^[0-9a-f]{6,}$/),
    /** `null`: the playbook gives one, which is emptied and not dropped. */
    database: z.string().nullable(),
    folder: z.string().nullable(),
    /** What its run did has been taken back; what is left is to be dropped. */
    takenBack: z.boolean(),
  })
  .readonly()
export type RehearsalRecord = z.infer<typeof recordSchema>

const NAME = 'rehearsal.json'

/** `undefined`: nothing of a rehearsal is left. Throws MigrateError `rehearsal-record-damaged`. */
export async function readRecord(directory: string): Promise<RehearsalRecord | undefined> {
  const path = join(directory, NAME)
  try {
    return recordSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new MigrateError(
      'rehearsal-record-damaged',
      `${path}, which says what a rehearsal made, can't be read. Nothing was changed.`,
      {
        hint: 'Look on the new host for databases whose name has _rehearsal_ in it and for folders .migrate-rehearsal-…, remove them, then remove that file.',
        cause: error,
      },
    )
  }
}

/** On disk when it returns. */
export async function writeRecord(directory: string, record: RehearsalRecord): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await keepWhole(join(directory, NAME), `${JSON.stringify(record)}\n`)
}

export const removeRecord = (directory: string): Promise<void> => rm(join(directory, NAME), { force: true })
