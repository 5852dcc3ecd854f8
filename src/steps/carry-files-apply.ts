import { codeOf } from '../base/errors.ts'
import type { Throttle } from '../databases/snapshot/pace.ts'
import { changedMeanwhile } from '../files/last-look.ts'
import { type HashedEntry, isAlike, looksAlike } from '../files/merge.ts'
import type { FileEntry, FileHost, WrittenFile } from '../files/port.ts'
import { BeforeImages, removePart } from './before-images.ts'
import type { CarryChange, CarryItem, Carrying, Conflict } from './carry-files-plan.ts'
import { folderMode } from './file-batches.ts'
import { InTurn, type Putting, sideBySide, tellChanged } from './file-put.ts'
import type { FileStore } from './file-store.ts'
import { carriedForWriting } from './files-base.ts'
import { inItsTurn } from './old-shop-pace.ts'
import { dropCopy, keepCopy, keptPath, type ParkedFile, readParkedFiles, writeParkedFiles } from './parked-files.ts'

/** Where files are carried from and to. `host` of Putting is the target. */
export interface CarryingTo extends Putting {
  readonly source: FileHost
  readonly sourceSide: 'old' | 'new'
  /** How fast the source may be read; as fast as it goes when absent. */
  readonly throttle?: Throttle | undefined
}

/** A file that changes at every reading is taken as it is after so many. */
const MOST_READINGS = 5

interface Work extends CarryingTo {
  readonly before: BeforeImages
  readonly carried: FileStore
}

/** Lends the images of what stood on the target before this change, and the record of what was carried. */
async function withRecords(to: CarryingTo, change: CarryChange, work: (with_: Work) => Promise<void>): Promise<void> {
  const carried = await carriedForWriting(to.run, to.effects)
  const before = BeforeImages.open(to.run, to.step, change, to.effects)
  try {
    await work({ ...to, before, carried })
  } finally {
    before.close()
    carried.rest()
    carried.close()
  }
}

/** Brings files over. What was changed on the target since it was planned is left, and parked instead. */
export const carryOver = (to: CarryingTo, change: Carrying): Promise<void> =>
  withRecords(to, change, (work) =>
    sideBySide(to.run, async (flight) => {
      let done = 0
      const late: Conflict[] = []
      const carry = async (item: CarryItem): Promise<void> => {
        const conflict = await carryOne(work, item, flight.signal)
        if (conflict !== undefined) late.push(conflict)
        done += item.entry.size
        to.run.progress(done, change.bytes, 'bytes', item.entry.path)
      }
      const inTurn = new InTurn()
      for (const item of change.items)
        await inTurn.start(flight, item.entry, () => inItsTurn(to.throttle, flight.signal, () => carry(item)))
      await flight.drain()
      const parked = new Set(late.map(({ path }) => path))
      await unpark(to, new Set(change.items.map(({ entry }) => entry.path).filter((path) => !parked.has(path))))
      for (const conflict of late) await park(to, conflict)
    }),
  )

/** Returns the conflict that it turned out to be, seen from here. */
async function carryOne(work: Work, item: CarryItem, signal: AbortSignal): Promise<Conflict | undefined> {
  const { host, carried } = work
  const { entry, now } = item
  const { path } = entry
  const present = await host.stat(path)
  if (present !== undefined && (now === null || !looksAlike(now, present))) {
    // Brought there by a try that was cut off, or by somebody else: then it is all the same.
    const standing = await hashed(host, present)
    if (!isAlike(await hashed(work.source, entry), standing)) return conflictOf(item, standing)
    await carried.keep({ ...entry, sha256: standing.sha256 }, null)
    return undefined
  }
  if (present === undefined && now !== null) return conflictOf(item, undefined)
  if (present !== undefined && !(await savedAsPlanned(work, item, signal)))
    return conflictOf(item, await hashed(host, (await host.stat(path)) ?? present))
  try {
    const sent = await send(work, item, signal)
    if (sent !== undefined) await carried.keep(sent, null)
    return undefined
  } catch (error) {
    if (codeOf(error) === 'file-missing' && (await work.source.stat(path)) === undefined) return undefined // the next pass sees that
    if (codeOf(error) !== 'file-changed-meanwhile') throw error
    const late = await host.stat(path)
    return conflictOf(item, late === undefined ? undefined : await hashed(host, late))
  }
}

