import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** What a file with a process of its own may use alone: other programs, and threads. */
const PROGRAMS: readonly string[] = ['node:child_process', 'node:worker_threads']

/**
 * The test files, from the repository's root, that start servers or programs: they, or pieces of tests that they import, import
 * test/servers or Node's modules for it. Each gets a process of its own. The others can't be in each other's way and share one for each
 * worker: beginning it and reading the sources in took as long as their tests.
 */
export function filesApart(): readonly string[] {
  return globSync('test/**/*.test.ts', { cwd: ROOT }).filter((path) => isApart(join(ROOT, path), new Set()))
}

function isApart(file: string, seen: Set<string>): boolean {
  if (seen.has(file)) return false
  seen.add(file)
  return importsOf(file).some((target) => {
    if (!target.startsWith('.')) return PROGRAMS.includes(target)
    const path = resolve(dirname(file), target)
    const place = relative(ROOT, path)
    return place.startsWith('test/servers/') || (place.startsWith('test/') && place.endsWith('.ts') && isApart(path, seen))
  })
}

const imports = new Map<string, readonly string[]>()

function importsOf(file: string): readonly string[] {
  const known = imports.get(file)
  if (known !== undefined) return known
  const statement = /^(?:import|export)\s(?:[^'"]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm
  const found = [...readFileSync(file, 'utf8').matchAll(statement)].map(([, from, dynamic]) => from ?? dynamic ?? '')
  imports.set(file, found)
  return found
}
