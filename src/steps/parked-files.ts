import { existsSync, statSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { readJsonFile, writeJsonFile } from '../reconcile/json-file.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { hashedSchema } from './file-batches.ts'
import { fits, KEPT, otherName, plainName, sameName } from './parked-names.ts'

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

/** What was changed of the list since it was written whole, a line each. */
const changesPath = (run: InRun): string => join(run.directory, 'parked-files.log')
const changedSchema = z.object({ path: z.string(), parked: parkedFileSchema.nullable() }).readonly()
type Changed = z.infer<typeof changedSchema>

/** The parked files of a run, by path; empty when there are none. Throws `parked-damaged`. */
export async function readParkedFiles(run: InRun): Promise<ReadonlyMap<string, ParkedFile>> {
  const list = await readJsonFile(parkedFilesPath(run), z.array(parkedFileSchema), DAMAGED)
  const files = new Map(list.map((each) => [each.path, each]))
  for (const changed of await readChanges(run)) apply(files, changed)
  return files
}

const DAMAGED = {
  code: 'parked-damaged',
  what: 'The list of parked files',
  hint: 'Move the file away and run again: every conflict is found anew.',
}

async function readChanges(run: InRun): Promise<readonly Changed[]> {
  const path = changesPath(run)
  if (!existsSync(path)) return []
  // What follows the last line end was cut off on its way.
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  try {
    return lines.map((line) => changedSchema.parse(JSON.parse(line)))
  } catch (error) {
    throw new MigrateError(DAMAGED.code, `${DAMAGED.what}, ${path}, can't be read. Nothing was changed.`, {
      hint: DAMAGED.hint,
      cause: error,
    })
  }
}

function apply(files: Map<string, ParkedFile>, { path, parked }: Changed): void {
  if (parked === null) files.delete(path)
  else files.set(path, parked)
}

/** So many changes, at least, stand in the log before the list is written whole; with a longer list more. */
const LEAST_CHANGES = 64

/**
 * The list of a run's parked files for who changes it. On disk when a change returns, at a cost that doesn't grow with the list: it is written
 * whole once for as many changes as it has files, and when it is complete.
 */
export class ParkedList {
  #files = new Map<string, ParkedFile>()
  /** Whose copy has a name, as file systems that fold names take it. */
  #names = new Map<string, string>()
  #changes = 0
  #seen: string | undefined

  /** As it stands on disk. */
  async files(run: InRun): Promise<ReadonlyMap<string, ParkedFile>> {
    if (this.#seen === standing(run)) return this.#files
    this.#files = new Map(await readParkedFiles(run))
    this.#names = new Map([...this.#files.values()].flatMap(({ path, kept }) => (kept === null ? [] : [[sameName(kept), path]])))
    // A line that was cut off must not be gone on with: the next change writes the list whole.
    this.#changes = Number.POSITIVE_INFINITY
    this.#seen = standing(run)
    return this.#files
  }

  /** Lists files, or takes them from the list (`null`), by path. */
  async change(run: InRun, effects: Effects, changes: ReadonlyMap<string, ParkedFile | null>): Promise<void> {
    if (changes.size === 0) return
    await this.files(run)
    // Read anew if it doesn't get to the disk.
    this.#seen = undefined
    for (const [path, parked] of changes) {
      const former = this.#files.get(path)?.kept ?? null
      if (former !== null && this.#names.get(sameName(former)) === path) this.#names.delete(sameName(former))
      apply(this.#files, { path, parked })
      if (parked !== null && parked.kept !== null) this.#names.set(sameName(parked.kept), path)
    }
    this.#changes += changes.size
    if (this.#changes >= Math.max(LEAST_CHANGES, this.#files.size)) return this.#write(run, effects)
    const lines = [...changes].map(([path, parked]) => `${JSON.stringify({ path, parked })}\n`)
    await effects('files: list what is parked', () => append(changesPath(run), lines.join('')))
    this.#seen = standing(run)
  }

  /** All of the list is in the file that people read. */
  async complete(run: InRun, effects: Effects): Promise<void> {
    await this.files(run)
    if (existsSync(changesPath(run))) await this.#write(run, effects)
  }

  /** Whole: after a crash it is the former one or this one. */
  async #write(run: InRun, effects: Effects): Promise<void> {
    await effects('files: list what is parked', async () => {
      await writeJsonFile(parkedFilesPath(run), [...this.#files.values()])
      await rm(changesPath(run), { force: true })
    })
    this.#changes = 0
    this.#seen = standing(run)
  }

  /**
   * Where a file's content is to be kept, from the run's folder on: under its own path, or, where a file system might not take that or another
   * copy has it, under its name with a few digits. The list tells which it is.
   */
  nameFor(from: 'old' | 'new', path: string): string {
    const plain = plainName(from, path)
    const holder = this.#names.get(sameName(plain))
    return fits(plain) && (holder === undefined || holder === path) ? plain : otherName(from, path)
  }
}

async function append(path: string, text: string): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** Tells whether somebody else has changed the list since. */
function standing(run: InRun): string {
  const stats = [parkedFilesPath(run), changesPath(run)].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }))
  return stats.map((each) => (each === undefined ? '-' : `${each.ino} ${each.size} ${each.mtimeNs}`)).join(', ')
}

/** The person took the kept copy away: what stands on the other host is to stay. */
export const isSettled = (parked: ParkedFile, run: StepRun): boolean =>
  parked.kept !== null && !existsSync(join(run.directory, parked.kept))

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
      hint: `The ${other} host keeps its own; the ${first.from} host’s are in ${join(run.directory, KEPT)}, listed with times and hashes in ${parkedFilesPath(run)}. migrate reconcile PLAYBOOK --resolve  asks you about each.`,
    },
  ]
}
