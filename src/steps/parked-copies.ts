import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { keepingError } from '../base/disk-full.ts'
import { codeOf, MigrateError } from '../base/errors.ts'
import { fileMissing } from '../files/failures.ts'
import { counting } from '../files/hash-of.ts'
import { type HashedEntry, looksAlike } from '../files/merge.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { proveArrival } from './file-arrival.ts'
import { untilItsTimeIsOver } from './file-young.ts'
import type { ParkedList } from './parked-files.ts'
import { KEPT, otherName } from './parked-names.ts'

/** A file that changes at every reading is kept as it is after so many. */
const MOST_READINGS = 5

/** A copy of a parked file, and what it is a copy of: with its own hash. */
interface Copy {
  readonly kept: string
  readonly source: HashedEntry
}

/**
 * Fetches a file into the run's folder: whole under its name and on disk, or not at all. `undefined`: it isn't there any more. Throws also what
 * `proveArrival` does.
 */
export async function keepCopy(
  host: FileHost,
  from: 'old' | 'new',
  path: string,
  list: ParkedList,
  run: StepRun,
): Promise<Copy | undefined> {
  const coming = join(run.directory, KEPT, 'coming')
  try {
    await mkdir(join(run.directory, KEPT), { recursive: true, mode: 0o700 })
    const source = await fetchSteadily(host, path, coming, run)
    if (source === undefined) return undefined
    const kept = list.nameFor(from, path)
    if (await placed(coming, join(run.directory, kept))) return { kept, source }
    // What an earlier copy has left is in the way, a file where a folder should be or the other way round.
    const other = otherName(from, path)
    if (await placed(coming, join(run.directory, other))) return { kept: other, source }
    throw new MigrateError(
      'parked-damaged',
      `No copy of ${path} could be kept as ${other} in the run's folder: a folder is in its place.`,
      {
        hint: `Move ${join(run.directory, KEPT)} away and run again.`,
      },
    )
  } catch (error) {
    throw keepingError(error, run.directory)
  } finally {
    await rm(coming, { force: true })
  }
}

async function fetchSteadily(host: FileHost, path: string, to: string, run: StepRun): Promise<HashedEntry | undefined> {
  let entry = await host.stat(path)
  for (let round = 1; ; round += 1) {
    if (entry?.kind !== 'file') return undefined
    await untilItsTimeIsOver(host, entry, run.clock, run.signal)
    const came = await fetchOnce(host, entry, to, run).catch(undefinedIfMissing)
    const after = await host.stat(path)
    if (came !== undefined) {
      await proveArrival(host, entry, came, run.signal)
      if (after === undefined || looksAlike(after, entry) || round === MOST_READINGS) return { ...entry, ...came }
    } else if (round === MOST_READINGS) throw fileMissing(host.label, path)
    entry = after
  }
}

/** It went between being looked at and being read: then it is looked at again. */
function undefinedIfMissing(error: unknown): undefined {
  if (codeOf(error) !== 'file-missing') throw error
}

async function fetchOnce(host: FileHost, entry: FileEntry, to: string, run: StepRun): Promise<{ size: number; sha256: string }> {
  const { through, came } = counting()
  const content = await host.read(entry.path, { entry, signal: run.signal })
  // `flush`: on disk before it is closed.
  await pipeline(content, through, createWriteStream(to, { mode: 0o600, flush: true }), { signal: run.signal })
  return came()
}

const IN_THE_WAY = ['EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EPERM']

/** False when something of another kind is in the way. */
async function placed(from: string, to: string): Promise<boolean> {
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await rename(from, to)
    return true
  } catch (error) {
    if (IN_THE_WAY.includes(codeOf(error) ?? '')) return false
    throw error
  }
}

/** Removes a copy that nobody is to decide about any more. Take it from the list first: one that is listed and gone is settled. */
export const dropCopy = (kept: string, run: StepRun): Promise<void> => rm(join(run.directory, kept), { force: true })
