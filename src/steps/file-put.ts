import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { InFlight } from '../files/in-flight.ts'
import { parentOf } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { shownPath } from '../files/raw-names.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { BeforeImages, removePart } from './before-images.ts'
import { type Batch, entriesOf, entrySchema, folderMode } from './file-batches.ts'
import { BYTES_AT_ONCE, filesAtOnce, MANY } from './file-fetch.ts'
import { RESUMED_BYTES } from './file-objects.ts'
import type { FileStore, StoredEntry } from './file-store.ts'

export const deletionSchema = z.object({ do: z.literal('delete'), entries: z.array(entrySchema) }).readonly()
type Deletion = z.infer<typeof deletionSchema>

/** Where files are put, and for which step of which run. */
export interface Putting {
  readonly host: FileHost
  readonly step: string
  readonly effects: Effects
  readonly run: StepRun
}

/**
 * Writes a batch on the new host. What stands there already is saved before it is replaced. Returns whether the host took the times of all
 * files.
 */
export async function putBatch(to: Putting, store: FileStore, batch: Batch): Promise<boolean> {
  let isTimed = true
  await withImages(to, batch, (before) =>
    sideBySide(to, async (flight) => {
      if (batch.files >= MANY) to.host.prepare?.('write', batch.bytes)
      const replaced = new Set(batch.before.map((entry) => entry.path))
      const inTurn = new InTurn()
      let done = 0
      const put = async (entry: StoredEntry): Promise<void> => {
        if (replaced.has(entry.path)) await before.save(to.host, entry.path, flight.signal)
        if (!(await putEntry(to.host, store, entry, flight.signal))) isTimed = false
        done += entry.size
        to.run.progress(done, batch.bytes, 'bytes', entry.path)
      }
      for (const entry of entriesOf(store, batch)) {
        await inTurn.start(flight, entry, () => put(entry))
      }
      await flight.drain()
    }),
  )
  return isTimed
}

/** Lends the images of what stood on the host before this change. */
async function withImages(to: Putting, change: Batch | Deletion, work: (before: BeforeImages) => Promise<void>): Promise<void> {
  const before = BeforeImages.open(to.run, to.step, change, to.effects)
  try {
    await work(before)
  } finally {
    before.close()
  }
}

/**
 * Puts entries side by side: each when its folder is there (one folder after the other would cost round trips for each), and when an
 * earlier one of the same path is.
 */
export class InTurn {
  /** Paths under way. */
  readonly #underWay = new Map<string, Promise<void>>()

  /** Entries come with a folder before what it holds. */
  start(flight: InFlight, { path, size }: FileEntry, put: () => Promise<void>): Promise<void> {
    const begin = (): Promise<void> => {
      const ready = this.#underWay.get(parentOf(path))
      const over = (): void => void this.#underWay.delete(path)
      const made = (ready === undefined ? put() : ready.then(put)).then(over, (error: unknown) => {
        over()
        throw error
      })
      this.#underWay.set(path, made)
      return made
    }
    const earlier = this.#underWay.get(path)
    return earlier === undefined ? flight.start(size, begin) : earlier.then(() => flight.start(size, begin))
  }
}

/** Whatever `work` starts has ended when this returns or throws. */
export async function sideBySide({ host, run }: Putting, work: (flight: InFlight) => Promise<void>): Promise<void> {
  const flight = new InFlight(filesAtOnce(host), BYTES_AT_ONCE, run.signal)
  try {
    await work(flight)
  } finally {
    await flight.settle()
  }
}

/** Makes a link, and reads back where it leads: hosts were seen that take its end for its name. Throws MigrateError `files-failed`. */
export async function putLink(host: FileHost, { path, target }: FileEntry): Promise<void> {
  await host.link(path, target ?? '')
  const there = await host.stat(path)
  if (there?.kind === 'link' && there.target === target) return
  const [link, wanted, found] = [path, target ?? '', there?.target ?? ''].map((each) => shownPath(JSON.stringify(each)))
  throw new MigrateError(
    'files-failed',
    `The link ${link} was made on ${host.label} and was to lead to ${wanted}; ${there?.kind === 'link' ? `it leads to ${found}` : 'none stands there now'}.`,
    { hint: 'Run again: it is made anew. If it happens again, exclude it in the playbook and make it by hand.' },
  )
}