/** Saves what stands on the target. False when it isn't what was planned by: then it is nobody's to replace. */
async function savedAsPlanned({ host, before }: Work, { entry, now, base }: CarryItem, signal: AbortSignal): Promise<boolean> {
  await before.save(host, entry.path, signal)
  const saved = before.get(entry.path)
  const expected = now?.sha256 ?? (now !== null && base !== null && looksAlike(base, now) ? base.sha256 : null)
  if (expected !== null && saved?.kind === 'file' && saved.sha256 !== expected) return false
  const again = await host.stat(entry.path)
  return saved !== undefined && again !== undefined && looksAlike(saved, again)
}

const hashed = async (host: FileHost, entry: FileEntry): Promise<HashedEntry> => ({
  ...entry,
  sha256: entry.kind === 'file' ? await host.sha256(entry.path) : null,
})

const conflictOf = ({ entry, base }: CarryItem, target: HashedEntry | undefined): Conflict => ({
  path: entry.path,
  reason: 'changed on the other host right before it was to be replaced',
  source: entry,
  target: target ?? null,
  base,
})

/** Sends an entry; a file that changes meanwhile is sent again. `undefined`: it went from the source, and the next pass sees that. */
async function send(work: Work, { entry, now }: CarryItem, signal: AbortSignal): Promise<HashedEntry | undefined> {
  const { host, source, run } = work
  if (entry.kind === 'folder') await host.makeFolder(entry.path, folderMode(entry.mode))
  if (entry.kind === 'link') await host.link(entry.path, entry.target ?? '')
  if (entry.kind !== 'file') return { ...entry, sha256: null }
  let reading: FileEntry = entry
  let replaces: FileEntry | null = now
  for (let round = 1; ; round += 1) {
    const { path, mode, mtimeSeconds } = reading
    const content = await source.read(path, { entry: reading, signal })
    const written = await host.write(path, content, { mode, mtimeSeconds, replaces }, signal)
    const after = await source.stat(path)
    if (after === undefined || looksAlike(after, reading)) return { ...reading, size: written.size, sha256: written.sha256 }
    if (round === MOST_READINGS) {
      run.emit({ event: 'finding', ...keepsChanging(path) })
      return { ...reading, size: written.size, sha256: written.sha256 }
    }
    reading = after
    replaces = await asWritten(host, path, written, signal)
  }
}

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

/** Keeps the source's version in the run's folder, and lists it for a person. */
export async function park(to: CarryingTo, conflict: Conflict): Promise<void> {
  const { path, source } = conflict
  const kept = source.kind === 'file' ? keptPath(to.sourceSide, path) : null
  if (kept !== null) await to.effects('files: park', () => keepCopy(to.source, path, kept, to.run))
  const known = source.sha256 === null ? await hashed(to.source, source) : source
  const parked: ParkedFile = { ...conflict, source: known, from: to.sourceSide, kept }
  await changeParked(to, (list) => list.set(path, parked))
}

/** What was carried waits for nobody any more. */
async function unpark(to: Putting, paths: ReadonlySet<string>): Promise<void> {
  const listed = [...(await readParkedFiles(to.run)).keys()].filter((path) => paths.has(path))
  if (listed.length > 0)
    await changeParked(to, (list) => {
      for (const path of listed) list.delete(path)
    })
}

async function changeParked({ run, effects }: Putting, change: (list: Map<string, ParkedFile>) => void): Promise<void> {
  const list = new Map(await readParkedFiles(run))
  change(list)
  await effects('files: list what is parked', () => writeParkedFiles(run, list))
}

/** A conflict is settled by the target's file: what the source has is known from now on, and no news. */
export const settle = (to: CarryingTo, change: Extract<CarryChange, { do: 'settle' }>): Promise<void> =>
  withRecords(to, change, async ({ carried }) => {
    await carried.keep(change.source, null)
    await changeParked(to, (list) => list.delete(change.path))
  })

/** Puts the source's version beside what stands on the target, which stays; from then on both are known. */
export const keepBoth = (to: CarryingTo, change: Extract<CarryChange, { do: 'both' }>): Promise<void> =>
  withRecords(to, change, async ({ host, source, run, carried }) => {
    const { as, path, source: version } = change
    const there = await host.stat(as)
    if (version.kind === 'link') await host.link(as, version.target ?? '')
    else if (there === undefined) {
      const content = await source.read(path, { entry: version, signal: run.signal })
      const { mode, mtimeSeconds } = version
      const written = await host.write(as, content, { mode, mtimeSeconds, replaces: null }, run.signal)
      if (written.sha256 !== version.sha256) return host.remove(as) // it has changed since; the next pass asks again
    } else if ((await host.sha256(as, run.signal)) !== version.sha256) return
    await carried.keep(version, null)
    await changeParked(to, (list) => list.delete(path))
  })

