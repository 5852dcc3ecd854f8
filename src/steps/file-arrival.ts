import { MigrateError } from '../base/errors.ts'
import type { FileEntry, FileHost } from '../files/port.ts'

/** Hosts, and whether nothing but their own hash tells of a byte that was changed on the way here (plain FTP). */
const known = new WeakMap<FileHost, boolean>()

async function needsProof(host: FileHost): Promise<boolean> {
  const before = known.get(host)
  if (before !== undefined) return before
  const { sealed, hash } = await host.powers()
  known.set(host, !sealed && hash !== null)
  return !sealed && hash !== null
}

/**
 * Compares what arrived of a file with the host's own hash of it, where that alone tells. Throws MigrateError `file-changed-on-the-way`
 * (retrySafe) when they differ, unless the file itself has changed since it was listed: then it is fetched again anyway.
 */
export async function proveArrival(host: FileHost, entry: FileEntry, sha256: string, signal: AbortSignal): Promise<void> {
  if (!(await needsProof(host))) return
  const [there = null] = await host.hashes([entry.path], signal)
  if (there === null || there === sha256) return
  const now = await host.stat(entry.path)
  if (now?.size !== entry.size || now.mtimeSeconds !== entry.mtimeSeconds) return
  throw new MigrateError(
    'file-changed-on-the-way',
    `${entry.path} arrived from ${host.label} otherwise than it stands there: bytes were changed on the way. It was not kept.`,
    { hint: 'Run again: it is fetched anew. If it happens again, write ftps:// or sftp:// in the playbook.', retrySafe: true },
  )
}
