import { codeOf } from '../base/errors.ts'
import { isAway } from '../files/adrift.ts'
import type { InFlight } from '../files/in-flight.ts'
import { parentOf } from '../files/paths.ts'
import type { FileHost } from '../files/port.ts'
import { CAME_TO_NOTHING, type ComingFile, cameToNothing, comingTo } from './file-coming.ts'
import type { FileStore, StoredEntry } from './file-store.ts'
import type { RelayRecords } from './relay-records.ts'

/** Where large files are passed on to, and from which store. */
interface PassingOn {
  readonly host: FileHost
  /** The snapshot that is being taken. */
  readonly directory: string
  readonly store: FileStore
  readonly records: RelayRecords
  readonly rewritten: ReadonlySet<string>
  /** To the new host. */
  readonly connections: number
}

/** What became of a file that was passed on: it stands on the new host as that, or nothing came of it. */
export interface Passed {
  readonly stood: StoredEntry | undefined
  readonly isTimed: boolean
}

const NOTHING: Passed = { stood: undefined, isTimed: true }

/**
 * Sends large files to the new host while they still come from the old one: of one that is large beside all others, to wait until it is whole would
 * take twice as long. Only those that neither host nor store had before; whatever comes to nothing comes again.
 */
export class Passing {
  readonly #parts: PassingOn
  readonly #underWay = new Map<string, Promise<Passed>>()

  constructor(parts: PassingOn) {
    this.#parts = parts
  }

  /** Begins with what is coming now. */
  begin(flight: InFlight): void {
    // It takes a connection for as long as the old host does, and others have to go on.
    if (this.#parts.connections < 2) return
    for (const file of comingTo(this.#parts.directory)) {
      const { path, size } = file.entry
      if (!file.hasBegun || !this.#isNew(path) || !flight.hasRoom(size)) continue
      const passed = Promise.withResolvers<Passed>()
      this.#underWay.set(path, passed.promise)
      void flight.start(size, async () => {
        try {
          passed.resolve(await this.#pass(file, flight.signal))
        } finally {
          // Where it failed, the flight does, too.
          passed.resolve(NOTHING)
        }
      })
    }
  }

  /** A file that was passed on, or is on its way; told once. */
  take(path: string): Promise<Passed> | undefined {
    const passed = this.#underWay.get(path)
    this.#underWay.delete(path)
    return passed
  }

  #isNew(path: string): boolean {
    const { store, records, rewritten } = this.#parts
    if (this.#underWay.has(path) || rewritten.has(path)) return false
    const folder = parentOf(path)
    // Which would be made with it, and is to be noted before.
    if (folder !== '' && records.put.entry(folder) === undefined && records.standing.entry(folder) === undefined) return false
    return [store, records.standing, records.put].every((each) => each.entry(path) === undefined)
  }

  async #pass(file: ComingFile, signal: AbortSignal): Promise<Passed> {
    const { host, records, store } = this.#parts
    const { path, mode, mtimeSeconds } = file.entry
    // What arrives of it under the name of its part is to be found again; under its own name it arrives only once that is noted, too.
    await records.put.keep({ ...file.entry, sha256: null }, null)
    let stood: StoredEntry | undefined
    const whole = async (stored: StoredEntry): Promise<void> => {
      // Another one has come since, and is noted already.
      if (store.entry(path)?.sha256 !== stored.sha256) throw cameToNothing(path)
      await records.put.keep(stored, null)
      stood = stored
    }
    try {
      const written = await host.write(path, file.content(whole, signal), { mode, mtimeSeconds }, signal)
      return { stood, isTimed: written.untimed !== true }
    } catch (error) {
      // A host that has to wait long for the next bytes may hang up. If it is gone for good, whatever is put next tells.
      if (codeOf(error) === CAME_TO_NOTHING || (isAway(error) && !signal.aborted)) return NOTHING
      throw error
    }
  }
}
