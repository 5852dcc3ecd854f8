import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/base/errors.ts'
import { openLocal } from '../../src/files/local.ts'
import { directly, type Step } from '../../src/run/step.ts'
import { entriesOf, Places, planBatches } from '../../src/steps/file-batches.ts'
import { FileStore } from '../../src/steps/file-store.ts'
import { overriding } from '../contract/files-kit.ts'
import { perform, TestRun, takeBack } from '../fakes/step-run.ts'
import { FTP_UID, ftpdMissing, startProftpd, startVsftpd } from '../servers/ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { between, overFtp } from './between.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

let old: SiteFolder
let fresh: SiteFolder
let run: TestRun
beforeEach(() => {
  ;[old, fresh] = [siteFolder(), siteFolder()]
  const directory = mkdtempSync(join(tmpdir(), 'migrate-mending-'))
  run = new TestRun(directory)
  ends.push(
    () => old.remove(),
    () => fresh.remove(),
    () => rmSync(directory, { recursive: true, force: true }),
  )
})

/** What verify finds beyond what it says of files that are right. */
const faultsOf = async (step: Step): Promise<readonly Finding[]> =>
  (await step.verify(run)).filter(({ code }) => !['restored-files-hashed', 'restored-files-read-back'].includes(code))
const differing = (path: string) => ({ severity: 'error', code: 'restored-files-differ', message: expect.stringContaining(path) })

