// `npm run bench`: brings in the servers and tools to compare with, then measures. Arguments go to test/bench/index.ts.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setUpServers } from './setup-servers.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

setUpServers({ bench: true })
const result = spawnSync(process.execPath, [here('../test/bench/index.ts'), ...process.argv.slice(2)], { stdio: 'inherit' })
process.exitCode = result.status ?? 1
