import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { choiceOf } from '../../src/files/choice.ts'
import { permissionDenied } from '../../src/files/failures.ts'
import type { FileHost } from '../../src/files/port.ts'
import { carryFilesKind } from '../../src/steps/carry-files.ts'
import { checkKind } from '../../src/steps/check.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'

const pieces = ['a', 'b', '*', '**', '***', '?', 'a*', '[ab]', '[a', '{a,b}', '{a', 'b}', '{a/b,c}', '{a,{b,c}/d}', 'a,b', '']
const pattern = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
const name = fc.constantFrom('a', 'b', 'ab', 'c', 'd', '.x', '{a', 'b}', 'a,b', 'caf\u{10fee9}', 'line\nbreak')
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

describe('a folder that need not be looked into', () => {
  it('holds nothing that is wanted, whatever the patterns and the names', () => {
    const lists = fc.array(pattern, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(fc.option(lists, { nil: undefined }), lists, path, path, (include, exclude, folder, below) => {
        const choice = choiceOf(include, exclude)
        return choice.looksInto(folder) || !choice(`${folder}/${below}`)
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    ['stats', 'stats', false],
    ['stats', 'shop/stats/2026', false],
    ['stats/**', 'stats', false],
    ['stats/*', 'stats', false],
    ['stats/**/*', 'stats/2026', false],
    ['/stats/', 'stats', false],
    ['stats/**', 'shop/stats', true],
    ['**/cache/**', 'shop/cache', false],
    ['{stats,logs}/**', 'logs', false],
    ['*.log', 'logs', true],
    ['stats/*.html', 'stats', true],
    ['stats/2025', 'stats', true],
  ])('with exclude: [%s] %s is looked into: %s', (exclude, folder, looked) => {
    expect(choiceOf(undefined, [exclude]).looksInto(folder)).toBe(looked)
  })

  it.each([
    ['public_html/**', 'public_html', true],
    ['public_html/**', 'public_html/images', true],
    ['public_html/**', 'stats', false],
    ['shop/*/images', 'shop/en', true],
    ['shop/*/images', 'shop/en/texts', false],
    ['shop/*/images', 'shop/en/images/large', true],
    ['**/images', 'stats', true],
    ['*.jpg', 'stats', true],
    ['{shop/en,blog}/x', 'stats', true],
  ])('with include: [%s] %s is looked into: %s', (include, folder, looked) => {
    expect(choiceOf([include]).looksInto(folder)).toBe(looked)
  })
})

it('a character that a pattern leaves out is none that parts a folder from what it holds', () => {
  const choice = choiceOf(['a[!b]c/d', 'e[^f]g'])
  expect(['a/c/d', 'axc/d', 'abc/d', 'e/g', 'exg', 'efg'].map(choice)).toEqual([false, true, false, false, true, false])
})

/** A folder that belongs to another account, as a host's statistics do. */
const SHUT = 'stats'

function hostWithShut(label: string): MemoryFiles {
  const host = new MemoryFiles(label)
  for (const path of ['index.php', 'images/shirt.jpg', `${SHUT}/hits.txt`]) host.put(path, path)
  host.denied = SHUT
  return host
}

describe('a folder that the account may not read and the playbook leaves out', () => {
  let run: TestRun
  beforeEach(() => {
    run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-choice-')))
  })
  afterEach(() => rmSync(run.directory, { recursive: true, force: true }))

  const steps = (old: FileHost, fresh: FileHost, exclude: readonly string[]) => {
    const world = testWorld({ old: { files: old }, new: { files: fresh } })
    const snapshot = snapshotFilesKind.create(snapshotFilesKind.options.parse({ exclude }), testContext(world, 'snapshot-files'))
    const context = (id: string) => ({ ...testContext(world, id), others: () => [snapshot] })
    return {
      snapshot,
      check: checkKind.create({}, context('check')),
      restore: restoreFilesKind.create(restoreFilesKind.options.parse(undefined), context('restore-files')),
      carry: carryFilesKind.create(carryFilesKind.options.parse(undefined), context('carry-files')),
    }
  }

  it('stops neither check, plan, snapshot, restore nor carry', async () => {
    const [old, fresh] = [hostWithShut('memory://old'), hostWithShut('memory://new')]
    for (const path of ['index.php', 'images/shirt.jpg', 'images']) fresh.nodes.delete(path)
    const { snapshot, check, restore, carry } = steps(old, fresh, ['stats/**'])
    const codes = async (step: typeof check | typeof restore) => (await step.check(run)).map(({ code }) => code)
    expect(await codes(check)).toContain('files-found')
    expect(await codes(restore)).not.toContain('file-permission-denied')
    await perform(snapshot, run)
    await perform(restore, run)
    expect((await restore.verify(run)).filter(({ severity }) => severity === 'error')).toEqual([])
    old.put('images/late.jpg', 'late')
    await perform(carry, run)
    expect([...fresh.nodes.keys()].sort()).toEqual([
      'images',
      'images/late.jpg',
      'images/shirt.jpg',
      'index.php',
      SHUT,
      `${SHUT}/hits.txt`,
    ])
    for (const step of [snapshot, restore, carry]) expect(await step.plan(run)).toEqual([])
  })

  it('stops them as long as it isn’t left out: nothing is passed over unseen', async () => {
    const { snapshot } = steps(hostWithShut('memory://old'), new MemoryFiles('memory://new'), ['stats/*.html'])
    await expect(snapshot.plan(run)).rejects.toThrow(permissionDenied('memory://old', SHUT, 'list').message)
  })
})
