import { access, constants, readdir, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { codeOf } from '../../base/errors.ts'
import { runProgram } from '../../base/program.ts'

/** An installed program, as it names itself. */
export interface Program {
  readonly name: string
  readonly path: string
  /** Comparable: [15, 18]; [] when it doesn't say. */
  readonly version: readonly number[]
  /** Its whole first line: "pg_dump (PostgreSQL) 15.18". */
  readonly words: string
}

/** The folders of PATH. */
export const pathFolders = (): readonly string[] => (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')

/** Subfolders `inside` of every folder of `parent` that begins with `prefix`: `/usr/lib/postgresql/15/bin`. [] when there is none. */
export async function versionedFolders(parent: string, prefix: string, inside: string): Promise<readonly string[]> {
  const names = await readdir(parent).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(codeOf(error) ?? '')) return []
    throw error
  })
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(parent, name, inside))
}

/**
 * Every program of that name in the folders, in their order, asked for its version (`--version`, or other words); once where several folders lead to
 * the same one, as /bin and /usr/bin do.
 */
export async function findPrograms(
  name: string,
  folders: readonly string[],
  versionArgs: readonly string[] = ['--version'],
): Promise<readonly Program[]> {
  const found: Program[] = []
  const asked = new Set<string>()
  for (const folder of new Set(folders)) {
    const path = join(folder, name)
    if (!(await isExecutable(path))) continue
    const real = await realpath(path)
    if (asked.has(real)) continue
    asked.add(real)
    const { exit, stdout, stderr } = await runProgram({ program: path, args: versionArgs, signal: NEVER })
    const words = (stdout === '' ? stderr : stdout).split('\n', 1)[0]?.trim() ?? ''
    if (exit === 0) found.push({ name, path, version: versionIn(words), words })
  }
  return found
}

const NEVER = new AbortController().signal

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

/**
 * The release in a program's words: the first number with a dot, that of a distribution ("Distrib 10.11.6-MariaDB") before that of
 * the program itself ("Ver 10.19").
 */
export function versionIn(words: string): readonly number[] {
  const text = /Distrib (\d+(?:\.\d+)+)/.exec(words)?.[1] ?? /(\d+(?:\.\d+)+)/.exec(words)?.[1] ?? /(\d+)/.exec(words)?.[1] ?? ''
  return text === '' ? [] : text.split('.').map(Number)
}

/** "pg_dump 15.18". */
export const programName = ({ name, version }: Program): string => (version.length === 0 ? name : `${name} ${version.join('.')}`)
