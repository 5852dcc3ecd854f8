import { codeOf } from '../base/errors.ts'
import type { Throttle } from '../databases/snapshot/pace.ts'
import { type HashedEntry, isAlike, looksAlike } from '../files/merge.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { BeforeImages, removePart } from './before-images.ts'
import type { CarryChange, CarryItem, Carrying, Conflict, Dropping } from './carry-files-change.ts'
import { isSent, keepSent } from './carry-files-proof.ts'
import { EXCHANGED, OnTheWay, type Sending, send } from './carry-files-send.ts'
import { readProven } from './file-arrival.ts'
import { leadsOutside } from './file-batches.ts'
import { REFUSED } from './file-fetch.ts'
import { InTurn, type Putting, sideBySide, tellChanged } from './file-put.ts'
import type { FileStore } from './file-store.ts'
import { carriedForWriting } from './files-base.ts'
import { inItsTurn } from './old-shop-pace.ts'
import { dropCopy, keepCopy } from './parked-copies.ts'
import type { ParkedList } from './parked-files.ts'
import { WrongFiles } from './wrong-files.ts'

/** Where files are carried from and to. `host` of Putting is the target. */
export interface CarryingTo extends Putting {
  readonly source: FileHost
  readonly sourceSide: 'old' | 'new'
  readonly parked: ParkedList
  /** How fast the source may be read; as fast as it goes when absent. */
  readonly throttle?: Throttle | undefined
}

interface Work extends CarryingTo, Sending {
  readonly before: BeforeImages
  readonly carried: FileStore
}

/** Lends the images of what stood on the target before this change, and the record of what was carried. */
async function withRecords(to: CarryingTo, change: CarryChange, work: (with_: Work) => Promise<void>): Promise<void> {
  const carried = await carriedForWriting(to.run, to.effects)
  const before = BeforeImages.open(to.run, to.step, change, to.effects)
  const onTheWay = new OnTheWay(to)
  try {
    await work({ ...to, before, carried, onTheWay })
  } finally {
    onTheWay.close()
    before.close()
    carried.rest()
    carried.close()
  }
}

/** Brings files over. What was changed on the target since it was planned is left, and parked instead. */
export const carryOver = (to: CarryingTo, change: Carrying): Promise<void> =>
  withRecords(to, change, (work) =>
    sideBySide(to, async (flight) => {
      let done = 0
      const late: Conflict[] = []
      const carry = async (item: CarryItem): Promise<void> => {
        const conflict = await carryOne(work, item, flight.signal)
        if (conflict !== undefined) late.push(conflict)
        done += item.entry.size
        to.run.progress(done, change.bytes, 'bytes', item.entry.path)
      }
      const inTurn = new InTurn()
      for (const item of change.items) await inTurn.start(flight, item.entry, () => carry(item))
      await flight.drain()
      await work.onTheWay.arrived(change.items.map(({ entry }) => entry))
      const parked = new Set(late.map(({ path }) => path))
      // What was carried waits for nobody any more.
      await to.parked.remove(change.items.map(({ entry }) => entry.path).filter((path) => !parked.has(path)))
      await park(to, late)
    }),
  )

/** Of a source that has no such file any more, or something else in its place. */
const NO_FILE: readonly string[] = ['file-missing', 'path-escapes-root', EXCHANGED, ...REFUSED]

