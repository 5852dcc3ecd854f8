import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { canonicalJson, type Json } from '../base/json.ts'
import { fileMissing } from '../files/failures.ts'
import { changedMeanwhile } from '../files/last-look.ts'
import { partPath } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { proveArrival } from './file-arrival.ts'
import { FileStore, type StoredEntry } from './file-store.ts'

/**
 * What stood on the new host under names that a change replaced or removed, kept in the run's folder before the change takes
 * effect, so that undo gives it back byte for byte. Not in the journal: a config file holds passwords.
 */
export class BeforeImages {
  readonly #store: FileStore
  readonly #name: string

  private constructor(store: FileStore, name: string) {
    this.#store = store
    this.#name = name
  }

  /** The before-images of one change of one step. Close them. */
  static open(run: StepRun, step: string, change: Json, effects: Effects): BeforeImages {
    const name = createHash('sha256')
      .update(`${step} ${canonicalJson(change)}`)
      .digest('hex')
      .slice(0, 24)
    return new BeforeImages(FileStore.open(join(run.directory, 'files-before'), effects, { toDisk: true }), name)
  }

  get(path: string): StoredEntry | undefined {
    const entry = this.#store.entry(this.#key(path))
    return entry === undefined ? undefined : { ...entry, path }
  }

  /**
   * Saves what stands under a path now, once: a second call for the same path changes nothing. Throws MigrateError `file-changed-meanwhile`
   * when somebody writes to it at that very moment, and what `proveArrival` throws.
   */
  async save(host: FileHost, path: string, signal: AbortSignal): Promise<void> {
    if (this.get(path) !== undefined) return
    const entry = await host.stat(path)
    if (entry === undefined || entry.kind === 'other') return
    if (entry.kind !== 'file') return this.#store.keep({ ...entry, path: this.#key(path), sha256: null }, null)
    const taken = await this.#store.objects.takeFrom(entry, (offset) => host.read(path, { entry, offset, signal }))
    await proveArrival(host, entry, taken, signal)
    if (taken.size !== entry.size) throw changedMeanwhile(host.label, path, 'changed')
    await this.#store.keep({ ...entry, path: this.#key(path), size: taken.size, sha256: taken.sha256 }, taken.small)
  }

  /**
   * Puts back what was saved, and leaves nothing of what was on its way there. Nothing saved: nothing had been changed, and nothing is
   * done.
   */
  async giveBack(host: FileHost, path: string, signal: AbortSignal): Promise<void> {
    const saved = this.get(path)
    if (saved === undefined) return
    if (saved.kind === 'folder') return host.makeFolder(path, saved.mode)
    if (saved.kind === 'link') return host.link(path, saved.target ?? '')
    const present = await host.stat(path)
    // A file that is written takes the part's place.
    if (isSame(saved, present) && (await host.sha256(path, signal)) === saved.sha256) return removePart(host, saved)
    const written = await host.write(path, this.content(saved), { mode: saved.mode, mtimeSeconds: saved.mtimeSeconds }, signal)
    if (written.sha256 !== saved.sha256) throw fileMissing(host.label, path)
  }

  content(saved: StoredEntry): Readable {
    return this.#store.content(saved)
  }

  close(): void {
    this.#store.close()
  }

  #key(path: string): string {
    return `${this.#name}/${path}`
  }
}

/** What had arrived of a file when its way there was cut off: nothing of the site's, and it is in nobody's listing. */
export async function removePart(host: FileHost, { kind, path }: Pick<FileEntry, 'kind' | 'path'>): Promise<void> {
  if (kind === 'file') await host.remove(partPath(path))
}

const isSame = (a: FileEntry, b: FileEntry | undefined): boolean =>
  b !== undefined && a.kind === b.kind && a.size === b.size && a.mode === b.mode && a.mtimeSeconds === b.mtimeSeconds
