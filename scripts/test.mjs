// `npm test`: brings in the test servers, then runs vitest. Arguments go to vitest: `npm test -- test/files`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setUpServers } from './setup-servers.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

setUpServers()
const reporters = ['--reporter=default', `--reporter=${here('closing-line.mjs')}`]
const result = spawnSync(
  process.execPath,
  [here('../node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...process.argv.slice(2)],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: here('..'),
  },
)
if (result.error) process.stderr.write(`vitest did not start: ${result.error.message}\n`)
process.exitCode = result.status ?? 1
