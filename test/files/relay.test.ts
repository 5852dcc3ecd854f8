import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import { directly, type Step } from '../../src/run/step.ts'
import { refuseTooMany } from '../../src/steps/deletions.ts'
import { RelayRecords } from '../../src/steps/relay-records.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { fillShop, type Move, relayedBy, startMove } from './moving-files.ts'

let move: Move
beforeEach(async () => {
  move = await startMove()
  fillShop(move.old.site)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await move.stop()
})

const RELAY = [{ do: 'relay', from: expect.stringContaining('sftp://') }]

const relayed = (restore?: Step): Promise<readonly Json[]> => relayedBy(move, restore)

describe('files that are put on the new host while others are still fetched', () => {
  it('arrive as they were, and then nothing is left to do', async () => {
    const done = await relayed()
    expect(done).toEqual(RELAY)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(await move.restore().plan(move.run)).toEqual([])
    expect((await move.restore().verify(move.run)).map(({ severity }) => severity)).not.toContain('error')
    expect(move.old.writes()).toBe(0)
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.paths()).toEqual([])
  })

  it('begin to arrive before the last was fetched', async () => {
    let arrivedFirst = 0
    const progress = move.run.progress.bind(move.run)
    move.run.progress = (done, total, unit, item) => {
      progress(done, total, unit, item)
      // Until the snapshot has seen its last file, the restore is told that it is still following.
      if (move.run.following) arrivedFirst = Math.max(arrivedFirst, move.new.writes())
    }
    await relayed()
    expect(arrivedFirst).toBeGreaterThan(0)
  })

  it.each([
    [2, 'while the restore follows, so that the first of them can go on', relayed],
    [4, 'while nobody waits for them', async () => void (await perform(move.snapshot(), move.run))],
  ])('are fetched %i at a time where they are large, %s', async (expected, _when, take) => {
    for (let at = 0; at < 8; at += 1) move.old.site.put(`archive-${at}.zip`, Buffer.alloc(3 * 2 ** 20, at))
    const read = move.old.host.read.bind(move.old.host)
    let [open, most] = [0, 0]
    vi.spyOn(move.old.host, 'read').mockImplementation(async (path, options) => {
      const content = await read(path, options)
      if (!path.endsWith('.zip')) return content
      open += 1
      most = Math.max(most, open)
      return content.once('close', () => {
        open -= 1
      })
    })
    await take()
    expect(most).toBe(expected)
  })

  it('are taken back to what stood there before, byte for byte', async () => {
    move.new.site.put('web.config', Buffer.from('the host’s own welcome'), 0o600, 1_000_000_000)
    move.new.site.put('images/shirt-3.png', Buffer.alloc(200_000, 'z'), 0o644, 1_000_000_001)
    move.new.site.put('untouched.html', Buffer.from('stays'))
    const before = move.new.site.image()
    const done = await relayed()
    expect(move.new.site.read('web.config')?.toString()).toContain('old-sql')
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('are taken back whole when one of them was cut off on its way', async () => {
    move.new.site.put('web.config', Buffer.from('the host’s own welcome'), 0o600, 1_000_000_000)
    const before = move.new.site.image()
    const done = await relayed()
    // As a process leaves it that was killed.
    rmSync(join(move.new.site.path, 'images/poster.tif'))
    move.new.site.put('images/.poster.tif.migrate-part', Buffer.alloc(1000))
    move.new.site.put('.web.config.migrate-part', Buffer.alloc(10))
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('are taken back whole when the second content of one was cut off on its way', async () => {
    const before = move.new.site.image()
    const done = await relayed()
    // As a process leaves it that was killed: the first content stands, and the other one is on its way.
    const records = RelayRecords.open(move.run, directly)
    const poster = records.put.entry('images/poster.tif')
    if (poster === undefined || poster.sha256 === null) throw new Error('the poster was not put')
    await records.put.note(poster.path, poster.sha256)
    await records.put.keep({ ...poster, sha256: 'f'.repeat(64), mtimeSeconds: poster.mtimeSeconds + 1 }, null)
    records.close()
    move.new.site.put('images/.poster.tif.migrate-part', Buffer.alloc(1000))
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('leave what stood there already as it was saved, also when all is taken back', async () => {
    await relayed()
    const image = move.new.site.image()
    const again = await startMove()
    try {
      fillShop(again.old.site)
      fillShop(again.new.site)
      const first = move
      move = again
      const writes = again.new.writes()
      const done = await relayed()
      expect(again.new.writes()).toBe(writes)
      await takeBack(again.restore(), done, again.run)
      expect(again.new.site.image()).toEqual(image)
      move = first
    } finally {
      await again.stop()
    }
  })

  it('follow the old host: what changed or went meanwhile is changed or gone on the new one', async () => {
    // The last file isn't given out before the first ones have arrived, and changed on the old host.
    const { host, site } = move.old
    const read = host.read.bind(host)
    site.put('a folder/inside.txt', Buffer.from('inside'))
    const first = ['images/shirt-1.png', 'images/shirt-2.png', 'a folder/inside.txt']
    const changed = (async () => {
      await vi.waitUntil(() => first.every((path) => move.new.site.read(path) !== undefined), { timeout: 60_000, interval: 5 })
      site.put('images/shirt-0.png', Buffer.from('sold out'), 0o644, 1_222_222_222)
      site.put('late.txt', Buffer.from('late'))
      for (const path of [...first.slice(0, 2), 'a folder']) rmSync(join(site.path, path), { recursive: true })
      site.put('images/shirt-2.png/is/a/folder.txt', Buffer.from('now'))
      site.put('a folder', Buffer.from('is a file now'))
    })()
    host.read = async (path, options) => {
      if (path === 'web.config') await changed
      return await read(path, options)
    }
    const done = await relayed()
    // What the last look of the snapshot saw is what counts; it looks until nothing changes.
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(await move.restore().plan(move.run)).toEqual([])
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.paths()).toEqual([])
  })

  it.each([0, 1, 2, 3])('go on where they were cut off, and are undone as a whole (cut %i)', async (cut) => {
    move.new.site.put('web.config', Buffer.from('welcome'), 0o600, 1_000_000_000)
    const before = move.new.site.image()
    move.new.faults.cutAfterBytes = 1 + cut * 250_000
    await expect(relayed()).rejects.toMatchObject({ code: 'files-connection-lost' })
    move.new.faults.cutAfterBytes = undefined
    const done = [{ do: 'relay', from: move.old.host.label }, ...(await perform(move.restore(), move.run))]
    expect(move.new.site.image().filter((line) => !line.includes('.migrate-part'))).toEqual(move.old.site.image())
    expect(await move.restore().plan(move.run)).toEqual([])
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image().filter((line) => !line.includes('.migrate-part'))).toEqual(before)
  })

  it('wait for the whole snapshot where something is to be removed', () => {
    expect(move.restore().follows).toBe('snapshot-files')
    expect(move.restore({ delete: true }).follows).toBeUndefined()
  })
})

describe('removing what the old host doesn’t have', () => {
  const restore = (limit: number | string): Step => move.restore({ delete: true, 'max-delete': limit })

  it('removes no more than the playbook allows: beyond it, nothing at all', async () => {
    for (let index = 0; index < 5; index += 1) move.new.site.put(`surplus-${index}.txt`, Buffer.from('not saved'))
    await perform(move.snapshot(), move.run)
    await expect(restore(4).plan(move.run)).rejects.toMatchObject({ code: 'too-many-deletions' })
    await expect(restore('2%').plan(move.run)).rejects.toMatchObject({ code: 'too-many-deletions' })
    expect(move.new.writes()).toBe(0)
    await perform(restore('4%'), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })

  it('takes a share to the last entry', () => {
    expect(() => refuseTooMany(11, 1000, '1.1%', 'the new host')).not.toThrow()
    expect(() => refuseTooMany(12, 1000, '1.1%', 'the new host')).toThrow('allows 11')
    expect(() => refuseTooMany(12, 1001, '1.1%', 'the new host')).not.toThrow()
  })

  it('asks the old host no more once they are too many', async () => {
    for (let index = 0; index < 200; index += 1) move.new.site.put(`surplus-${index}.txt`, Buffer.from('not saved'))
    await perform(move.snapshot(), move.run)
    const { host } = move.old
    const stat = vi.spyOn(host, 'stat')
    await expect(restore(4).plan(move.run)).rejects.toMatchObject({ code: 'too-many-deletions' })
    expect(stat.mock.calls.length).toBeLessThan(50)
  })

  it('leaves what the playbook excludes, and what the old host got since', async () => {
    move.old.site.put('cache/page.html', Buffer.from('old page'))
    move.new.site.put('cache/page.html', Buffer.from('new page'))
    await perform(move.snapshot({ exclude: ['cache'] }), move.run)
    move.old.site.put('since.txt', Buffer.from('came since'))
    move.new.site.put('since.txt', Buffer.from('there too'))
    move.new.site.put('surplus.txt', Buffer.from('nobody’s'))
    await perform(restore(10), move.run)
    expect(move.new.site.paths()).toContain('cache/page.html')
    expect(move.new.site.paths()).toContain('since.txt')
    expect(move.new.site.paths()).not.toContain('surplus.txt')
  })
})
