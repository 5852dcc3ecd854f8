import { existsSync } from 'node:fs'
import { link, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { namesIn } from '../base/disk.ts'
import { codeOf } from '../base/errors.ts'
import type { Effects } from '../run/step.ts'
import { indexPath, OTHER_FORMAT } from './file-database.ts'
import { FileStore } from './file-store.ts'

/** The host that a store's entries are of. */
export const HOST = 'host'

/** The newest snapshot of the same host among the runs that were set aside (`--fresh`); `undefined` when there is none. */
export async function openEarlier(directory: string, host: string, effects: Effects): Promise<FileStore | undefined> {
  const folder = await earlierFolder(directory, host, effects)
  return folder === undefined ? undefined : FileStore.openExisting(folder, effects)
}

/**
 * Begins a snapshot with what an earlier run has of the same host: only what changed since needs to be fetched. The earlier run stays
 * as it is. Does nothing when there is a snapshot already, whole or not.
 */
export async function takeOverEarlier(directory: string, store: string, host: string, effects: Effects): Promise<void> {
  if (existsSync(indexPath(store))) return
  const earlier = await earlierFolder(directory, host, effects)
  if (earlier !== undefined) await effects('files: take over an earlier snapshot', () => takeOver(earlier, store))
}

async function earlierFolder(directory: string, host: string, effects: Effects): Promise<string | undefined> {
  const runs = (await namesIn(directory)).filter((name) => name.startsWith('earlier-')).sort()
  for (const run of runs.reverse()) {
    const folder = join(directory, run, 'files')
    const store = openIfOurs(folder, effects)
    try {
      if (store?.fact(HOST) === host) return folder
    } finally {
      store?.close()
    }
  }
  return undefined
}

/** What another version kept is as good as nothing. */
function openIfOurs(folder: string, effects: Effects): FileStore | undefined {
  try {
    return FileStore.openExisting(folder, effects)
  } catch (error) {
    if (codeOf(error) === OTHER_FORMAT) return undefined
    throw error
  }
}

/** The index comes last: without it the rest counts for nothing. */
async function takeOver(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  const folders = (await namesIn(join(from, 'objects'))).map((folder) => join('objects', folder))
  for (const folder of ['packs', ...folders]) {
    await mkdir(join(to, folder), { recursive: true, mode: 0o700 })
    for (const name of await namesIn(join(from, folder)))
      await link(join(from, folder, name), join(to, folder, name)).catch(ignoreThere)
  }
  const part = `${indexPath(to)}.part`
  await rm(part, { force: true })
  const source = new DatabaseSync(indexPath(from), { readOnly: true })
  try {
    await backup(source, part)
  } finally {
    source.close()
  }
  const index = new DatabaseSync(part)
  try {
    // Nothing of it is known to be there still: each entry has to be seen once more.
    index.exec(`PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE; DELETE FROM facts; DELETE FROM notes;
      UPDATE entries SET arrival = NULL; INSERT INTO facts VALUES ('outdated', ''); COMMIT;`)
  } finally {
    index.close()
  }
  await rename(part, indexPath(to))
}

function ignoreThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error
}
