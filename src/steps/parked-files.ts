import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { keepingError } from '../base/disk-full.ts'
import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { FileHost } from '../files/port.ts'
import { readJsonFile, writeJsonFile } from '../reconcile/json-file.ts'
import type { StepRun } from '../run/step.ts'
import { hashedSchema } from './file-batches.ts'

const parkedFileSchema = z
  .object({
    path: z.string(),
    /** The host whose version waits; the other host's stands where it was. */
    from: z.enum(['old', 'new']),
    reason: z.string(),
    /** Where that version is kept, from the run's folder on; null for what has no content. */
    kept: z.string().nullable(),
    source: hashedSchema,
    target: hashedSchema.nullable(),
    base: hashedSchema.nullable(),
  })
  .readonly()
/** A file that was changed on both hosts, set aside for a person. */
export type ParkedFile = z.infer<typeof parkedFileSchema>

/** The run that files are parked in. */
type InRun = Pick<StepRun, 'directory'>

export const parkedFilesPath = (run: InRun): string => join(run.directory, 'parked-files.json')

/** The parked files of a run, by path; empty when there are none. Throws `parked-damaged`. */
export async function readParkedFiles(run: InRun): Promise<ReadonlyMap<string, ParkedFile>> {
  const list = await readJsonFile(parkedFilesPath(run), z.array(parkedFileSchema), {
    code: 'parked-damaged',
    what: 'The list of parked files',
    hint: 'Move the file away and run again: every conflict is found anew.',
  })
  return new Map(list.map((each) => [each.path, each]))
}

/** Replaces the list in one step: after a crash it is the former one or this one, whole. */
export const writeParkedFiles = (run: StepRun, files: ReadonlyMap<string, ParkedFile>): Promise<void> =>
  writeJsonFile(parkedFilesPath(run), [...files.values()])

/** Where a parked file's content is kept, from the run's folder on. */
export const keptPath = (from: 'old' | 'new', path: string): string => join('parked-files', from, ...path.split('/'))

/** The person took the kept copy away: what stands on the other host is to stay. */
export const isSettled = (parked: ParkedFile, run: StepRun): boolean =>
  parked.kept !== null && !existsSync(join(run.directory, parked.kept))

/** Fetches a file into the run's folder, whole under its name or not at all. */
export async function keepCopy(host: FileHost, path: string, kept: string, run: StepRun): Promise<void> {
  const full = join(run.directory, kept)
  try {
    await mkdir(dirname(full), { recursive: true, mode: 0o700 })
    await pipeline(await host.read(path, { signal: run.signal }), createWriteStream(`${full}.part`, { mode: 0o600 }), {
      signal: run.signal,
    })
    await rename(`${full}.part`, full)
  } catch (error) {
    await rm(`${full}.part`, { force: true })
    throw keepingError(error, run.directory)
  }
}

export const dropCopy = (kept: string | null, run: StepRun): Promise<void> =>
  kept === null ? Promise.resolve() : rm(join(run.directory, kept), { force: true })

/** Files that a finding names; the list has all. */
const NAMED = 3

/** The finding that keeps a run from ending as done while a person still has to decide. */
export function parkedFilesFinding(parked: readonly ParkedFile[], run: StepRun): readonly Finding[] {
  const [first] = parked
  if (first === undefined) return []
  const [other, count] = [first.from === 'old' ? 'new' : 'old', parked.length]
  const named = parked.slice(0, NAMED).map(({ path, reason }) => `${path} (${reason})`)
  const more = count > NAMED ? `; and ${formatCount(count - NAMED)} more` : ''
  return [
    {
      severity: 'warning',
      code: 'files-parked',
      message: `${formatCount(count)} ${count === 1 ? 'file is' : 'files are'} parked for you to decide: ${named.join('; ')}${more}.`,
      hint: `The ${other} host keeps its own; the ${first.from} host’s are in ${join(run.directory, 'parked-files')}, listed with times and hashes in ${parkedFilesPath(run)}. migrate reconcile PLAYBOOK --resolve  asks you about each.`,
    },
  ]
}
