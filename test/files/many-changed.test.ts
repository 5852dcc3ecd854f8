import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('./many-changed-child.ts', import.meta.url))
const FILES = 10_000
/** Held all together, they would take twice the memory that the process has left for them. */
const MEMORY = '--max-old-space-size=24'

it('as many files as there are, all changed, wrong or nobody’s, are planned, proven and told of in the memory that few take', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [MEMORY, CHILD, String(FILES)])
  const named = '(?:d\\d+/f\\d+\\.jpg(?:, )?){5} and 9,995 more \\(all of them in /.*\\.txt\\)\\.'
  expect(JSON.parse(stdout)).toEqual({
    ...{ changed: FILES, gone: FILES, named: FILES, mended: FILES, sentOnceMore: FILES, surplus: 2 * FILES },
    wrong: [expect.anything(), expect.stringMatching(new RegExp(`^10,000 files on .* missing or not what was saved: ${named}$`))],
    readBack: [expect.stringMatching(new RegExp(`^10,000 files on .* are not what was sent: ${named}$`))],
  })
}, 120_000)