/** Removes what the source removed, after saving it; what was changed on the target since is left. */
export const carryDeletions = (to: CarryingTo, change: Extract<CarryChange, { do: 'delete' }>): Promise<void> =>
  withRecords(to, change, async ({ host, before, run }) => {
    for (const entry of [...change.entries].reverse()) {
      run.signal.throwIfAborted()
      const present = await host.stat(entry.path)
      if (present === undefined) continue
      if (!looksAlike(entry, present)) {
        tellChanged(host, entry.path, run)
        continue
      }
      await before.save(host, entry.path, run.signal)
      if (entry.kind === 'folder') await host.removeFolder(entry.path)
      else await host.remove(entry.path)
    }
  })

/** Takes a change back: what stood there before is given back; what somebody changed since is left, and told about. */
export const takeBackCarried = (from: CarryingTo, change: CarryChange): Promise<void> =>
  withRecords(from, change, async (work) => {
    const { host, before, run, carried } = work
    if (change.do === 'delete') {
      for (const entry of change.entries) await before.giveBack(host, entry.path, run.signal)
    } else if (change.do === 'carry') {
      for (const item of [...change.items].reverse()) await takeBackOne(work, item)
    } else {
      await changeParked(from, (list) => list.delete(change.path))
      if (change.do === 'both') await takeBackBeside(work, change)
      if (change.do === 'settle' || change.do === 'both') await restoreBase(carried, change)
      else if (change.source.kind === 'file') await dropCopy(keptPath(from.sourceSide, change.path), run)
    }
  })

async function takeBackOne({ host, before, carried, run }: Work, item: CarryItem): Promise<void> {
  const { path } = item.entry
  const sent = carried.entry(path) ?? item.entry
  const present = await host.stat(path)
  const standsAsBefore = present !== undefined && item.now !== null && looksAlike(item.now, present)
  if (present !== undefined && !standsAsBefore && !(await isSent(host, sent, present))) tellChanged(host, path, run)
  else if (item.now !== null) await before.giveBack(host, path, run.signal)
  else if (item.entry.kind === 'folder') await host.removeFolder(path)
  else if (present !== undefined) await host.remove(path)
  else await removePart(host, item.entry)
  await restoreBase(carried, { path, base: item.base })
}

async function takeBackBeside({ host, run }: Work, { as, source }: Extract<CarryChange, { do: 'both' }>): Promise<void> {
  const present = await host.stat(as)
  if (present === undefined) return removePart(host, { ...source, path: as })
  if (await isSent(host, { ...source, path: as }, present)) await host.remove(as)
  else tellChanged(host, as, run)
}

async function isSent(host: FileHost, sent: HashedEntry, present: FileEntry): Promise<boolean> {
  if (sent.sha256 === null || present.kind !== 'file') return looksAlike(sent, present)
  return (await host.sha256(sent.path)) === sent.sha256
}

/** What both last had, as it was known before. */
function restoreBase(carried: FileStore, { path, base }: Pick<Conflict, 'path' | 'base'>): Promise<void> {
  return base === null ? carried.forget(path) : carried.keep(base, null)
}

/** Reads back what was carried and not yet looked at; returns how many files, how many bytes, and the paths that are wrong. */
export async function readBack(
  to: CarryingTo,
  after: number,
): Promise<{ readonly files: number; readonly bytes: number; readonly wrong: readonly string[]; readonly last: number }> {
  const carried = await carriedForWriting(to.run, to.effects)
  const seen = { files: 0, bytes: 0, wrong: [] as string[], last: after }
  try {
    for (;;) {
      const some = carried.arrivedAfter(seen.last, 64)
      if (some.length === 0) return seen
      to.run.signal.throwIfAborted()
      await Promise.all(some.map(({ entry }) => readBackOne(to, entry, seen)))
      seen.last = some.at(-1)?.arrival ?? seen.last
    }
  } finally {
    carried.rest()
    carried.close()
  }
}

async function readBackOne(
  { host, run }: CarryingTo,
  entry: HashedEntry,
  seen: { files: number; bytes: number; readonly wrong: string[] },
): Promise<void> {
  if (entry.kind !== 'file' || entry.sha256 === null) return
  const present = await host.stat(entry.path)
  // Removed or replaced there since, by whom the host serves now.
  if (present === undefined || !looksAlike(entry, present)) return
  if ((await host.sha256(entry.path, run.signal)) !== entry.sha256) return void seen.wrong.push(entry.path)
  seen.files += 1
  seen.bytes += entry.size
}
