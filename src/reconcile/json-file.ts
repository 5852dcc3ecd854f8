import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { keepWhole } from '../base/disk.ts'
import { codeOf, MigrateError } from '../base/errors.ts'

/** A list kept as a JSON file; [] when there is no file. Throws MigrateError with `code` when the file can't be read as such. */
export async function readJsonFile<T>(
  path: string,
  schema: z.ZodType<T[]>,
  damaged: { readonly code: string; readonly what: string; readonly hint: string },
): Promise<readonly T[]> {
  // Most runs have no such file, and are asked for it again and again: to be told so by an error takes longer than all else.
  if (!existsSync(path)) return []
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw new MigrateError(damaged.code, `${damaged.what}, ${path}, can't be read. Nothing was changed.`, {
      hint: damaged.hint,
      cause: error,
    })
  }
}

/** Replaces the file in one step: after a crash it is the former one or this one, whole. Nobody but its owner may read it. */
export async function writeJsonFile<T>(path: string, items: readonly T[]): Promise<void> {
  await keepWhole(path, `${JSON.stringify(items, null, 2)}\n`)
}
