import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const VITEST = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const REPORTER = fileURLToPath(new URL('../scripts/closing-line.mjs', import.meta.url))

const MIXED = `
  test('works', () => expect(1).toBe(1))
  describe('a shop', () => {
    test('counts', () => { throw new RangeError('one stray is lost\\n\\nand five\\nmore\\nlines\\nof\\nwords\\nand one') })
    test('closes', (context) => context.skip('nobody has the key'))
  })
  describe('a host', () => {
    beforeAll(() => { throw new Error('no server here') })
    test('answers', () => undefined)
  })
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrate-closing-line-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function report(files: Readonly<Record<string, string>>) {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  const args = ['run', '--root', folder, '--globals', '--reporter=default', `--reporter=${REPORTER}`, ...Object.keys(files)]
  const child = spawn(process.execPath, [VITEST, ...args], {
    env: { PATH: process.env.PATH ?? '', NO_COLOR: '1', CI: 'true' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const output = await text(child.stdout)
  return { exit: await ended, output }
}

test('the report of a test run ends with what failed and why, after what was skipped and before the counts', async () => {
  const { exit, output } = await report({ 'mixed.test.js': MIXED, 'unread.test.js': "throw new Error('no such thing')" })
  expect(exit).toBe(1)
  const end = output.slice(output.lastIndexOf('\nSkipped:'))
  expect(end).toContain('  mixed.test.js > a shop > closes (nobody has the key)\n')
  const [, failed = ''] = end.split('\nFailed:\n')
  const [list = '', counts] = failed.split('\n\n')
  // Files come in the order in which they ended.
  expect(
    list
      .split(/\n(?= {2}\S)/)
      .map((each) => each.trimEnd())
      .sort(),
  ).toEqual([
    '  mixed.test.js > a host\n    Error: no server here',
    '  mixed.test.js > a shop > counts\n    RangeError: one stray is lost\n    and five\n    more\n    lines\n    of\n    words',
    '  unread.test.js\n    Error: no such thing',
  ])
  expect(counts).toBe('1 passed, 3 failed, 2 skipped\n')
})

test('the report of a test run in which nothing failed says nothing of failures', async () => {
  const { exit, output } = await report({ 'well.test.js': "test('works', () => expect(1).toBe(1))" })
  expect(exit).toBe(0)
  expect(output).not.toContain('Failed:')
  expect(output).toMatch(/\n1 passed, 0 failed, 0 skipped\n$/)
})
