import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import { errorOf } from '../contract/files-kit.ts'
import { perform, TestRun, takeBack } from '../fakes/step-run.ts'
import { ftpdMissing, startProftpd } from '../servers/ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { between, overFtp } from './between.ts'
import { Carrying } from './carrying.ts'
import { type Move, startMove } from './moving-files.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const LATER = 1_700_000_500

async function carried() {
  const both = await Carrying.begin({ 'index.html': '<h1>Shop</h1>', 'img/a.png': 'picture a' })
  ends.push(() => both.end())
  const before = both.fresh.fingerprint()
  both.old.put('img/a.png', 'another picture', 0o644, LATER)
  both.old.put('img/new.png', 'a new picture', 0o644, LATER)
  const planned = await perform(both.step(), both.run)
  return { both, before, planned }
}

describe('a carried file that is proven wrong', () => {
  const damage = (both: Carrying, path: string, text: string): void => both.fresh.put(path, text, 0o644, LATER)

  it('is sent again by the next pass, whatever its listing says; and all is taken back', async () => {
    const { both, before, planned } = await carried()
    damage(both, 'img/a.png', 'anotheR picture')
    damage(both, 'img/new.png', 'a New picture')
    const found = await both.step().verify(both.run)
    expect(found).toMatchObject([
      { severity: 'error', code: 'carried-files-differ', message: expect.stringMatching(/a\.png.*new/) },
    ])
    const mended = await both.pass()
    expect(mended).toMatchObject({ planned: [{ do: 'carry', files: 2 }], codes: ['files-carried'] })
    expect(both.fresh.fingerprint()).toBe(both.old.fingerprint())
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    await takeBack(both.step(), [...planned, ...mended.planned], both.run)
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('is taken back as it was found, when it never was sent again', async () => {
    const { both, before, planned } = await carried()
    damage(both, 'img/a.png', 'anotheR picture')
    damage(both, 'img/new.png', 'a New picture')
    await both.step().verify(both.run)
    await takeBack(both.step(), planned, both.run)
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('is sent as the old host has it by now, and left alone when the new host has changed it since', async () => {
    const { both } = await carried()
    damage(both, 'img/a.png', 'anotheR picture')
    damage(both, 'img/new.png', 'a New picture')
    await both.step().verify(both.run)
    both.old.put('img/a.png', 'a third picture', 0o644, LATER + 1)
    both.fresh.put('img/new.png', 'changed on new', 0o644, LATER + 2)
    expect((await both.pass()).codes).toEqual(['files-carried'])
    expect(both.textOf(both.fresh, 'img/a.png')).toBe('a third picture')
    expect(both.textOf(both.fresh, 'img/new.png')).toBe('changed on new')
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })
})

describe('a carried file that is proven wrong, and that the old host no longer has', () => {
  const lost = async () => {
    const { both, before, planned } = await carried()
    both.fresh.put('img/new.png', 'a New picture', 0o644, LATER)
    both.fresh.put('img/a.png', 'anotheR picture', 0o644, LATER)
    both.old.nodes.delete('img/new.png')
    const found = await both.step().verify(both.run)
    return { both, before, planned, found }
  }

  it('is said to be, and removed by a change of its own, whatever the playbook says of what is gone', async () => {
    const { both, before, planned, found } = await lost()
    expect(found).toMatchObject([
      { code: 'carried-files-differ', message: expect.stringMatching(/not what was sent: img\/a\.png/) },
      { severity: 'error', message: expect.stringMatching(/the old host no longer has them: img\/new\.png/) },
    ])
    const step = both.step()
    const changes = await step.plan(both.run)
    expect(changes.map((change) => step.describe(change))).toEqual([
      expect.stringMatching(/^carry img\/a\.png/),
      expect.stringMatching(/^remove img\/new\.png, which did not arrive as sent, and which the old host no longer has/),
    ])
    const mended = await both.pass()
    expect(mended.codes).toEqual(['files-carried'])
    expect([...both.fresh.nodes.keys()].sort()).toEqual([...both.old.nodes.keys()].sort())
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    await takeBack(both.step(), mended.planned, both.run)
    expect(both.textOf(both.fresh, 'img/new.png')).toBe('a New picture')
    await takeBack(both.step(), planned, both.run)
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('stays when somebody changed it on the new host since, and is sent once more when it is on the old one again', async () => {
    const { both } = await lost()
    const changes = await both.step().plan(both.run)
    both.old.put('img/new.png', 'a new picture', 0o644, LATER)
    for (const change of changes) await both.step().apply(change, both.run)
    expect(both.textOf(both.fresh, 'img/new.png')).toBe('a New picture')
    await both.step().verify(both.run)
    await both.pass()
    expect(both.textOf(both.fresh, 'img/new.png')).toBe('a new picture')
    both.old.nodes.delete('img/new.png')
    both.fresh.put('img/new.png', 'somebody’s', 0o644, LATER + 9)
    expect((await both.pass()).planned).toEqual([])
    expect(both.textOf(both.fresh, 'img/new.png')).toBe('somebody’s')
  })
})

describe('a file that doesn’t arrive as the old host has it', () => {
  let move: Move
  beforeEach(async () => {
    move = await startMove()
    move.old.site.put('page.html', Buffer.from('<h1>Shop</h1>'))
    move.old.site.put('picture.tif', Buffer.alloc(900_000, 'picture'))
    ends.push(() => move.stop())
  })
  const restored = async (): Promise<void> => {
    await perform(move.snapshot(), move.run)
    await perform(move.restore(), move.run)
    await move.restore().verify(move.run)
  }

  it('because the host ends it early is no snapshot', async () => {
    move.old.faults.endsAtByte = 500_000
    expect(await errorOf(perform(move.snapshot(), move.run))).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
    move.old.faults.endsAtByte = undefined
    await restored()
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })

  it('because the host ends it early is not carried, and what stood there stays until it comes whole', async () => {
    await restored()
    const before = move.new.site.image()
    move.old.site.put('picture.tif', Buffer.alloc(800_000, 'another'), 0o644, LATER)
    move.old.faults.endsAtByte = 500_000
    expect(await errorOf(perform(move.carry(), move.run))).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
    expect(move.new.site.image().filter((line) => !line.includes('.migrate-part'))).toEqual(before)
    move.old.faults.endsAtByte = undefined
    await perform(move.carry(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect((await move.carry().verify(move.run)).map(({ code }) => code)).toEqual(['files-carried'])
  })

  it('is no before-image either: what stands there is replaced once it is kept whole', async () => {
    const welcome = randomBytes(700_000)
    move.new.site.put('picture.tif', welcome, 0o600, 1_000_000_000)
    const before = move.new.site.image()
    await perform(move.snapshot(), move.run)
    const begun = await move.restore().plan(move.run)
    move.new.faults.endsAtByte = 500_000
    for (const change of begun) expect((await errorOf(move.restore().apply(change, move.run))).code).toBe('files-connection-lost')
    expect(move.new.site.read('picture.tif')?.equals(welcome)).toBe(true)
    move.new.faults.endsAtByte = undefined
    const done = await perform(move.restore(), move.run)
    await takeBack(move.restore(), [...begun, ...done], move.run)
    expect(move.new.site.paths()).toEqual(['picture.tif'])
    expect(move.new.site.image().join() === before.join()).toBe(true)
  })

  it('that is large goes on at the byte when it breaks off, on the way here and on the way on', async () => {
    await restored()
    const large = randomBytes(9_000_000)
    move.old.site.put('video.mp4', large, 0o644, LATER)
    const offsets: (number | undefined)[] = []
    const read = move.old.host.read.bind(move.old.host)
    move.old.host.read = (path, options) => {
      offsets.push(options?.offset)
      return read(path, options)
    }
    const resumed: (number | undefined)[] = []
    const write = move.new.host.write.bind(move.new.host)
    move.new.host.write = async (...args) => {
      const written = await write(...args)
      resumed.push(written.resumedAt)
      return written
    }
    move.old.faults.cutAfterBytes = 8_000_000
    expect((await errorOf(perform(move.carry(), move.run))).code).toBe('files-connection-lost')
    move.new.faults.cutAfterBytes = 8_000_000
    expect((await errorOf(perform(move.carry(), move.run))).code).toBe('files-connection-lost')
    await perform(move.carry(), move.run)
    expect(offsets).toEqual([0, expect.any(Number)]) // what came was not fetched once more for the second try of the upload
    expect(offsets[1]).toBeGreaterThan(1_000_000)
    expect(resumed).toEqual([expect.any(Number)])
    expect(resumed[0]).toBeGreaterThan(1_000_000)
    expect(move.new.site.read('video.mp4')?.equals(large)).toBe(true)
    const onTheWay = join(move.run.directory, 'files-on-the-way')
    expect(readdirSync(onTheWay, { recursive: true }).filter((each) => /[0-9a-f]{64}/.test(`${each}`))).toEqual([])
    expect((await move.carry().verify(move.run)).map(({ code }) => code)).toEqual(['files-carried'])
    expect(existsSync(onTheWay)).toBe(false)
  })
})

describe.skipIf(ftpdMissing !== null)(`over plain FTP${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`, () => {
  it('a file of which a bit was changed on the way here is not carried, and is fetched anew', async () => {
    const [old, fresh] = [siteFolder(), siteFolder()]
    const run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-carry-')))
    const { host, line, end } = await overFtp(await startProftpd({ site: old.path }))
    ends.push(
      () => rmSync(run.directory, { recursive: true, force: true }),
      () => old.remove(),
      () => fresh.remove(),
      end,
    )
    old.put('small.jpg', randomBytes(300_000))
    old.put('large.jpg', randomBytes(3_000_000))
    const steps = between(host, openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    await steps.restore().verify(run)
    const before = fresh.image()
    for (const name of ['small.jpg', 'large.jpg']) {
      old.put(name, randomBytes(name === 'small.jpg' ? 310_000 : 3_100_000), 0o644, LATER)
      line.corrupt(200_000, 'down')
      const error = await errorOf(perform(steps.carry(), run))
      expect(error).toMatchObject({ code: 'file-changed-on-the-way', retrySafe: true })
      expect(fresh.image().filter((each) => each.startsWith(name))).toEqual(before.filter((each) => each.startsWith(name)))
      await perform(steps.carry(), run)
      expect(fresh.image()).toEqual(old.image())
    }
    expect(line.corrupted).toBe(2)
    expect((await steps.carry().verify(run)).map(({ code }) => code)).toEqual(['files-carried'])
  })
})
