import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { giveTo, sharedPlace } from './servers/copies.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

let known: string | undefined

/**
 * The command as it is installed: bin/migrate.js beside what `npm run build` makes of the sources. Built once for all tests of a run; started from
 * the sources, each of the hundreds of commands that the tests run would take half a second of a processor more.
 */
export function builtProgram(): string {
  known ??= join(built(), 'bin', 'migrate.js')
  return known
}

/** Its environment: the user's paths alone, and what Node compiled of it kept for the run's other tests, not among the user's own. */
export const builtEnvironment = (): Readonly<Record<string, string>> => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  XDG_CACHE_HOME: join(builtProgram(), '..', '..', 'cache'),
})

function built(): string {
  const shared = sharedPlace('the built program')
  if (shared === undefined) return build(mkdtempSync(join(tmpdir(), 'migrate-built-')))
  if (!existsSync(shared)) giveTo(shared, build(`${shared}.${process.pid}`))
  return shared
}

function build(folder: string): string {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs'), join(folder, 'dist')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  for (const name of ['bin', 'package.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
