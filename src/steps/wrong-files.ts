import { join } from 'node:path'
import type { LongList } from '../base/long-list.ts'
import type { HashedEntry } from '../files/merge.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { FileStore } from './file-store.ts'

/**
 * What stands on the target and isn't what was sent there, by path, as it was last looked at: to be sent once more. Kept in the run's folder,
 * however many they are. A list that was cut off is no harm: what isn't in it is found wrong anew.
 */
export class WrongFiles {
  readonly #store: FileStore | undefined

  private constructor(store: FileStore | undefined) {
    this.#store = store
  }

  /** What is known of a step; close it. */
  static open(run: StepRun, step: string, effects: Effects): WrongFiles {
    return new WrongFiles(FileStore.openExisting(directoryOf(run, step), effects))
  }

  get(path: string): HashedEntry | undefined {
    return this.#store?.entry(path)
  }

  close(): void {
    this.#store?.close()
  }

  /** Nothing else is known to be wrong from now on. */
  static async replace(run: StepRun, step: string, effects: Effects, wrong: LongList<HashedEntry>): Promise<void> {
    await FileStore.remove(directoryOf(run, step), effects)
    if (wrong.length > 0) await keep(run, step, effects, wrong.pages())
  }

  /** These are known to be wrong, too. */
  static add(run: StepRun, step: string, effects: Effects, wrong: readonly HashedEntry[]): Promise<void> {
    return keep(run, step, effects, [wrong])
  }
}

async function keep(run: StepRun, step: string, effects: Effects, pages: Iterable<readonly HashedEntry[]>): Promise<void> {
  const store = FileStore.open(directoryOf(run, step), effects, { toDisk: true })
  try {
    for (const page of pages) await Promise.all(page.map((entry) => store.keep(entry, null)))
    store.rest()
  } finally {
    store.close()
  }
}

const directoryOf = (run: StepRun, step: string): string => join(run.directory, 'files-wrong', step)
