import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { MigrateError } from '../base/errors.ts'
import type { Throttle } from '../databases/snapshot/pace.ts'
import { changedMeanwhile } from '../files/last-look.ts'
import { looksAlike } from '../files/merge.ts'
import type { FileEntry, FileHost, WrittenFile } from '../files/port.ts'
import { shownPath } from '../files/raw-names.ts'
import type { CarryItem } from './carry-files-change.ts'
import type { Sent } from './carry-files-proof.ts'
import { proveArrival, readProven } from './file-arrival.ts'
import { folderMode } from './file-batches.ts'
import { isKept } from './file-fetch.ts'
import { RESUMED_BYTES } from './file-objects.ts'
import { type Putting, putLink } from './file-put.ts'
import { FileStore, type StoredEntry } from './file-store.ts'
import { untilItsTimeIsOver } from './file-young.ts'
import { inItsTurn } from './old-shop-pace.ts'

/** A file that changes at every reading is taken as it is after so many. */
const MOST_READINGS = 5

/** Where files are carried from and to. `host` of Putting is the target. */
export interface Sending extends Putting {
  readonly source: FileHost
  readonly onTheWay: OnTheWay
  /** How fast the source may be read; as fast as it goes when absent. */
  readonly throttle?: Throttle | undefined
}

/** Sends an entry; a file that changes meanwhile is sent again. */
export async function send(work: Sending, { entry, now }: CarryItem, signal: AbortSignal): Promise<Sent> {
  const { host, source, run, onTheWay, throttle } = work
  if (entry.kind === 'folder') await host.makeFolder(entry.path, folderMode(entry.mode))
  if (entry.kind === 'link') await putLink(host, entry)
  if (entry.kind !== 'file') return { entry: { ...entry, sha256: null }, stands: undefined }
  let reading: FileEntry = entry
  let replaces: FileEntry | null = now
  for (let round = 1; ; round += 1) {
    const { path, mode, mtimeSeconds } = reading
    // Before its turn comes: others need not wait for that.
    await untilItsTimeIsOver(source, reading, run.clock, signal)
    const written = await inItsTurn(throttle, signal, async () => {
      const { content, again } = await onTheWay.contentOf(source, reading, signal)
      const options = { mode, mtimeSeconds, replaces, ...(again === undefined ? {} : { again }) }
      return host.write(path, content, options, signal)
    })
    const after = await source.stat(path)
    if (after !== undefined && after.kind !== 'file') throw exchanged(source.label, path)
    const isSettled = after === undefined || looksAlike(after, reading)
    if (isSettled || round === MOST_READINGS) {
      if (!isSettled) run.emit({ event: 'finding', ...keepsChanging(path) })
      const sent = { ...reading, size: written.size, sha256: written.sha256 }
      return { entry: sent, stands: written.untimed === true ? await host.stat(path) : undefined }
    }
    reading = after
    replaces = await asWritten(host, path, written, signal)
  }
}

/** Of a file in whose place something else stands by now: what was read may be of that. */
export const EXCHANGED = 'file-exchanged'
const exchanged = (label: string, path: string): MigrateError =>
  new MigrateError(
    EXCHANGED,
    `${shownPath(JSON.stringify(path))} on ${label} became something else than a file while it was read.`,
    {
      hint: 'Run again: what stands there now is looked at anew.',
    },
  )

/** What stands there after it was written, to be replaced by a newer one. Throws `file-changed-meanwhile` when it is somebody else's by now. */
async function asWritten(host: FileHost, path: string, written: WrittenFile, signal: AbortSignal): Promise<FileEntry> {
  const there = await host.stat(path)
  if (there?.kind === 'file' && there.size === written.size && (await host.sha256(path, signal)) === written.sha256) return there
  throw changedMeanwhile(host.label, path, there === undefined ? 'removed' : 'changed')
}

const keepsChanging = (path: string) =>
  ({
    severity: 'warning',
    code: 'file-keeps-changing',
    message: `${path} changed every time it was read; the last state read is on the other host.`,
    hint: 'The next pass brings it once more.',
  }) as const

interface Content {
  readonly content: Readable
  readonly again?: () => Readable
}

/**
 * What is on its way from one host to the other: large files pass through the run's folder, so that neither the way here nor the way on
 * begins anew when it breaks off; small ones go on at once.
 */
export class OnTheWay {
  readonly #directory: string
  readonly #effects: Putting['effects']
  #store: FileStore | undefined

  constructor({ run, effects }: Pick<Putting, 'run' | 'effects'>) {
    this.#directory = join(run.directory, 'files-on-the-way')
    this.#effects = effects
  }

  async contentOf(source: FileHost, entry: FileEntry, signal: AbortSignal): Promise<Content> {
    if (entry.size <= RESUMED_BYTES) return { content: await readProven(source, entry, signal) }
    this.#store ??= FileStore.open(this.#directory, this.#effects)
    const store = this.#store
    const kept = isKept(store, entry) ? store.entry(entry.path) : undefined
    const stored = kept ?? (await fetched(store, source, entry, signal))
    const again = (): Readable => store.content(stored)
    return { content: again(), again }
  }

  /** They need no room here any more; what broke off of others is still to be gone on with. */
  async arrived(entries: readonly FileEntry[]): Promise<void> {
    for (const { path } of entries) {
      const kept = this.#store?.entry(path)
      if (kept === undefined) continue
      await this.#store?.forget(path)
      await this.#store?.objects.drop(kept)
    }
  }

  /** Nothing is on the way any more. */
  async drop(): Promise<void> {
    this.close()
    if (existsSync(this.#directory)) await FileStore.remove(this.#directory, this.#effects)
  }

  close(): void {
    this.#store?.close()
    this.#store = undefined
  }
}

async function fetched(store: FileStore, source: FileHost, entry: FileEntry, signal: AbortSignal): Promise<StoredEntry> {
  const taken = await store.objects.takeFrom(entry, (offset) => source.read(entry.path, { entry, offset, signal }))
  await proveArrival(source, entry, taken, signal)
  const stored = { ...entry, size: taken.size, sha256: taken.sha256 }
  await store.keep(stored, taken.small)
  return stored
}
