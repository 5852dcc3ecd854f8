import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { FakeClock } from '../fakes/clock.ts'
import { CostlyFiles, type Costs } from '../fakes/costly-files.ts'
import { perform, sideBySide, TestRun, testContext, testWorld } from '../fakes/step-run.ts'

/** Files of a site, by how many mebibytes each has. */
type Site = readonly { readonly files: number; readonly mebibytes: number }[]

const small = (files: number): Site => [{ files, mebibytes: 1 / 1024 }]
const large = (files: number, mebibytes: number): Site => [{ files, mebibytes }]

const usual: Costs = { request: 40, mebibyte: 300, connections: 4 }
const slower: Costs = { request: 80, mebibyte: 600, connections: 4 }

const MOVES: readonly (readonly [string, { readonly site: Site; readonly old?: Costs; readonly fresh?: Costs }])[] = [
  ['many small files', { site: small(160) }],
  ['a few large files', { site: large(4, 4) }],
  ['one large file', { site: large(1, 7) }],
  ['large files among small ones', { site: [...small(60), ...large(3, 6), ...small(60)] }],
  ['one large file, from a slower host', { site: large(1, 7), old: slower }],
  ['one large file, to a slower host', { site: large(1, 7), fresh: slower }],
]

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function newRun(clock: FakeClock): TestRun {
  const directory = mkdtempSync(join(tmpdir(), 'migrate-overlap-'))
  folders.push(directory)
  return new TestRun(directory, clock)
}

/** A site on the old host, and what a run takes for it, milliseconds of a clock that stands still but for what the hosts do. */
async function moved(site: Site, old: Costs, fresh: Costs, how: 'in turn' | 'together') {
  const clock = new FakeClock(Date.UTC(2026, 7, 26), { unseenWork: false })
  const hosts = { old: new CostlyFiles('memory://old', clock, old), new: new CostlyFiles('memory://new', clock, fresh) }
  for (const [kind, { files, mebibytes }] of site.entries())
    for (let at = 0; at < files; at += 1)
      hosts.old.put(`kind-${kind}/file-${at}.bin`, `${kind} ${at} `.padEnd(mebibytes * 2 ** 20, 'x'))
  const world = testWorld({ old: { files: hosts.old, connections: 4 }, new: { files: hosts.new, connections: 4 } })
  const run = newRun(clock)
  const snapshot = snapshotFilesKind.create(snapshotFilesKind.options.parse({}), testContext(world, 'snapshot-files'))
  const restore = restoreFilesKind.create(restoreFilesKind.options.parse({}), testContext(world, 'restore-files'))
  const took = async (work: () => Promise<unknown>): Promise<number> => {
    const begun = clock.monotonic()
    await work()
    return clock.monotonic() - begun
  }
  const times =
    how === 'together'
      ? {
          both: await took(() =>
            sideBySide(
              run,
              () => perform(snapshot, run),
              () => perform(restore, run),
            ),
          ),
        }
      : { get: await took(() => perform(snapshot, run)), put: await took(() => perform(restore, run)) }
  expect(hosts.new.fingerprint()).toBe(hosts.old.fingerprint())
  return { get: 0, put: 0, both: 0, ...times }
}

describe('saving files and bringing them to the new host, side by side', () => {
  it.each(MOVES)(
    'takes hardly longer than the slower of the two alone: %s',
    async (_what, { site, old = usual, fresh = usual }) => {
      const { get, put } = await moved(site, old, fresh, 'in turn')
      const { both } = await moved(site, old, fresh, 'together')
      expect(both).toBeLessThanOrEqual(1.15 * Math.max(get, put))
    },
  )
})
