import type { Finding } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { InFlight } from '../files/in-flight.ts'
import type { FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { BYTES_AT_ONCE, FILES_AT_ONCE } from './file-fetch.ts'
import type { FileStore, StoredEntry } from './file-store.ts'

/** Reads every restored file back from the new host and compares its hash with the saved one. */
export async function verifyRestored(
  host: FileHost,
  store: FileStore,
  rewritten: ReadonlyMap<string, string>,
  run: StepRun,
): Promise<readonly Finding[]> {
  const flight = new InFlight(FILES_AT_ONCE, BYTES_AT_ONCE, run.signal)
  const wrong: string[] = []
  const changed: string[] = []
  let [files, bytes] = [0, 0]
  const look = async (entry: StoredEntry): Promise<void> => {
    const present = await host.stat(entry.path)
    if (present === undefined || present.kind !== entry.kind) return void wrong.push(entry.path)
    if (entry.kind === 'link' && present.target !== entry.target) return void wrong.push(entry.path)
    if (entry.kind !== 'file' || rewritten.has(entry.path)) return
    const isNewer = Math.floor(present.mtimeSeconds) > Math.floor(entry.mtimeSeconds)
    if ((await host.sha256(entry.path, flight.signal)) === entry.sha256) {
      files += 1
      bytes += entry.size
      run.progress(bytes, null, 'bytes', entry.path)
    } else if (isNewer) changed.push(entry.path)
    else wrong.push(entry.path)
  }
  try {
    for (const entry of store.entries()) await flight.start(entry.size, () => look(entry))
    await flight.drain()
  } finally {
    await flight.settle()
  }
  return findings(host.label, files, bytes, wrong.sort(), changed.sort())
}

function findings(
  label: string,
  files: number,
  bytes: number,
  wrong: readonly string[],
  changed: readonly string[],
): readonly Finding[] {
  const found: Finding[] = [
    {
      severity: 'info',
      code: 'restored-files-read-back',
      message: `${formatCount(files)} files, ${formatBytes(bytes)}, were read back from ${label}: every byte as it was saved.`,
    },
  ]
  if (changed.length > 0) {
    found.push({
      severity: 'info',
      code: 'restored-files-changed-since',
      message: `${formatCount(changed.length)} files on ${label} were changed after they were restored, and are left alone: ${some(changed)}.`,
    })
  }
  if (wrong.length > 0) {
    found.push({
      severity: 'error',
      code: 'restored-files-differ',
      message: `${formatCount(wrong.length)} files on ${label} are missing or not what was saved: ${some(wrong)}.`,
      hint: 'Run again: they are sent anew. If it happens again, look at that host’s disk.',
    })
  }
  return found
}

const some = (paths: readonly string[]): string =>
  paths.length <= 5 ? paths.join(', ') : `${paths.slice(0, 5).join(', ')} and ${formatCount(paths.length - 5)} more`
