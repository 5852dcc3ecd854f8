import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('./plan-memory-child.ts', import.meta.url))
/** As objects, they would take twice the memory that the process is given. */
const ROWS = 100_000

it('a plan takes no more memory for a hundred thousand late rows than for a few', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=24', CHILD, String(ROWS)])
  expect(Number(stdout)).toBe(ROWS)
}, 120_000)
