import type { FileEntry, FileHost, FilePowers } from '../files/port.ts'
import { trulyGone } from './deletions.ts'
import { isRight, leadsOutside } from './file-batches.ts'
import type { FileStore } from './file-store.ts'

/** So many files are asked about together; no more of them are held that may turn out to be the old host's. */
const ASKED_TOGETHER = 512

export interface SurplusRules {
  /** Absent: the old host can't be asked any more. */
  readonly old: FileHost | undefined
  readonly isChosen: (path: string) => boolean
  /** Whether the playbook wants removed what was never saved from the old host. */
  readonly deletes: boolean
  readonly powers: FilePowers
  /** What the relay put on the new host. */
  readonly put: FileStore | undefined
  readonly signal: AbortSignal
  /** Throws when so many may not be removed. */
  allow(count: number): void
}

/** What the new host has and the snapshot doesn't. Memory: what is to be removed. */
export class Surplus {
  readonly #rules: SurplusRules
  /** Put there by the relay before the old host removed it; and what the old host doesn't have when it is asked once more. */
  readonly #ours: FileEntry[] = []
  readonly #gone: FileEntry[] = []
  #unknown: FileEntry[] = []

  constructor(rules: SurplusRules) {
    this.#rules = rules
  }

  /** What the playbook left out of the snapshot is nothing that the old host lacks; and what could not be put back stays. */
  async add(entry: FileEntry): Promise<void> {
    if (entry.kind === 'other' || leadsOutside(entry)) return
    const { deletes, isChosen, powers, put } = this.#rules
    const known = put?.entry(entry.path)
    if (known !== undefined && isRight(known, entry, powers)) this.#ours.push({ ...entry })
    else if (deletes && isChosen(entry.path)) this.#unknown.push({ ...entry })
    if (this.#unknown.length >= ASKED_TOGETHER) await this.#ask()
  }

  /** Once all were added: what is to be removed, in no set order. */
  async end(): Promise<readonly FileEntry[]> {
    await this.#ask()
    return [...this.#ours, ...this.#gone]
  }

  close(): void {
    this.#rules.put?.close()
  }

  async #ask(): Promise<void> {
    const { old, signal, allow } = this.#rules
    const asked = this.#unknown
    this.#unknown = []
    const known = this.#gone.length
    const gone = old === undefined ? asked : await trulyGone(old, asked, signal, (count) => allow(known + count))
    this.#gone.push(...gone)
    allow(this.#gone.length)
  }
}
