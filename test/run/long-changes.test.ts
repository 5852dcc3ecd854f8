import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('./long-changes-child.ts', import.meta.url))
/** As objects, they would take several times the memory that the process is given. */
const CHANGES = 300

it('what a run knows of its changes takes no more memory for a million files in them than for some', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=32', CHILD, String(CHANGES)])
  expect(stdout).toBe(`${CHANGES} carry 299: photos of change 299/0.jpg\n`)
}, 120_000)
