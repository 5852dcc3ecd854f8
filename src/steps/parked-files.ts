import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { keepWhole } from '../base/disk.ts'
import { keepingError } from '../base/disk-full.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { directly, type Effects, type StepRun } from '../run/step.ts'
import { hashedSchema } from './file-batches.ts'
import { indexPath } from './file-database.ts'
import { FileStore } from './file-store.ts'
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

/** What people read; the list itself is a store of its own. */
export const parkedFilesPath = (run: InRun): string => join(run.directory, 'parked-files.json')

const directoryOf = (run: InRun): string => join(run.directory, 'files-parked')

/** Fact of the list: what people read is not what it has by now. */
const UNTOLD = 'untold'
/** Facts of the list: whose copy has a name, as file systems that fold names take it. */
const nameFact = (kept: string): string => `name ${sameName(kept)}`

/** So many are removed from the list at a time. */
const AT_ONCE = 1000

/** The parked files of a run, for reading. Memory doesn't grow with their number. Close it. */
export class ParkedFiles {
  readonly #store: FileStore | undefined

  private constructor(store: FileStore | undefined) {
    this.#store = store
  }

  static open(run: InRun, effects: Effects): ParkedFiles {
    return new ParkedFiles(FileStore.openExisting(directoryOf(run), effects))
  }

  /** Throws `parked-damaged`. */
  get(path: string): ParkedFile | undefined {
    return this.#store === undefined ? undefined : fileIn(this.#store, path)
  }

  close(): void {
    this.#store?.close()
  }
}

/** All of them, by path; empty when there are none. Throws `parked-damaged`. */
export function readParkedFiles(run: InRun): ReadonlyMap<string, ParkedFile> {
  const store = FileStore.openExisting(directoryOf(run), directly)
  try {
    return new Map(store === undefined ? [] : [...filesIn(store)].map((each) => [each.path, each]))
  } finally {
    store?.close()
  }
}

function fileIn(store: FileStore, path: string): ParkedFile | undefined {
  const entry = store.entry(path)
  if (entry === undefined) return undefined
  const found = parkedFileSchema.safeParse(jsonIn(store.noteOf(path)))
  if (found.success) return found.data
  throw new MigrateError('parked-damaged', `The list of parked files, ${store.directory}, can't be read. Nothing was changed.`, {
    hint: 'Move that folder away and run again: every conflict is found anew.',
    cause: found.error,
  })
}

function jsonIn(note: string | undefined): unknown {
  try {
    return JSON.parse(note ?? '')
  } catch {
    return undefined // told by whoever wanted it
  }
}

function* filesIn(store: FileStore): Generator<ParkedFile> {
  for (const { path } of store.entries(null, false)) {
    const file = fileIn(store, path)
    if (file !== undefined) yield file
  }
}

/** The list of a run's parked files for who changes it: on disk when a change returns, however many they are. Close it. */
export class ParkedList {
  readonly #run: InRun
  readonly #effects: Effects
  #store: FileStore | undefined

  constructor(run: InRun, effects: Effects) {
    this.#run = run
    this.#effects = effects
  }

  /** Throws `parked-damaged`. */
  get(path: string): ParkedFile | undefined {
    const store = this.#begun()
    return store === undefined ? undefined : fileIn(store, path)
  }

  /** Lists a file. */
  async put(file: ParkedFile): Promise<void> {
    const store = this.#open()
    const name = file.kept === null ? undefined : store.setFact(nameFact(file.kept), file.path)
    const note = store.note(file.path, JSON.stringify(file))
    await Promise.all([store.keep({ ...file.source, path: file.path }, null), note, name, store.setFact(UNTOLD, 'yes')])
  }

  /** Takes files from the list; nothing for those that aren't in it. */
  async remove(paths: readonly string[]): Promise<void> {
    const store = this.#begun()
    const listed = paths.filter((path) => store?.entry(path) !== undefined)
    if (store === undefined || listed.length === 0) return
    await Promise.all([...listed.map((path) => store.forget(path)), store.setFact(UNTOLD, 'yes')])
  }

  /** Takes all from the list but those that `isWanted`, which is asked in the order of paths. */
  async keepOnly(isWanted: (path: string) => boolean): Promise<void> {
    const others: string[] = []
    for (const { path } of this.#begun()?.entries(null, false) ?? []) {
      if (isWanted(path)) continue
      others.push(path)
      if (others.length >= AT_ONCE) await this.remove(others.splice(0))
    }
    await this.remove(others)
  }

  /** All of the list is in the file that people read: whole, after a crash the former one or this one. Returns what a person is told. */
  async told(): Promise<readonly Finding[]> {
    const store = this.#begun()
    if (store === undefined) return []
    if (store.fact(UNTOLD) === 'yes' || !existsSync(parkedFilesPath(this.#run))) {
      await this.#effects('files: list what is parked', () => this.#write(store))
      await store.setFact(UNTOLD, 'no')
    }
    return findingOf(store, this.#run)
  }

  async #write(store: FileStore): Promise<void> {
    try {
      await keepWhole(parkedFilesPath(this.#run), asJson(filesIn(store)))
    } catch (error) {
      throw keepingError(error, this.#run.directory)
    }
  }

  /**
   * Where a file's content is to be kept, from the run's folder on: under its own path, or, where a file system might not take that or another
   * copy has it, under its name with a few digits. The list tells which it is.
   */
  nameFor(from: 'old' | 'new', path: string): string {
    const plain = plainName(from, path)
    const holder = this.#begun()?.fact(nameFact(plain))
    const its = holder === undefined || holder === path ? null : (this.get(holder)?.kept ?? null)
    const isTaken = its !== null && sameName(its) === sameName(plain)
    return fits(plain) && !isTaken ? plain : otherName(from, path)
  }

  close(): void {
    this.#store?.rest()
    this.#store?.close()
    this.#store = undefined
  }

  /** `undefined` as long as nothing was ever listed. */
  #begun(): FileStore | undefined {
    return this.#store !== undefined || existsSync(indexPath(directoryOf(this.#run))) ? this.#open() : undefined
  }

  #open(): FileStore {
    this.#store ??= FileStore.open(directoryOf(this.#run), this.#effects, { toDisk: true })
    return this.#store
  }
}

function* asJson(files: Iterable<ParkedFile>): Generator<string> {
  let before = '['
  for (const file of files) {
    yield `${before}\n${JSON.stringify(file, null, 2).replaceAll(/^/gm, '  ')}`
    before = ','
  }
  yield before === '[' ? '[]\n' : '\n]\n'
}

/** The person took the kept copy away: what stands on the other host is to stay. */
export const isSettled = (parked: ParkedFile, run: StepRun): boolean =>
  parked.kept !== null && !existsSync(join(run.directory, parked.kept))

/** Files that a finding names; the list has all. */
const NAMED = 3

/** The finding that keeps a run from ending as done while a person still has to decide. */
function findingOf(store: FileStore, run: InRun): readonly Finding[] {
  const parked: ParkedFile[] = []
  let count = 0
  for (const { path } of store.entries(null, false)) {
    count += 1
    const file = parked.length < NAMED ? fileIn(store, path) : undefined
    if (file !== undefined) parked.push(file)
  }
  const [first] = parked
  if (first === undefined) return []
  const other = first.from === 'old' ? 'new' : 'old'
  const named = parked.map(({ path, reason }) => `${path} (${reason})`)
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
