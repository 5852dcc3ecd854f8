import { describe, expect, it } from 'vitest'
import { checkKind } from '../../src/steps/check.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { TestRun, testContext, testWorld } from '../fakes/step-run.ts'

const OLD = new MemoryFiles('memory://old')
const big = 'x'.repeat(2 * 1024 * 1024)
for (let index = 0; index < 120; index += 1) OLD.put(`var/sessions/s${index}`, 'session')
for (const path of [
  'wp-content/cache/page.html',
  'site/App_Data/Temp/a.tmp',
  'tools/node_modules/x/cache/index.js',
  'cache/small.html',
])
  OLD.put(path, path.startsWith('cache/') ? 'small' : big)
// A program's own folder of that name is no cache of the shop's.
OLD.put('vendor/symfony/cache/Adapter.php', big)

const checked = async (options: unknown) => {
  const world = testWorld({ old: { files: OLD } })
  const snapshot = snapshotFilesKind.create(snapshotFilesKind.options.parse(options), testContext(world, 'snapshot-files'))
  const check = checkKind.create({}, { ...testContext(world, 'check'), others: () => [snapshot] })
  return (await check.check(new TestRun('/nowhere'))).find(({ code }) => code === 'cache-folders')
}

describe('cache and log folders', () => {
  it('are told of with their sizes, and with the line that leaves them out', async () => {
    const finding = await checked({})
    expect(finding).toMatchObject({ severity: 'info' })
    for (const named of [
      'wp-content/cache (1 files, 2.00 MiB)',
      'site/App_Data/Temp',
      'tools/node_modules',
      'var/sessions (120 files',
    ])
      expect(finding?.message).toContain(named)
    expect(finding?.message).not.toContain('vendor')
    expect(finding?.message).not.toContain('small')
    expect(finding?.hint).toContain('snapshot-files: { exclude: [')
    const line = /exclude: (\[.*\])/.exec(finding?.hint ?? '')?.[1] ?? ''
    const exclude: unknown = JSON.parse(line)
    expect(exclude).toHaveLength(4)
    // With that line in the playbook there is nothing more to say.
    expect(await checked({ exclude })).toBeUndefined()
  })
})
