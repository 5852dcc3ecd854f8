import { MigrateError } from '../base/errors.ts'

/** A table that is swapped more often than this while it is read is for a person to look at. */
const MOST_READINGS = 3

/**
 * Does `read`, and does it again from its beginning where a table was emptied, swapped or made anew while it was read, so that nothing of
 * that counts. Throws the last `table-rewritten` where that happens time and again.
 */
export async function readAgain<T>(read: () => Promise<T>): Promise<T> {
  for (let readings = 1; ; readings += 1) {
    try {
      return await read()
    } catch (error) {
      if (readings === MOST_READINGS || !(error instanceof MigrateError) || error.code !== 'table-rewritten') throw error
    }
  }
}
