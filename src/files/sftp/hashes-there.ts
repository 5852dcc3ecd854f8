import { isRaw } from '../raw-names.ts'
import type { SftpChannel } from './channel.ts'
import { checkedFiles } from './check-file.ts'
import type { ShellHashes } from './hashes.ts'
import type { SftpRoot } from './inside.ts'

/** From so many bytes on a host with programs hashes a file by itself, rather than send it here. */
export const HASHED_THERE = 1024 * 1024

/** SHA-256 of files by the host alone: by a program, where its shell has one, else by its server; `null` for what it can't hash. */
export async function hashesThere(
  channel: SftpChannel,
  boundary: SftpRoot,
  shell: ShellHashes,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly (string | null)[]> {
  const program = await shell.program(channel, boundary.full(''))
  for (const path of paths) await boundary.check(path, boundary.by(channel))
  if (program === null) return checkedFiles(channel, paths.map(boundary.full, boundary))
  // A command line is UTF-8: what isn't is hashed by reading it.
  const named = paths.filter((path) => !isRaw(path))
  const found = await shell.of(program, named.map(boundary.full, boundary), signal)
  const hashOf = new Map(named.map((path, index) => [path, found[index] ?? null]))
  return paths.map((path) => hashOf.get(path) ?? null)
}
