import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** A Node that is too old for migrate, as a fresh machine may have it. */
export const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path) && isOld(path))

function isOld(path: string): boolean {
  const [major = 0, minor = 0] = spawnSync(path, ['--version'], { encoding: 'utf8' })
    .stdout.trim()
    .slice(1)
    .split('.')
    .map(Number)
  return major < 22 || (major === 22 && minor < 18)
}
