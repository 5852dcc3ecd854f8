import type { Readable } from 'node:stream'
import { MigrateError } from '../../base/errors.ts'
import type { LanePart } from '../adrift.ts'
import type { Asides } from '../asides.ts'
import { escapes, foldersAbove, parentOf, partPath, targetStaysInside } from '../paths.ts'
import type { WriteOptions, WrittenFile } from '../port.ts'
import { provenBytes } from '../resume.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'
import { ignoring } from './failures.ts'
import type { SftpRoot } from './inside.ts'
import { readFolder } from './listing.ts'
import { renamingBy } from './renaming.ts'
import { type PartName, writePart } from './transfer.ts'

/** OpenSSH's PROTOCOL file, section 4.3. */
export const REPLACE = 'posix-rename@openssh.com'

/** A file on its way. Paths are relative to the root. */
interface Place {
  readonly path: string
  readonly label: string
  readonly boundary: SftpRoot
  readonly asides: Asides
  /** A name for a part in a folder, that no other one has. */
  newPart(folder: string): LanePart
  /** Throws when something else stands under the path by now than is to be replaced. */
  look(): Promise<void>
  /** Whether a file of so many bytes is on the host's disk before it gets its name. */
  flushes(bytes: number): Promise<boolean>
}

class Part implements PartName {
  readonly #place: Pick<Place, 'path' | 'boundary' | 'newPart'>
  path: string
  #changed: LanePart | undefined

  constructor(place: Pick<Place, 'path' | 'boundary' | 'newPart'>) {
    this.#place = place
    this.path = partPath(place.path)
  }

  get full(): string {
    return this.#place.boundary.full(this.path)
  }

  change(): void {
    this.#changed = this.#place.newPart(parentOf(this.path))
    this.path = this.#changed.path
  }

  /** Whether another try goes on with it, by its name. */
  get isFound(): boolean {
    return this.#changed === undefined
  }

  /** `isLeft`: it may stand there still. */
  over(isLeft: boolean): void {
    this.#changed?.over(isLeft)
  }
}

/**
 * Writes a file under the name of its part and renames it; goes on with a part of an earlier try where it can. `partHash`: SHA-256 of the part
 * as it stands.
 */
export async function writeByPart(
  channel: SftpChannel,
  place: Place,
  content: Readable,
  options: WriteOptions,
  partHash: () => Promise<string>,
  signal: AbortSignal | undefined,
): Promise<WrittenFile> {
  const part = new Part(place)
  let isBroken = false
  content.once('error', () => {
    isBroken = true
  })
  try {
    const from = await provenBytes(options.again, await partBytes(channel, options, part.full), partHash)
    const written = await writePart(channel, part, content, { ...options, flushes: place.flushes }, signal, from)
    await place.asides.mend(renamingBy(channel, place), place.path)
    await place.look()
    await putInPlace(channel, place, part.path)
    part.over(false)
    return from === 0 ? written : { ...written, resumedAt: from }
  } catch (error) {
    const goesOn =
      part.isFound &&
      options.again !== undefined &&
      !isBroken &&
      !(error instanceof MigrateError) &&
      statusOf(error) === undefined
    content.destroy()
    // A leftover does no harm, but on a full disk it takes room; the first error is the one to tell.
    const isRemoved =
      !channel.isLost &&
      !goesOn &&
      (await channel.remove(part.full).then(
        () => true,
        () => false,
      ))
    part.over(!isRemoved)
    throw error
  }
}

async function partBytes(channel: SftpChannel, options: WriteOptions, part: string): Promise<number | undefined> {
  if (options.again === undefined) return undefined
  const stats = await channel.lstat(part).catch((error: unknown) => ignoring(STATUS.missing, error))
  return stats?.isFile() ? stats.size : undefined
}

/**
 * Renames a whole file over the target, and removes what an earlier process may have left of it under the name of its part: one that was
 * killed may have sent it by SFTP, and nobody would come back to that.
 */
export async function placeWhole(channel: SftpChannel, from: string, target: string, part: string): Promise<void> {
  const left = channel.remove(part).catch((error: unknown) => ignoring(STATUS.missing, error))
  for (const end of await Promise.allSettled([channel.replace(from, target), left]))
    if (end.status === 'rejected') throw end.reason
}

/**
 * Renames a part over its path: in one step with the extension, and otherwise, where a plain rename doesn't replace, in two. A server says no
 * more than "failure" of a name that is taken.
 */
async function putInPlace(channel: SftpChannel, place: Omit<Place, 'look' | 'flushes'>, partOf: string): Promise<void> {
  const { path, boundary } = place
  const [part, full] = [boundary.full(partOf), boundary.full(path)]
  if (channel.has(REPLACE)) return channel.replace(part, full)
  try {
    await channel.rename(part, full)
  } catch (error) {
    const status = statusOf(error)
    if (status === undefined || status === STATUS.denied || status === STATUS.missing) throw error
    await place.asides.replace(renamingBy(channel, place), path, error, partOf)
  }
}

export const isMissing = (channel: SftpChannel, full: string): Promise<boolean> =>
  channel.lstat(full).then(
    () => false,
    (error: unknown) => statusOf(error) === STATUS.missing,
  )

/** Makes the folders above a path that aren't there, none of them through a link that leads outside. */
export async function makeFoldersFor(channel: SftpChannel, boundary: SftpRoot, path: string): Promise<void> {
  await boundary.check(path, boundary.by(channel))
  if (boundary.knows(parentOf(path))) return
  for (const folder of foldersAbove(path)) {
    if (boundary.knows(folder)) continue
    try {
      await channel.makeFolder(boundary.full(folder))
      boundary.remember(folder)
    } catch (error) {
      // Servers say only "failure" of a folder that is there already.
      const there = await channel.stat(boundary.full(folder)).catch(() => undefined)
      if (there === undefined || !there.isDirectory()) throw error
    }
  }
}

/** Makes a folder and those above it; none of them through a link that leads outside. */
export async function makeFolderAt(channel: SftpChannel, boundary: SftpRoot, path: string): Promise<void> {
  // Where the one above is a real folder, one that can be made is one too.
  const isMade =
    boundary.knows(parentOf(path)) &&
    !boundary.knows(path) &&
    (await channel.makeFolder(boundary.full(path)).then(
      () => true,
      () => false,
    ))
  if (isMade) boundary.remember(path)
  else await makeFoldersFor(channel, boundary, `${path}/x`) // which tells what is wrong
}

/** Makes or replaces a link. Throws `path-escapes-root` for one that leads outside. */
export async function makeLinkAt(channel: SftpChannel, place: Omit<Place, 'look' | 'flushes'>, target: string): Promise<void> {
  const { path, label, boundary } = place
  if (!targetStaysInside(path, target, boundary.full(''))) throw escapes(label, path, `would be a link to ${target}`)
  await makeFoldersFor(channel, boundary, path)
  const part = boundary.full(partPath(path))
  await channel.remove(part).catch((error: unknown) => ignoring(STATUS.missing, error))
  await channel.makeLink(part, target)
  await putInPlace(channel, place, partPath(path))
}

/** Removes a folder; no error when it isn't there or isn't empty. */
export async function removeIfEmpty(channel: SftpChannel, label: string, path: string, full: string): Promise<void> {
  try {
    await channel.removeFolder(full)
  } catch (error) {
    if (statusOf(error) === STATUS.missing) return
    // "Failure" is all that servers say of a folder that isn't empty.
    if (statusOf(error) !== STATUS.failure) throw error
    const held = await readFolder(channel, label, path, full)
    if (held.length === 0) throw error
  }
}
