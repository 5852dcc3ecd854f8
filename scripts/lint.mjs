// `npm run lint`: types, style, unused code, house rules. Runs all of them, so that one run shows everything there is to mend.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const CHECKS = [
  ['types', 'tsc', ['-p', '.']],
  ['style', 'biome', ['check', '--error-on-warnings']],
  ['unused code', 'knip', ['--no-progress']],
  ['house rules', 'vitest', ['run', 'test/tidy.test.ts']],
]

const failed = CHECKS.filter(([title, command, args]) => {
  process.stdout.write(`\n— ${title}: ${command} ${args.join(' ')}\n`)
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status !== 0
})
process.stdout.write(failed.length === 0 ? '\nNothing to mend.\n' : `\nTo mend: ${failed.map(([title]) => title).join(', ')}.\n`)
process.exitCode = failed.length === 0 ? 0 : 1
