import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import { connectionLost, permissionDenied } from '../../src/files/failures.ts'
import { directly, type Step } from '../../src/run/step.ts'
import { refuseTooMany } from '../../src/steps/deletions.ts'
import { RelayRecords } from '../../src/steps/relay-records.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { fillShop, type Move, startMove } from './moving-files.ts'

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

/** The snapshot at work, and the restore beside it from its first word on, as the runner does it. Returns what the restore planned. */
async function relayed(restore: Step = move.restore()): Promise<readonly Json[]> {
  const { run } = move
  run.following = true
  const taken = perform(move.snapshot(), run).finally(() => {
    run.following = false
  })
  const begun = (async () => {
    while (!run.handedOver) await new Promise((resolve) => setImmediate(resolve))
    return await perform(restore, run)
  })()
  const [snapshot, done] = await Promise.allSettled([taken, begun])
  for (const end of [snapshot, done]) if (end.status === 'rejected') throw end.reason
  return done.status === 'fulfilled' ? done.value : []
}

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

  describe('large ones', () => {
    const PART = '.archive.zip.migrate-part'
    const archive = Buffer.alloc(6 * 2 ** 20, 'archive ')
    /** The old host gives out the second half of the archive only once `held` has come. */
    const haltingBy = (held: () => Promise<void>): void => {
      let isFirst = true
      move.old.site.put('archive.zip', archive)
      const read = move.old.host.read.bind(move.old.host)
      vi.spyOn(move.old.host, 'read').mockImplementation(async (path, options) => {
        const content = await read(path, options)
        if (path !== 'archive.zip' || !isFirst) return content
        isFirst = false
        const halting = async function* (): AsyncGenerator<Buffer> {
          let came = 0
          for await (const chunk of content as AsyncIterable<Buffer>) {
            if (came < archive.length / 2 && came + chunk.length >= archive.length / 2) await held()
            came += chunk.length
            yield chunk
          }
        }
        return Readable.from(halting(), { objectMode: false })
      })
    }
    const partArrives = (): Promise<void> =>
      vi
        .waitUntil(() => (move.new.site.read(PART)?.length ?? 0) > 2 ** 20, { timeout: 60_000, interval: 5 })
        .then(() => undefined)

    it('begin to arrive before they have come whole, and have their name only then', async () => {
      let early: Buffer | undefined
      haltingBy(async () => {
        await partArrives()
        early = move.new.site.read('archive.zip')
      })
      const done = await relayed()
      expect(early).toBeUndefined()
      expect(move.new.site.image()).toEqual(move.old.site.image())
      expect(await move.restore().plan(move.run)).toEqual([])
      await takeBack(move.restore(), done, move.run)
      expect(move.new.site.paths()).toEqual([])
    })

    it('have no name there when the old host breaks off, go on at the next try, and leave nothing when they are taken back', async () => {
      haltingBy(async () => {
        await partArrives()
        throw connectionLost(move.old.host.label, 'archive.zip')
      })
      await expect(relayed()).rejects.toMatchObject({ code: expect.stringMatching(/files-connection-lost|snapshot-missing/) })
      expect(move.new.site.paths()).not.toContain('archive.zip')
      await takeBack(move.restore(), [{ do: 'relay', from: move.old.host.label }], move.run)
      expect(move.new.site.paths()).toEqual([])
      await relayed()
      expect(move.new.site.image()).toEqual(move.old.site.image())
    })

    it('are put once they are whole when the new host hangs up on the way', async () => {
      const { host } = move.new
      const write = host.write.bind(host)
      const hungUp = Promise.withResolvers<void>()
      let tries = 0
      vi.spyOn(host, 'write').mockImplementation(async (path, content, options, signal) => {
        if (path !== 'archive.zip' || tries++ > 0) return write(path, content, options, signal)
        for await (const _chunk of content) break
        hungUp.resolve()
        throw connectionLost(host.label, path)
      })
      haltingBy(() => hungUp.promise)
      await relayed()
      expect(tries).toBe(2)
      expect(move.new.site.image()).toEqual(move.old.site.image())
    })

    it('hold up nobody when something else fails and the old host gives out no more', async () => {
      const { host } = move.new
      const write = host.write.bind(host)
      vi.spyOn(host, 'write').mockImplementation(async (path, content, options, signal) => {
        if (path !== 'web.config') return write(path, content, options, signal)
        await partArrives()
        throw permissionDenied(host.label, path, 'write')
      })
      const restore = move.restore()
      const apply = restore.apply.bind(restore)
      const over = Promise.withResolvers<void>()
      restore.apply = (change, run) => apply(change, run).finally(over.resolve)
      haltingBy(() => over.promise)
      await expect(relayed(restore)).rejects.toMatchObject({ code: 'file-permission-denied' })
    })

    it('are put anew when they change on the old host on their way', async () => {
      haltingBy(async () => {
        await partArrives()
        move.old.site.put('archive.zip', Buffer.alloc(archive.length, 'changed '), 0o644, 1_222_222_222)
      })
      await relayed()
      expect(move.new.site.image()).toEqual(move.old.site.image())
    })
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
