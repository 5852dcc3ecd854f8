import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { namesIn } from '../base/disk.ts'
import type { SmallContents } from './file-contents.ts'

/**
 * Removes the contents of a store of files that no entry refers to any more, and what was cut off on its way in. Only for a store
 * whose snapshot is whole: until then an entry may still be on its way to its content.
 */
export async function dropUnused(database: DatabaseSync, directory: string, small: SmallContents): Promise<void> {
  database.exec('CREATE INDEX IF NOT EXISTS used ON entries(sha256)')
  await small.dropUnused('EXISTS (SELECT 1 FROM entries WHERE entries.sha256 = lower(hex(contents.sha256)))')
  const isUsed = database.prepare('SELECT 1 FROM entries WHERE sha256 = ?')
  for (const folder of await namesIn(join(directory, 'objects'))) {
    for (const name of await namesIn(join(directory, 'objects', folder))) {
      if (isUsed.get(name) === undefined) await rm(join(directory, 'objects', folder, name), { force: true })
    }
  }
  // The next snapshot's entries are written without it.
  database.exec('DROP INDEX used')
  await rm(join(directory, 'incoming'), { recursive: true, force: true })
}