describe('a restored file that is proven wrong', () => {
  const restored = async (files: Readonly<Record<string, Buffer>>) => {
    for (const [path, bytes] of Object.entries(files)) old.put(path, bytes)
    const steps = between(openLocal(old.path), openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    const done = await perform(steps.restore(), run)
    expect(await faultsOf(steps.restore())).toEqual([])
    return { steps, done }
  }
  /** Other bytes of another length perhaps, under the time that the file had. */
  const damage = (path: string, bytes: Buffer): void => {
    const { mtimeMs, mode } = statSync(join(fresh.path, path))
    fresh.put(path, bytes, mode & 0o7777, Math.floor(mtimeMs / 1000))
  }

  it('is sent again by the next run, whatever its listing says; undone, what is surely ours goes', async () => {
    const files = { a: Buffer.from('first'), b: Buffer.from('other'), 'c/d': Buffer.from('third'), e: Buffer.from('right') }
    const { steps, done } = await restored(files)
    const before = fresh.image()
    damage('a', Buffer.from('fiRst'))
    damage('c/d', Buffer.from('th'))
    expect(await faultsOf(steps.restore())).toMatchObject([differing('a, c/d')])
    expect(steps.restore().describe((await steps.restore().plan(run))[0] ?? null)).toMatch(/^upload part 1: 2 files, 10 B/)
    const mended = await perform(steps.restore(), run)
    expect(fresh.image()).toEqual(before)
    expect(await steps.restore().plan(run)).toEqual([])
    expect(await faultsOf(steps.restore())).toEqual([])
    await takeBack(steps.restore(), [...done, ...mended], run)
    // Of another length it may be somebody's: that is given back as it stood, and told about.
    expect(fresh.paths()).toEqual(['c', 'c/d'])
    expect(fresh.read('c/d')?.toString()).toBe('th')
    expect(run.events).toContainEqual(expect.objectContaining({ code: 'file-changed-since' }))
  })

  it('is left alone when somebody changed it before it could be sent again', async () => {
    const { steps } = await restored({ a: Buffer.from('first') })
    damage('a', Buffer.from('fiRst'))
    expect(await faultsOf(steps.restore())).toMatchObject([differing('a')])
    fresh.put('a', Buffer.from('mended by hand'), 0o644, 1_300_000_000)
    expect(await steps.restore().plan(run)).toEqual([])
    expect(await faultsOf(steps.restore())).toMatchObject([{ severity: 'info', code: 'restored-files-changed-since' }])
    expect(fresh.read('a')?.toString()).toBe('mended by hand')
  })
})

describe('a link', () => {
  it('that somebody leads elsewhere, or puts in the place of a file, is left alone as a changed file is', async () => {
    old.link('current', 'releases/1')
    old.put('robots.txt', Buffer.from('all'))
    const steps = between(openLocal(old.path), openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    expect(await faultsOf(steps.restore())).toEqual([])
    for (const [path, target] of [
      ['current', 'releases/2'],
      ['robots.txt', 'robots-none.txt'],
    ] as const) {
      rmSync(join(fresh.path, path))
      fresh.link(path, target)
    }
    expect(await faultsOf(steps.restore())).toMatchObject([
      {
        severity: 'info',
        code: 'restored-files-changed-since',
        message: expect.stringMatching(/^2 files .*: current, robots\.txt\.$/),
      },
    ])
    expect(await steps.restore().plan(run)).toEqual([])
    expect(fresh.image()).toEqual(['current -> releases/2', 'robots.txt -> robots-none.txt'])
  })

  it('of the new host that leads outside is neither replaced nor removed: it could not be put back', async () => {
    old.put('uploads.html', Buffer.from('page'))
    old.put('kept', Buffer.from('kept'))
    fresh.link('uploads.html', '/srv/pages/uploads.html')
    fresh.link('media', '../media')
    const steps = between(openLocal(old.path), openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    await expect(perform(steps.restore(), run)).rejects.toMatchObject({ code: 'restore-link-outside' })
    expect(fresh.paths()).toEqual(['media', 'uploads.html'])
    rmSync(join(fresh.path, 'uploads.html'))
    await perform(steps.restore({ delete: true, 'max-delete': '100%' }), run)
    expect(fresh.paths()).toEqual(['kept', 'media', 'uploads.html'])
  })

  it('that a host makes otherwise than it was told is not taken for restored', async () => {
    old.link('current', 'releases/1')
    const host = openLocal(fresh.path)
    const steps = between(openLocal(old.path), overriding(host, { link: (path) => host.link(path, path) }))
    await perform(steps.snapshot(), run)
    await expect(perform(steps.restore(), run)).rejects.toMatchObject({
      code: 'files-failed',
      message: expect.stringContaining('was to lead to "releases/1"; it leads to "current"'),
    })
  })
})

it('is found again in the batch that it lies in, among as many files as there may be', async () => {
  const store = FileStore.open(join(run.directory, 'files'), directly)
  const entries = Array.from({ length: 16_002 }, (_, index) => ({
    path: `f${String(index).padStart(5, '0')}`,
    ...({ kind: 'file', size: 1, mode: null, mtimeSeconds: 1, target: null, sha256: 'aa' } as const),
  }))
  await Promise.all(entries.map((entry) => store.keep(entry, null)))
  const places = new Places()
  const at = entries.map((entry) => places.next(entry))
  const wrong = (batch: number) =>
    new Set(at.flatMap((each, index) => (each.batch === batch && index % 16_001 === 0 ? [each.place] : [])))
  const powers = await openLocal(old.path).powers()
  const rules = { powers, isSettled: () => true, wrong, rewritten: new Set<string>() }
  const written: string[] = []
  for await (const batch of planBatches(store, 'digest', Readable.from(entries), rules, () => undefined))
    written.push(...[...entriesOf(store, batch)].map(({ path }) => path))
  store.close()
  expect(written).toEqual(['f00000', 'f16001'])
})

describe.skipIf(ftpdMissing !== null)(`over plain FTP${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`, () => {
  it.each([
    ['that hashes its files', startProftpd, 0],
    ['whose files have to be read back', startVsftpd, FTP_UID],
  ] as const)(
    'a bit that is changed on the way to a host %s is found, and the next run sends the file again',
    async (_, start, owner) => {
      chmodSync(fresh.path, 0o755)
      fresh.folder('site')
      chownSync(join(fresh.path, 'site'), owner, owner)
      const { host, line, end } = await overFtp(await start({ site: fresh.path }), '/site')
      ends.push(end)
      const bytes = randomBytes(300_000)
      old.put('picture.jpg', bytes)
      old.put('page.html', Buffer.from('<h1>Shop</h1>'))
      const steps = between(openLocal(old.path), host)
      await perform(steps.snapshot(), run)
      line.corrupt(100_000, 'up')
      await perform(steps.restore(), run)
      expect(line.corrupted).toBe(1)
      expect(fresh.read('site/picture.jpg')?.equals(bytes)).toBe(false)
      expect(await faultsOf(steps.restore())).toMatchObject([differing('picture.jpg')])
      expect(run.facts.has('files-restored')).toBe(false)
      expect(await perform(steps.restore(), run)).toMatchObject([{ do: 'put', files: 1 }])
      expect(fresh.read('site/picture.jpg')?.equals(bytes)).toBe(true)
      expect(await faultsOf(steps.restore())).toEqual([])
      expect(await steps.restore().plan(run)).toEqual([])
    },
  )

  // Each file is newer there than the one that it was made from, as if somebody had changed it since.
  it('a changed bit is no change of somebody’s where the host refuses to set times, though it lists the command', async () => {
    chmodSync(fresh.path, 0o755)
    fresh.folder('site')
    chownSync(join(fresh.path, 'site'), FTP_UID, FTP_UID)
    const { host, line, end } = await overFtp(await startVsftpd({ site: fresh.path, takesTimes: false }), '/site')
    ends.push(end)
    const [first, second] = [randomBytes(300_000), randomBytes(310_000)]
    old.put('picture.jpg', first)
    const steps = between(openLocal(old.path), host)
    await perform(steps.snapshot(), run)
    line.corrupt(100_000, 'up')
    await perform(steps.restore(), run)
    expect(run.events).toContainEqual(expect.objectContaining({ message: expect.stringContaining('did not take the times') }))
    expect(await faultsOf(steps.restore())).toMatchObject([differing('picture.jpg')])
    expect(run.facts.has('files-restored')).toBe(false)
    expect(await perform(steps.restore(), run)).toMatchObject([{ do: 'put', files: 1 }])
    expect(fresh.read('site/picture.jpg')?.equals(first)).toBe(true)
    expect(await faultsOf(steps.restore())).toEqual([])
    expect(await steps.restore().plan(run)).toEqual([])

    old.put('picture.jpg', second, 0o644, 1_300_000_000)
    line.corrupt(100_000, 'up')
    await perform(steps.carry(), run)
    expect((await steps.carry().verify(run)).map(({ code }) => code)).toEqual(['carried-files-differ'])
    expect(await perform(steps.carry(), run)).toMatchObject([{ do: 'carry', files: 1 }])
    expect(fresh.read('site/picture.jpg')?.equals(second)).toBe(true)
    expect((await steps.carry().verify(run)).map(({ code }) => code)).toEqual(['files-carried'])
    expect(await steps.carry().plan(run)).toEqual([])
  })
})
