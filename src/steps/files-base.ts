import { join } from 'node:path'
import { MigrateError } from '../base/errors.ts'
import type { Choice } from '../files/choice.ts'
import { comparePaths } from '../files/paths.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { FileStore, type StoredEntry } from './file-store.ts'
import { RESTORED_FILES_KEY } from './restore-files.ts'
import { filesDirectory, selectionOf } from './snapshot-files.ts'

/** Files that were carried since the restore, as both hosts had them then. */
const carriedDirectory = (run: StepRun): string => join(run.directory, 'files-carried')
/** Fact of that store: the snapshot since which they were carried. */
const SINCE = 'since'

/** What was carried since a snapshot was restored; what was carried since an earlier one is in this one. */
function openCarried(run: StepRun, effects: Effects, digest: string): FileStore | undefined {
  const carried = FileStore.openExisting(carriedDirectory(run), effects)
  if (carried === undefined || carried.fact(SINCE) === digest) return carried
  carried.close()
  return undefined
}

/** The same for writing; begun anew when it is of an earlier snapshot. Close it. */
export async function carriedForWriting(run: StepRun, effects: Effects): Promise<FileStore> {
  const digest = String(run.recall(RESTORED_FILES_KEY) ?? '')
  const known = openCarried(run, effects, digest)
  known?.close()
  if (known === undefined) await FileStore.remove(carriedDirectory(run), effects)
  const carried = FileStore.open(carriedDirectory(run), effects)
  if (carried.fact(SINCE) === undefined) await carried.setFact(SINCE, digest)
  return carried
}

/**
 * What both hosts last had in common: the snapshot as it was restored, and what was carried since. Read-only; `undefined` when there
 * is nothing yet and it is only a rehearsal. Close it. Throws MigrateError `files-not-restored`.
 */
export class FilesBase {
  readonly #manifest: FileStore
  readonly #carried: FileStore | undefined
  readonly isChosen: Choice
  /** How many entries the snapshot has. */
  readonly count: number

  private constructor(manifest: FileStore, carried: FileStore | undefined, count: number) {
    this.#manifest = manifest
    this.#carried = carried
    this.isChosen = selectionOf(manifest)
    this.count = count
  }

  static open(run: StepRun, effects: Effects, step: string): FilesBase | undefined {
    const manifest = FileStore.openExisting(filesDirectory(run), effects)
    const totals = manifest?.marked()
    if (manifest !== undefined && totals !== undefined && totals.digest === run.recall(RESTORED_FILES_KEY))
      return new FilesBase(manifest, openCarried(run, effects, totals.digest), totals.entries)
    manifest?.close()
    if (run.dryRun) return undefined
    throw new MigrateError(
      'files-not-restored',
      `${step} can't tell which files are new: this run's snapshot of files was not brought to the new host as a whole. Nothing was changed.`,
      { hint: 'Put snapshot-files and restore-files before it in the playbook; or run with --from restore-files.' },
    )
  }

  /** In the order of `comparePaths`. */
  *entries(): Generator<StoredEntry> {
    const carried = this.#carried?.entries()
    let next = carried?.next()
    for (const entry of this.#manifest.entries()) {
      for (; next?.done === false && comparePaths(next.value.path, entry.path) < 0; next = carried?.next()) yield next.value
      if (next?.done === false && next.value.path === entry.path) {
        yield next.value
        next = carried?.next()
      } else yield entry
    }
    for (; next?.done === false; next = carried?.next()) yield next.value
  }

  close(): void {
    this.#manifest.close()
    this.#carried?.close()
  }
}
