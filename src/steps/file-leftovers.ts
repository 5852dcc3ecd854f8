import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { namesIn } from '../base/disk.ts'

/** Rows removed in one statement: others may want to write in between. */
const AT_ONCE = 1000

/**
 * Removes the contents of a store of files that no entry refers to any more, and what was cut off on its way in. Only for a store
 * whose snapshot is whole: until then an entry may still be on its way to its content.
 */
export async function dropUnused(database: DatabaseSync, directory: string): Promise<void> {
  database.exec('CREATE INDEX IF NOT EXISTS contents ON entries(sha256)')
  const drop = database.prepare(
    `DELETE FROM objects WHERE sha256 IN (
      SELECT sha256 FROM objects WHERE NOT EXISTS (SELECT 1 FROM entries WHERE entries.sha256 = objects.sha256) LIMIT ${AT_ONCE})`,
  )
  while (drop.run().changes !== 0) await new Promise((resolve) => setImmediate(resolve))
  const isUsed = database.prepare('SELECT 1 FROM entries WHERE sha256 = ?')
  for (const folder of await namesIn(join(directory, 'objects'))) {
    for (const name of await namesIn(join(directory, 'objects', folder))) {
      if (isUsed.get(name) === undefined) await rm(join(directory, 'objects', folder, name), { force: true })
    }
  }
  // The next snapshot's entries are written without it.
  database.exec('DROP INDEX contents')
  await rm(join(directory, 'incoming'), { recursive: true, force: true })
}
