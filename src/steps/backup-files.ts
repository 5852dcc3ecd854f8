import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { codeOf, type Finding, MigrateError } from '../base/errors.ts'
import type { FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { type Host, missingPart } from './world.ts'

/** The host's files, through which a backup that its server wrote or reads is moved. */
export function filesOf(host: Host): FileHost {
  if (host.files !== undefined) return host.files
  throw new MigrateError(
    'playbook-part-missing',
    `The playbook gives no ${host.side}.files, through which the backup would be moved.`,
    {
      hint: `Add it: ${host.side}: { files: "sftp://site@${host.side}.example.com/site" }`,
      ending: 'usage',
    },
  )
}

export const missingFiles = (step: string, host: Host): readonly Finding[] =>
  host.files === undefined
    ? [missingPart(step, `${host.side}.files`, `${host.side}: { files: "sftp://site@${host.side}.example.com/site" }`)]
    : []

/** Brings a file of a host into a folder here. */
export async function fetchBackup(host: Host, path: string, directory: string, run: StepRun): Promise<void> {
  const files = filesOf(host)
  const entry = await files.stat(path)
  if (entry === undefined)
    throw new MigrateError(
      'backup-missing',
      `${files.label} has no file ${path}, though the server was to write its backup there.`,
      {
        hint: 'backup.path and backup.file must name one and the same file, as the server and as the files see it.',
      },
    )
  await mkdir(directory, { recursive: true })
  let bytes = 0
  const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      bytes += chunk.length
      run.progress(bytes, entry.size, 'bytes', path)
      yield chunk
    }
  }
  await pipeline(
    await files.read(path, { entry, signal: run.signal }),
    counted,
    createWriteStream(join(directory, basename(path))),
    { signal: run.signal },
  )
  if (bytes !== entry.size)
    throw new MigrateError(
      'backup-incomplete',
      `${path} on ${files.label} has ${entry.size} bytes; ${bytes} arrived. Neither host was changed.`,
      {
        hint: 'Is it still being written? Run again when it is whole.',
        retrySafe: true,
      },
    )
}

/** Remembered before a backup is written among a host's files: from then on that file is this run's, and goes with it. */
export const claimKey = (side: Host['side']): string => `backup-on-${side}-host`

/**
 * Makes the name free for a backup: what an earlier attempt of this run left there goes; a file that isn't of this run is never
 * touched. Throws `backup-file-exists`.
 */
export async function claimBackup(host: Host, file: string, run: StepRun): Promise<void> {
  const files = filesOf(host)
  if (run.recall(claimKey(host.side)) === file) return files.remove(file)
  if ((await files.stat(file)) !== undefined)
    throw new MigrateError(
      'backup-file-exists',
      `${files.label} has a file ${file} already, and this run didn't make it. It was left as it is.`,
      { hint: 'Give another name in backup: (path and file), or remove that file if nobody needs it.' },
    )
  await run.remember(claimKey(host.side), file)
}

/** Removes the backup of this run from a host, if there is one. */
export async function releaseBackup(host: Host, run: StepRun): Promise<void> {
  const file = run.recall(claimKey(host.side))
  if (typeof file !== 'string') return
  await filesOf(host).remove(file)
  await run.remember(claimKey(host.side), null)
}

/** Puts a file of a folder here onto a host, under a name that was claimed. */
export async function putBackup(host: Host, file: string, path: string, run: StepRun): Promise<void> {
  const { size, mtimeMs } = await stat(file)
  const files = filesOf(host)
  await files.write(path, createReadStream(file), { mode: null, mtimeSeconds: Math.trunc(mtimeMs / 1000) }, run.signal)
  run.progress(size, size, 'bytes', path)
}

/** Where `from:` leads: a file here (from the playbook's folder on), else one among the old host's files. Read-only. */
export async function findBackup(
  from: string,
  playbookDirectory: string,
  old: Host,
): Promise<{ readonly place: 'here' | 'old'; readonly path: string; readonly bytes: number } | undefined> {
  const local = resolve(playbookDirectory, from)
  const here = await stat(local).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw error
  })
  if (here?.isFile()) return { place: 'here', path: local, bytes: here.size }
  // A path that leaves the root is none of the host's: the port refuses it by an error.
  const entry = from.startsWith('/') || from.split('/').includes('..') ? undefined : await old.files?.stat(from)
  return entry?.kind === 'file' ? { place: 'old', path: from, bytes: entry.size } : undefined
}

export const backupNotFound = (from: string, playbookDirectory: string): MigrateError =>
  new MigrateError(
    'backup-missing',
    `The backup ${from} (from:) is neither in ${dirname(resolve(playbookDirectory, from))} nor among the old host's files.`,
    {
      hint: 'Give a path from the playbook’s folder on, or one below old.files.',
      ending: 'usage',
    },
  )
