import { MigrateError } from '../base/errors.ts'
import type { HashedEntry } from '../files/merge.ts'
import { joinPath, NAME_MAX, nameOf, parentOf } from '../files/paths.ts'
import type { FileHost } from '../files/port.ts'

const MOST_TRIED = 100

/**
 * A name beside a file's own for the version of another host: `poster (old host).png`, or with a number where that is taken by something
 * else than this very version, which an earlier try may have put there.
 */
export async function freeName(host: FileHost, version: HashedEntry, side: 'old' | 'new'): Promise<string> {
  for (let number = 1; number <= MOST_TRIED; number += 1) {
    const path = besideName(version.path, number === 1 ? `${side} host` : `${side} host ${number}`)
    const there = await host.stat(path)
    if (there === undefined || (await isVersion(host, there.kind === 'file', path, version))) return path
  }
  throw new MigrateError('files-failed', `No name is free beside ${version.path} on ${host.label} for the other version of it.`, {
    hint: 'Remove some of the versions there, or take one of the two.',
  })
}

const isVersion = async (host: FileHost, isFile: boolean, path: string, { kind, sha256 }: HashedEntry): Promise<boolean> =>
  isFile && kind === 'file' && (await host.sha256(path)) === sha256

/** `a/photo.tar.gz` → `a/photo.tar (old host).gz`. A name that would be too long is cut before what is added. */
export function besideName(path: string, what: string): string {
  const name = nameOf(path)
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 ? name.slice(dot) : ''
  let stem = Array.from(dot > 0 ? name.slice(0, dot) : name)
  const whole = (): string => `${stem.join('')} (${what})${extension}`
  while (stem.length > 1 && Buffer.byteLength(whole()) > NAME_MAX) stem = stem.slice(0, -1)
  return joinPath(parentOf(path), whole())
}
