import { join } from 'node:path'
import type { Effects, StepRun } from '../run/step.ts'
import { FileStore } from './file-store.ts'

/** What stood on the new host before the relay put its first file there, and what it has put there: what undo goes by. */
export class RelayRecords {
  readonly standing: FileStore
  readonly put: FileStore

  private constructor(standing: FileStore, put: FileStore) {
    this.standing = standing
    this.put = put
  }

  static open(run: StepRun, effects: Effects): RelayRecords {
    const [standing, put] = foldersOf(run)
    return new RelayRecords(FileStore.open(standing, effects), FileStore.open(put, effects))
  }

  /** What was put, read-only; `undefined` when nothing was relayed. Close it. */
  static openPut(run: StepRun, effects: Effects): FileStore | undefined {
    return FileStore.openExisting(foldersOf(run)[1], effects)
  }

  static async remove(run: StepRun, effects: Effects): Promise<void> {
    for (const folder of foldersOf(run)) await FileStore.remove(folder, effects)
  }

  close(): void {
    this.standing.rest()
    this.put.rest()
    this.standing.close()
    this.put.close()
  }
}

const foldersOf = (run: StepRun): readonly [string, string] => [
  join(run.directory, 'files-standing'),
  join(run.directory, 'files-put'),
]
