import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { codeOf, MigrateError } from '../base/errors.ts'

const cellsSchema = z.record(z.string(), z.string().nullable()).nullable()

const parkedRowSchema = z
  .object({
    table: z.string(),
    key: z.string(),
    reason: z.string(),
    /** True when the receiving host refused the row; false when both hosts changed it. */
    refused: z.boolean(),
    /** The row on both sides when it was parked, by column; `null` = it wasn't there. */
    sourceRow: cellsSchema,
    targetRow: cellsSchema,
    /** Fingerprints of both, to tell whether anything has changed since. */
    source: z.string().nullable(),
    target: z.string().nullable(),
  })
  .readonly()
/** A row set aside for a person, with everything needed to decide. */
export type ParkedRow = z.infer<typeof parkedRowSchema>

export const parkedPath = (directory: string): string => join(directory, 'parked.json')

/** The parked rows of a run; [] when there are none. Throws `parked-damaged` when the file can't be read as such. */
export async function readParked(directory: string): Promise<readonly ParkedRow[]> {
  const path = parkedPath(directory)
  try {
    return z.array(parkedRowSchema).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw new MigrateError('parked-damaged', `The list of parked rows, ${path}, can't be read. Nothing was changed.`, {
      hint: 'Move the file away and run "migrate reconcile" again: it finds every conflict anew.',
      cause: error,
    })
  }
}

/** Replaces the list in one step: after a crash the file is the former list or this one, whole. */
export async function writeParked(directory: string, rows: readonly ParkedRow[]): Promise<void> {
  const path = parkedPath(directory)
  const file = await open(`${path}.part`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(rows, null, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
}

/** One row's place among the parked. */
export const parkedId = (row: { readonly table: string; readonly key: string }): string => `${row.table} ${row.key}`
