import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { asidePath, parentOf } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { BeforeImages } from './before-images.ts'

/** A config is read whole; a larger file is none. */
const MOST_BYTES = 16 * 1024 * 1024
/** Of a file that is made where none stood. */
const NEW_MODE = 0o644

export const fileStateSchema = z.object({ sha256: z.string(), size: z.int() }).readonly()
type FileState = z.infer<typeof fileStateSchema>

/** One small file that is given another content; what stood there is kept in the run's folder, not in the journal. */
export interface FileChange {
  readonly file: string
  /** `null`: nothing stood there. */
  readonly before: FileState | null
  readonly after: FileState
  /** Permission bits to keep. */
  readonly mode: number | null
}

/** Whose change it is, and where: before-images are kept under the step's and the change's name. */
export interface FileChangeContext {
  readonly step: string
  readonly change: Json
  readonly host: FileHost
  readonly effects: Effects
}

export const fileStateOf = (bytes: Buffer): FileState => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  size: bytes.length,
})

/** The change that gives a file this content; `undefined` when it stands there already. */
export function fileChange(file: string, standing: StandingFile | null, content: Buffer): FileChange | undefined {
  if (standing?.bytes.equals(content) === true) return undefined
  const before = standing === null ? null : fileStateOf(standing.bytes)
  return { file, before, after: fileStateOf(content), mode: standing === null ? NEW_MODE : standing.entry.mode }
}

/**
 * Writes it, once. `content` makes the new bytes of those that stand there; `beforeWrite` is called when the before-image is safe.
 * Throws `config-changed` when the file is no longer what was planned on; it was left as it is then.
 */
export async function applyFileChange(
  context: FileChangeContext,
  change: FileChange,
  content: (standing: StandingFile | null) => Buffer,
  run: StepRun,
  beforeWrite: () => Promise<void> = async () => undefined,
): Promise<void> {
  const { host } = context
  await settle(host, change.file, run)
  const standing = await readStanding(host, change.file, run)
  const now = standing === null ? null : fileStateOf(standing.bytes)
  if (now?.sha256 === change.after.sha256) return beforeWrite()
  if (now?.sha256 !== change.before?.sha256) throw changedMeanwhile(host, change.file)
  const after = content(standing)
  if (fileStateOf(after).sha256 !== change.after.sha256) throw changedMeanwhile(host, change.file)
  const images = BeforeImages.open(run, context.step, context.change, context.effects)
  try {
    await images.save(host, change.file, run.signal)
  } finally {
    images.close()
  }
  await beforeWrite()
  const replaces = standing?.entry ?? null
  const options = { mode: change.mode, mtimeSeconds: Math.floor(run.clock.now() / 1000), replaces }
  await host.write(change.file, Readable.from([after]), options, run.signal)
  await host.sweep?.()
}

/** Gives back what stood there, byte for byte, with mode and time. `false`: the change was cut off before it touched the file. */
export async function undoFileChange(context: FileChangeContext, change: FileChange, run: StepRun): Promise<boolean> {
  const { host } = context
  await settle(host, change.file, run)
  const now = await shaOf(host, change.file, run)
  const images = BeforeImages.open(run, context.step, context.change, context.effects)
  try {
    const touched = change.before === null ? now !== undefined : images.get(change.file) !== undefined
    if (!touched) return false
    if (now !== change.after.sha256 && now !== change.before?.sha256) throw changedMeanwhile(host, change.file)
    if (change.before === null) await host.remove(change.file)
    else await images.giveBack(host, change.file, run.signal)
    await host.sweep?.()
  } finally {
    images.close()
  }
  if ((await shaOf(host, change.file, run)) !== change.before?.sha256) throw changedMeanwhile(host, change.file)
  return true
}

const shaOf = async (host: FileHost, file: string, run: StepRun): Promise<string | undefined> =>
  (await host.stat(file)) === undefined ? undefined : host.sha256(file, run.signal)

/** A file that stepped aside for its new version when a run was killed has its name again. */
async function settle(host: FileHost, file: string, run: StepRun): Promise<void> {
  if ((await host.stat(file)) !== undefined || (await host.stat(asidePath(file))) === undefined) return
  // A host sets right what it has seen.
  for await (const { path } of host.list(parentOf(file), run.signal, 'here')) if (path === asidePath(file)) break
  await host.sweep?.()
}

export interface StandingFile {
  readonly bytes: Buffer
  readonly label: string
  readonly entry: FileEntry
}

/** A config's bytes, whole, and where they are from. Throws `file-missing`, `config-too-large`. */
export async function readConfig(host: FileHost, path: string, run: Pick<StepRun, 'signal'>): Promise<StandingFile> {
  const standing = await readStanding(host, path, run)
  if (standing !== null) return standing
  throw new MigrateError('file-missing', `${path}, which is to be changed, is not there on ${host.label}.`, {
    hint: 'Correct the path in the playbook (relative to the site’s folder), or restore the files first.',
  })
}

/** The same; `null` when there is none. One that has stepped aside since a run was killed (`settle`) stands there all the same. */
export async function readStanding(host: FileHost, path: string, run: Pick<StepRun, 'signal'>): Promise<StandingFile | null> {
  const entry = (await host.stat(path)) ?? (await host.stat(asidePath(path)))
  if (entry === undefined) return null
  if (entry.size > MOST_BYTES)
    throw new MigrateError('config-too-large', `${path} on ${host.label} is too large for a config file. It was left as it is.`)
  const chunks: Buffer[] = []
  const content = await host.read(entry.path, entry.kind === 'file' ? { entry, signal: run.signal } : { signal: run.signal })
  for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk)
  return { bytes: Buffer.concat(chunks), label: host.label, entry: { ...entry, path } }
}

const changedMeanwhile = (host: FileHost, path: string): MigrateError =>
  new MigrateError(
    'config-changed',
    `${path} on ${host.label} was changed by somebody else in the meantime. It was left as it is.`,
    { hint: 'Look at the file, mend it by hand, and run again.' },
  )
