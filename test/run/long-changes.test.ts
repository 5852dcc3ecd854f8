import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('./long-changes-child.ts', import.meta.url))
const CHANGES = 300
/** As objects, the changes take some 25 MiB. */
const MOST_MEBIBYTES = 6

it('what a run knows of its changes takes no more memory for a million files in them than for some', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', CHILD, String(CHANGES)])
  const { mebibytes, ...seen } = JSON.parse(stdout)
  expect(seen).toEqual({ met: CHANGES, first: 'carry 299: photos of change 299/0.jpg' })
  expect(mebibytes).toBeLessThan(MOST_MEBIBYTES)
}, 120_000)
