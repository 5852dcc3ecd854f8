import { LongList } from '../base/long-list.ts'
import { partOf } from '../files/paths.ts'
import type { FileEntry, FileHost, FilePowers } from '../files/port.ts'
import { MOST_DELETED, trulyGone } from './deletions.ts'
import { isRight, leadsOutside } from './file-batches.ts'
import type { FileStore } from './file-store.ts'

/** So many files are asked about together; no more of them are held. */
const ASKED_TOGETHER = 512

export interface SurplusRules {
  /** Absent: the old host can't be asked any more. */
  readonly old: FileHost | undefined
  readonly isChosen: (path: string) => boolean
  /** Whether the playbook wants removed what was never saved from the old host. */
  readonly deletes: boolean
  readonly powers: FilePowers
  /** Whether the snapshot has a path. */
  isSaved(path: string): boolean
  /** What the relay put on the new host. */
  readonly put: FileStore | undefined
  readonly signal: AbortSignal
  /** Throws when so many may not be removed. */
  allow(count: number): void
}

/** What the new host has and the snapshot doesn't. */
export class Surplus {
  readonly #rules: SurplusRules
  /** Put there by the relay before the old host removed it; and what the old host doesn't have when it is asked once more. */
  readonly #removed = new LongList<FileEntry>(MOST_DELETED)
  #gone = 0
  #waiting: { readonly entry: FileEntry; readonly isOurs: boolean }[] = []

  constructor(rules: SurplusRules) {
    this.#rules = rules
  }

  /** In the order of the listing. What the playbook left out of the snapshot is nothing that the old host lacks; and what could not be put back stays. */
  async add(entry: FileEntry): Promise<void> {
    if (entry.kind === 'other' || leadsOutside(entry)) return
    const { deletes, isChosen, powers, put } = this.#rules
    const known = put?.entry(entry.path)
    const isOurs = known === undefined ? this.#isCutOff(entry) : isRight(known, entry, powers)
    if (isOurs || (deletes && isChosen(entry.path))) this.#waiting.push({ entry: { ...entry }, isOurs })
    if (this.#waiting.length >= ASKED_TOGETHER) await this.#ask()
  }

  /** The part of a file that the relay was cut off at, and that the old host then removed: nobody else would come back to it. */
  #isCutOff({ path }: FileEntry): boolean {
    const { put, isSaved } = this.#rules
    const whose = partOf(path)
    return whose !== undefined && put?.entry(whose) !== undefined && !isSaved(whose)
  }

  /** Once all were added: what is to be removed, in their order. */
  async end(): Promise<LongList<FileEntry>> {
    await this.#ask()
    return this.#removed
  }

  close(): void {
    this.#rules.put?.close()
  }

  async #ask(): Promise<void> {
    const { old, signal, allow } = this.#rules
    const waiting = this.#waiting
    this.#waiting = []
    const unknown = waiting.flatMap(({ entry, isOurs }) => (isOurs ? [] : [entry]))
    const gone = new Set(
      old === undefined ? unknown : await trulyGone(old, unknown, signal, (count) => allow(this.#gone + count)),
    )
    this.#gone += gone.size
    allow(this.#gone)
    for (const { entry, isOurs } of waiting) if (isOurs || gone.has(entry)) this.#removed.add(entry)
  }
}