/** Returns whether the host took the entry's time, where it has one to take. */
export async function putEntry(host: FileHost, store: FileStore, entry: StoredEntry, signal: AbortSignal): Promise<boolean> {
  if (entry.kind === 'folder') await host.makeFolder(entry.path, folderMode(entry.mode))
  if (entry.kind === 'link') await putLink(host, entry)
  if (entry.kind !== 'file') return true
  const again = entry.size > RESUMED_BYTES ? { again: () => store.content(entry) } : {}
  const options = { mode: entry.mode, mtimeSeconds: entry.mtimeSeconds, ...again }
  const written = await host.write(entry.path, store.content(entry), options, signal)
  if (written.sha256 !== entry.sha256) {
    throw new MigrateError('snapshot-damaged', `What was sent as ${entry.path} is not what was saved of it.`, {
      hint: 'Remove the "files" folder in the run’s folder and run again.',
    })
  }
  return written.untimed !== true
}

/**
 * Takes a batch back: what stood there before is given back, what wasn't there is removed. A file that somebody changed since is
 * left, and told about: it is nobody's to throw away.
 */
export const takeBackBatch = (from: Putting, store: FileStore, batch: Batch): Promise<void> =>
  withImages(from, batch, (before) =>
    sideBySide(from, async (flight) => {
      const replaced = new Set(batch.before.map((entry) => entry.path))
      const folders: StoredEntry[] = []
      const takeBack = async (entry: StoredEntry): Promise<void> => {
        if (replaced.has(entry.path)) await before.giveBack(from.host, entry.path, flight.signal)
        else await removeOurs(from.host, entry, from.run)
      }
      for (const entry of entriesOf(store, batch)) {
        if (entry.kind === 'folder') folders.push(entry)
        else await flight.start(0, () => takeBack(entry))
      }
      await flight.drain()
      for (const folder of folders.reverse()) {
        if (replaced.has(folder.path)) await takeBack(folder)
        else await from.host.removeFolder(folder.path)
      }
      await from.host.sweep?.()
    }),
  )

/** Removes what was put under a path, or is on its way there; `former`: the hash of another content that was put there before. */
export async function removeOurs(host: FileHost, entry: StoredEntry, run: StepRun, former?: string): Promise<void> {
  const present = await host.stat(entry.path)
  if (present !== undefined && (await isOurs(host, entry, present))) return host.remove(entry.path)
  await removePart(host, entry)
  if (present === undefined) return
  if (former !== undefined && present.kind === 'file' && (await host.sha256(entry.path)) === former)
    return host.remove(entry.path)
  tellChanged(host, entry.path, run)
}

/** What somebody changed since is nobody's to throw away. */
export function tellChanged(host: FileHost, path: string, run: StepRun): void {
  run.emit({
    event: 'finding',
    severity: 'warning',
    code: 'file-changed-since',
    message: `${path} on ${host.label} was changed after migrate put it there, and is left as it is.`,
    hint: 'Remove it by hand if nobody needs it.',
  })
}

export async function isOurs(host: FileHost, entry: StoredEntry, present: FileEntry): Promise<boolean> {
  if (present.kind !== entry.kind) return false
  if (entry.kind === 'link') return present.target === entry.target
  if (present.size !== entry.size) return false
  if (Math.floor(present.mtimeSeconds) === Math.floor(entry.mtimeSeconds)) return true
  return (await host.sha256(entry.path)) === entry.sha256
}

/** Removes what the old host doesn't have, after saving it. */
export const deleteEntries = (from: Putting, change: Deletion): Promise<void> =>
  withImages(from, change, async (before) => {
    for (const entry of [...change.entries].reverse()) {
      from.run.signal.throwIfAborted()
      await before.save(from.host, entry.path, from.run.signal)
      if (entry.kind === 'folder') await from.host.removeFolder(entry.path)
      else await from.host.remove(entry.path)
    }
  })

/** Puts back what `deleteEntries` removed. */
export const restoreDeleted = (to: Putting, change: Deletion): Promise<void> =>
  withImages(to, change, async (before) => {
    for (const entry of change.entries) await before.giveBack(to.host, entry.path, to.run.signal)
    await to.host.sweep?.()
  })
