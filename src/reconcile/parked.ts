import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from './json-file.ts'

const cellsSchema = z.record(z.string(), z.string().nullable()).nullable()

const parkedRowSchema = z
  .object({
    table: z.string(),
    /** JSON array of the key's cells on the source (where it never was there: on the target). */
    key: z.string(),
    /** The key of the target's row that it is compared with; `null` = it has none there. */
    targetKey: z.string().nullable(),
    reason: z.string(),
    /** True when it was tried and the receiving host's content doesn't let it in; false when it waits for a decision from the start. */
    refused: z.boolean(),
    /** True for a row born on the source that has nothing on the target to be the same thing: what refers to it is parked too. */
    born: z.boolean(),
    /** The target's row that is in its way, when it isn't the one with `targetKey`: by which unique key, and its key. */
    collision: z.object({ unique: z.string(), key: z.string() }).readonly().nullable(),
    /** The row on both hosts when it was parked, by column; `null` = it wasn't there. */
    sourceRow: cellsSchema,
    targetRow: cellsSchema,
    /** The row as both last had it; `null` with the reason in `baseNote` where it isn't known. */
    baseRow: cellsSchema,
    baseNote: z.string().nullable(),
    /** Fingerprints of both, to tell whether anything has changed since. */
    source: z.string().nullable(),
    target: z.string().nullable(),
  })
  .readonly()
/** A row set aside for a person, with everything needed to decide. */
export type ParkedRow = z.infer<typeof parkedRowSchema>

export const parkedPath = (directory: string): string => join(directory, 'parked.json')

/** The parked rows of a run; [] when there are none. Throws `parked-damaged` when the file can't be read as such. */
export const readParked = (directory: string): Promise<readonly ParkedRow[]> =>
  readJsonFile(parkedPath(directory), z.array(parkedRowSchema), {
    code: 'parked-damaged',
    what: 'The list of parked rows',
    hint: 'Move the file away and run  migrate reconcile PLAYBOOK  again: it finds every conflict anew.',
  })

/** Replaces the list in one step. */
export const writeParked = (directory: string, rows: readonly ParkedRow[]): Promise<void> =>
  writeJsonFile(parkedPath(directory), rows)

/** One row's place among the parked. */
export const parkedId = (row: { readonly table: string; readonly key: string }): string => `${row.table} ${row.key}`