/** Returns the conflict that it turned out to be, seen from here. */
async function carryOne(work: Work, item: CarryItem, signal: AbortSignal): Promise<Conflict | undefined> {
  const { host, carried } = work
  const { entry, now } = item
  const { path } = entry
  const present = await host.stat(path)
  if (present !== undefined && (now === null || !looksAlike(now, present))) {
    // Brought there by a try that was cut off, or by somebody else: then it is all the same.
    const standing = await hashed(host, present)
    const wanted = await inItsTurn(work.throttle, signal, () => hashed(work.source, entry))
    if (!isAlike(wanted, standing)) return conflictOf(item, standing)
    await carried.keep({ ...entry, sha256: standing.sha256 }, null)
    return undefined
  }
  if (present === undefined && now !== null) return conflictOf(item, undefined)
  // Whatever the rule: it could not be put back.
  if (present !== undefined && leadsOutside(present)) return conflictOf(item, await hashed(host, present))
  try {
    if (present !== undefined && !(await savedAsPlanned(work, item, signal)))
      return conflictOf(item, await hashed(host, (await host.stat(path)) ?? present))
    await keepSent(carried, await send(work, item, signal))
    return undefined
  } catch (error) {
    const code = codeOf(error) ?? ''
    // What was read may have been what a link leads to.
    if (code === EXCHANGED) await (now === null ? host.remove(path) : work.before.giveBack(host, path, signal))
    // The next pass sees that.
    if (NO_FILE.includes(code) && (await work.source.stat(path))?.kind !== entry.kind) return undefined
    if (code !== 'file-changed-meanwhile') throw error
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

/** Does what isn't carrying. */
export async function applyOther(to: CarryingTo, change: Exclude<CarryChange, Carrying>): Promise<void> {
  switch (change.do) {
    case 'park':
      return park(to, change.conflicts)
    case 'settle':
      return settle(to, change)
    case 'both':
      await keepBoth(to, change)
      return to.host.sweep?.()
    case 'delete':
      return carryDeletions(to, change)
    case 'drop':
      return carryDrop(to, change)
  }
}

/** Keeps the source's versions in the run's folder, and lists them for a person. What is gone meanwhile is no conflict: the next pass sees that. */
async function park(to: CarryingTo, conflicts: readonly Conflict[]): Promise<void> {
  for (const conflict of conflicts) {
    to.run.signal.throwIfAborted()
    const listed = { ...conflict, from: to.sourceSide }
    if (conflict.source.kind !== 'file') await to.parked.put({ ...listed, kept: null })
    else {
      const copy = await to.effects('files: park', () => keepCopy(to.source, to.sourceSide, conflict.path, to.parked, to.run))
      if (copy !== undefined) await to.parked.put({ ...listed, ...copy })
    }
  }
}

/** Takes a parking back: the list first, for a copy that is listed and gone is one that a person has settled. */
async function takeBackParked({ parked, run, sourceSide }: CarryingTo, conflicts: readonly Conflict[]): Promise<void> {
  for (const { path } of conflicts.toReversed()) {
    const kept = parked.get(path)?.kept ?? parked.nameFor(sourceSide, path)
    await parked.remove([path])
    await dropCopy(kept, run)
  }
}

/** A conflict is settled by the target's file: what the source has is known from now on, and no news. */
const settle = (to: CarryingTo, change: Extract<CarryChange, { do: 'settle' }>): Promise<void> =>
  withRecords(to, change, async ({ carried }) => {
    await carried.keep(change.source, null)
    await to.parked.remove([change.path])
  })

/** Puts the source's version beside what stands on the target, which stays; from then on both are known. */
const keepBoth = (to: CarryingTo, change: Extract<CarryChange, { do: 'both' }>): Promise<void> =>
  withRecords(to, change, async ({ host, source, run, carried }) => {
    const { as, path, source: version } = change
    const there = await host.stat(as)
    if (version.kind === 'link') await host.link(as, version.target ?? '')
    else if (there === undefined) {
      const content = await readProven(source, version, run.signal)
      const { mode, mtimeSeconds } = version
      const written = await host.write(as, content, { mode, mtimeSeconds, replaces: null }, run.signal)
      // It has changed since, or didn't arrive as it was sent: the next pass asks again.
      if (written.sha256 !== version.sha256 || (await host.sha256(as, run.signal)) !== version.sha256) return host.remove(as)
    } else if ((await host.sha256(as, run.signal)) !== version.sha256) return
    await carried.keep(version, null)
    await to.parked.remove([path])
  })

/** Removes what the source removed, after saving it; what was changed on the target since is left. */
const carryDeletions = (to: CarryingTo, change: Extract<CarryChange, { do: 'delete' }>): Promise<void> =>
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

/** Removes what arrived wrong and can't be sent once more, after saving it. What is there again on the source is sent by the next pass. */
const carryDrop = (to: CarryingTo, change: Dropping): Promise<void> =>
  withRecords(to, change, async ({ host, source, before, run }) => {
    for (const entry of change.entries) {
      run.signal.throwIfAborted()
      const present = (await source.stat(entry.path)) === undefined ? await host.stat(entry.path) : undefined
      if (present === undefined) continue
      if (!looksAlike(entry, present) || (await host.sha256(entry.path, run.signal)) !== entry.sha256) {
        tellChanged(host, entry.path, run)
        continue
      }
      await before.save(host, entry.path, run.signal)
      await host.remove(entry.path)
    }
  })

/** It is wrong as before, and known to be: the change that had sent it takes it away. */
async function takeBackDrop({ host, before, run, step, effects }: Work, { entries }: Dropping): Promise<void> {
  await WrongFiles.add(run, step, effects, entries)
  for (const { path } of entries) if ((await host.stat(path)) === undefined) await before.giveBack(host, path, run.signal)
}

/** Takes a change back: what stood there before is given back; what somebody changed since is left, and told about. */
export const takeBackCarried = (from: CarryingTo, change: CarryChange): Promise<void> =>
  withRecords(from, change, async (work) => {
    const { host, before, run, carried } = work
    if (change.do === 'delete') {
      for (const entry of change.entries) await before.giveBack(host, entry.path, run.signal)
    } else if (change.do === 'carry') {
      const wrong = WrongFiles.open(run, work.step, work.effects)
      try {
        for (const item of [...change.items].reverse()) await takeBackOne(work, item, wrong)
      } finally {
        wrong.close()
      }
      await work.onTheWay.drop()
    } else if (change.do === 'drop') {
      await takeBackDrop(work, change)
    } else {
      if (change.do === 'park') return takeBackParked(from, change.conflicts)
      await from.parked.remove([change.path])
      if (change.do === 'both') await takeBackBeside(work, change)
      await restoreBase(carried, change)
    }
  })

async function takeBackOne({ host, before, carried, run }: Work, item: CarryItem, wrong: WrongFiles): Promise<void> {
  const { path } = item.entry
  // What was sent once more stands where an earlier change put it, which is the one to take it away.
  if (item.mends === true) return
  const sent = carried.entry(path) ?? item.entry
  const present = await host.stat(path)
  const standsAsBefore = present !== undefined && item.now !== null && looksAlike(item.now, present)
  if (present !== undefined && !standsAsBefore && !(await isSent(host, sent, present, wrong.get(path))))
    tellChanged(host, path, run)
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

/** What both last had, as it was known before. */
function restoreBase(carried: FileStore, { path, base }: Pick<Conflict, 'path' | 'base'>): Promise<void> {
  return base === null ? carried.forget(path) : carried.keep(base, null)
}
