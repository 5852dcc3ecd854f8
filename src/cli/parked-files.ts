import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unifiedDiff } from '../files/diff.ts'
import { type HashedEntry, looksAlike } from '../files/merge.ts'
import type { FileHost } from '../files/port.ts'
import { decodeText } from '../files/text.ts'
import { type ParkedFile, readParkedFiles } from '../steps/parked-files.ts'

/** Texts up to this size are compared line by line. */
const MOST_COMPARED = 64 * 1024

/** A parked file as it stands when somebody is asked about it. */
export interface SeenFile extends ParkedFile {
  /** Read when it is to be shown: lines that differ, `-` of the host that receives and `+` of the other; [] where they aren't small texts. */
  difference(): Promise<readonly string[]>
}

/**
 * The parked files of a run, with what the receiving host has now: it may have changed since they were parked. Read-only; `host` is asked
 * only when there are any.
 */
export async function seenFiles(directory: string, host: FileHost | undefined): Promise<readonly SeenFile[]> {
  const seen: SeenFile[] = []
  for (const parked of readParkedFiles({ directory }).values()) {
    const target = host === undefined ? parked.target : await entryNow(host, parked)
    seen.push({ ...parked, target, difference: () => differenceOf(directory, host, { ...parked, target }) })
  }
  return seen
}

async function entryNow(host: FileHost, { path, target }: ParkedFile): Promise<HashedEntry | null> {
  const now = await host.stat(path)
  if (now === undefined) return null
  if (target !== null && looksAlike(target, now)) return target
  return { ...now, sha256: now.kind === 'file' ? await host.sha256(path) : null }
}

async function differenceOf(directory: string, host: FileHost | undefined, parked: ParkedFile): Promise<readonly string[]> {
  const { path, kept, source, target } = parked
  if (host === undefined || kept === null || target?.kind !== 'file') return []
  if (source.size > MOST_COMPARED || target.size > MOST_COMPARED) return []
  const own = await readFile(join(directory, kept)).catch(() => null) // taken away by hand: then there is nothing to compare
  if (own === null || own.includes(0)) return []
  const chunks: Buffer[] = []
  for await (const chunk of (await host.read(path)) as AsyncIterable<Buffer>) chunks.push(chunk)
  const there = Buffer.concat(chunks)
  if (there.includes(0)) return []
  return unifiedDiff(path, decodeText(there).text, decodeText(own).text).split('\n').slice(2)
}
