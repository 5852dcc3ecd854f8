import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { shownPath } from '../files/raw-names.ts'
import { wholeOf } from '../files/whole.ts'

/** Hosts, and whether nothing but their own hash tells of a byte that was changed on the way here (plain FTP). */
const known = new WeakMap<FileHost, boolean>()

async function needsProof(host: FileHost): Promise<boolean> {
  const before = known.get(host)
  if (before !== undefined) return before
  const { sealed, hash } = await host.powers()
  known.set(host, !sealed && hash !== null)
  return !sealed && hash !== null
}

/** What came of a file. */
interface Came {
  readonly size: number
  /** SHA-256, hexadecimal. */
  readonly sha256: string
}

/**
 * Compares what arrived of a file with what the host says of it: its length, and its own hash of it where that alone tells. Throws
 * MigrateError `file-cut-short` or `file-changed-on-the-way` (retrySafe) when they differ, unless the file itself has changed since it was
 * listed: then it is fetched again anyway.
 */
export async function proveArrival(host: FileHost, entry: FileEntry, came: Came, signal: AbortSignal): Promise<void> {
  const isWhole = came.size === entry.size
  if (isWhole && !(await needsProof(host))) return
  const [there = null] = isWhole ? await host.hashes([entry.path], signal) : []
  if (isWhole && (there === null || there === came.sha256)) return
  const now = await host.stat(entry.path)
  if (now?.size !== entry.size || now.mtimeSeconds !== entry.mtimeSeconds) return
  throw isWhole ? changedOnTheWay(host.label, entry.path) : cutShort(host.label, entry, came.size)
}

/**
 * The content of a file that goes on to where it is kept at once: the stream ends well only when `proveArrival` has nothing against what
 * came, and whoever writes it gives it its name only then. Throws what the host's `read` throws.
 */
export async function readProven(host: FileHost, entry: FileEntry, signal: AbortSignal): Promise<Readable> {
  const isHashed = await needsProof(host)
  const content = await host.read(entry.path, { entry, signal })
  const whole = wholeOf(content)
  if (whole === undefined) return Readable.from(proven(host, entry, content, isHashed, signal), { objectMode: false })
  await proveArrival(host, entry, { size: whole.bytes.length, sha256: whole.sha256 }, signal)
  return content
}

async function* proven(
  host: FileHost,
  entry: FileEntry,
  content: AsyncIterable<Buffer>,
  isHashed: boolean,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of content) {
    if (isHashed) hash.update(chunk)
    size += chunk.length
    yield chunk
  }
  await proveArrival(host, entry, { size, sha256: hash.digest('hex') }, signal)
}

const changedOnTheWay = (label: string, path: string): MigrateError =>
  new MigrateError(
    'file-changed-on-the-way',
    `${shownPath(path)} arrived from ${label} otherwise than it stands there: bytes were changed on the way. It was not kept.`,
    { hint: 'Run again: it is fetched anew. If it happens again, write ftps:// or sftp:// in the playbook.', retrySafe: true },
  )

const cutShort = (label: string, { path, size }: FileEntry, came: number): MigrateError =>
  new MigrateError(
    'file-cut-short',
    `${formatCount(came)} bytes of ${shownPath(path)} came from ${label}, which says that it has ${formatCount(size)}. They were not kept.`,
    { hint: 'Run again: it is fetched anew. If it happens again, look at that file on that host.', retrySafe: true },
  )
