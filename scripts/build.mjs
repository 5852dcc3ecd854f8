// `npm run build`: the TypeScript of src to JavaScript in dist, for the package; a checkout runs from src.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// For the test of the package: types are what `npm run lint` checks, and take four times as long as all the rest.
const unchecked = process.env.MIGRATE_BUILD_UNCHECKED === '1'
rmSync(`${root}/dist`, { recursive: true, force: true })
process.exitCode =
  spawnSync('tsc', ['-p', 'tsconfig.build.json', ...(unchecked ? ['--noCheck'] : [])], { cwd: root, stdio: 'inherit' }).status ??
  1
