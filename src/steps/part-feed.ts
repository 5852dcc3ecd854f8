import { fullName, type Table } from '../databases/schema.ts'
import type { Manifest, Part } from '../databases/snapshot/manifest.ts'
import type { SnapshotStore } from '../databases/snapshot/store.ts'
import type { StepRun } from '../run/step.ts'

/** How long to wait before looking for further parts of a snapshot that is still being taken. */
const LOOK_AGAIN_MS = 200

export interface FedPart {
  readonly table: Table
  readonly part: Part
}

/**
 * Hands out the parts of a snapshot, each once, also of one that is still being taken: then it waits for the parts to come. A table
 * without a key is handed out when all of it is there: until then it may yet be read anew from its first row.
 */
export class PartFeed {
  readonly #store: SnapshotStore
  readonly #tables: readonly Table[]
  readonly #run: StepRun
  readonly #isLoaded: (part: Part) => boolean
  readonly #handedOut = new Set<string>()
  #waiting: FedPart[] = []
  #complete = false
  #seenBytes = -1
  #looking: Promise<void> | undefined
  /** Rows of all the parts that were seen so far, and of those among them that were loaded before. */
  rows = 0
  loadedRows = 0

  constructor(store: SnapshotStore, tables: readonly Table[], isLoaded: (part: Part) => boolean, run: StepRun) {
    this.#store = store
    this.#tables = tables
    this.#isLoaded = isLoaded
    this.#run = run
  }

  /** The next part; `undefined` when the snapshot is complete and all of it was handed out. Several may wait at a time. */
  async next(signal: AbortSignal): Promise<FedPart | undefined> {
    for (let looked = false; ; looked = true) {
      signal.throwIfAborted()
      const fed = this.#take()
      if (fed !== undefined || this.#complete) return fed
      if (looked) await this.#run.clock.sleep(LOOK_AGAIN_MS, signal)
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
      await this.#looking
    }
  }

  /** First what is still in memory, which makes room there. */
  #take(): FedPart | undefined {
    const kept = this.#waiting.findIndex(({ part }) => this.#store.isKept(part))
    return this.#waiting.splice(Math.max(kept, 0), 1)[0]
  }

  /** Further parts that are there already and that `wanted` holds for, at most so many. */
  more(most: number, wanted: (part: Part) => boolean): readonly FedPart[] {
    const taken = this.#waiting.filter(({ part }) => wanted(part)).slice(0, most)
    this.#waiting = this.#waiting.filter((fed) => !taken.includes(fed))
    return taken
  }

  async #look(): Promise<void> {
    const bytes = await this.#store.manifestBytes()
    // Nothing was saved since: there is nothing new to read in it.
    if (bytes === this.#seenBytes) return
    this.#seenBytes = bytes
    const manifest = await this.#store.growingManifest()
    for (const table of this.#tables) this.#gather(table, manifest)
    this.#complete = manifest.complete
  }

  #gather(table: Table, manifest: Manifest): void {
    const saved = manifest.tables.get(fullName(table.name))
    if (saved === undefined || (table.key.length === 0 && !saved.whole)) return
    for (const part of saved.parts) {
      const name = `${part.table} ${part.part}`
      if (this.#handedOut.has(name)) continue
      this.#handedOut.add(name)
      this.rows += part.rows
      if (this.#isLoaded(part)) this.loadedRows += part.rows
      else this.#waiting.push({ table, part })
    }
  }
}
