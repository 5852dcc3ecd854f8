import { realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { codeOf } from '../../base/errors.ts'
import { findPrograms, type Program, pathFolders, versionedFolders } from '../native/programs.ts'

/** The installed programs of that name: where Debian, RPM packages and Homebrew put them, and in PATH. */
export async function installedPrograms(name: string): Promise<readonly Program[]> {
  const places = [
    versionedFolders('/usr/lib/postgresql', '', 'bin'),
    versionedFolders('/usr', 'pgsql-', 'bin'),
    versionedFolders('/opt/homebrew/opt', 'postgresql@', 'bin'),
    versionedFolders('/usr/local/opt', 'postgresql@', 'bin'),
  ]
  return findPrograms(name, [...(await Promise.all(places)).flat(), ...(await unwrapped(name))])
}

/**
 * The folders of PATH but those where Debian's wrapper stands for the program: it chooses one of those in /usr/lib/postgresql by the machine's own
 * clusters, and takes ten times as long to say its version.
 */
async function unwrapped(name: string): Promise<readonly string[]> {
  const real = (folder: string): Promise<string> =>
    realpath(join(folder, name)).catch((error: unknown) => {
      if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(codeOf(error) ?? '')) return ''
      throw error
    })
  const folders = pathFolders()
  const paths = await Promise.all(folders.map(real))
  return folders.filter((_folder, at) => basename(paths[at] ?? '') !== 'pg_wrapper')
}
