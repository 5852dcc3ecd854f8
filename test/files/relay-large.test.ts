import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectionLost, permissionDenied } from '../../src/files/failures.ts'
import { directly } from '../../src/run/step.ts'
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

describe('large files that are put on the new host while they come', () => {
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
    vi.waitUntil(() => (move.new.site.read(PART)?.length ?? 0) > 2 ** 20, { timeout: 60_000, interval: 5 }).then(() => undefined)

  it('begin to arrive before they have come whole, and have their name only then', async () => {
    let early: Buffer | undefined
    haltingBy(async () => {
      await partArrives()
      early = move.new.site.read('archive.zip')
    })
    const done = await relayedBy(move)
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
    await expect(relayedBy(move)).rejects.toMatchObject({ code: expect.stringMatching(/files-connection-lost|snapshot-missing/) })
    expect(move.new.site.paths()).not.toContain('archive.zip')
    await takeBack(move.restore(), [{ do: 'relay', from: move.old.host.label }], move.run)
    expect(move.new.site.paths()).toEqual([])
    await relayedBy(move)
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
    await relayedBy(move)
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
    await expect(relayedBy(move, restore)).rejects.toMatchObject({ code: 'file-permission-denied' })
  })

  it('leave no part when they were cut off on their way and are gone on the old host by then', async () => {
    const done = await relayedBy(move)
    // As a process leaves it that was killed; the snapshot was taken once more since, without the file.
    const records = RelayRecords.open(move.run, directly)
    const [poster] = [...records.put.entries()].filter(({ path }) => path === 'images/poster.tif')
    if (poster === undefined) throw new Error('the poster was not put')
    await records.put.keep({ ...poster, path: 'archive.zip', sha256: null }, null)
    records.close()
    for (const path of [PART, '.poster.tif.migrate-part']) move.new.site.put(path, Buffer.alloc(1000))
    await perform(move.restore(), move.run)
    // Of the other nobody knows whose it is.
    expect(move.new.site.paths().filter((path) => path.endsWith('.migrate-part'))).toEqual(['.poster.tif.migrate-part'])
    expect(await move.restore().plan(move.run)).toEqual([])
    expect(done).toEqual(RELAY)
  })

  it('are put anew when they change on the old host on their way', async () => {
    haltingBy(async () => {
      await partArrives()
      move.old.site.put('archive.zip', Buffer.alloc(archive.length, 'changed '), 0o644, 1_222_222_222)
    })
    await relayedBy(move)
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })
})
