import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fullName } from '../../src/databases/schema.ts'
import { SnapshotStore } from '../../src/databases/snapshot/store.ts'
import { directly } from '../../src/run/step.ts'
import { PartFeed } from '../../src/steps/part-feed.ts'
import { memoryHost } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { fill, type MovingShop, movingShop } from './moving-shop.ts'

describe('the parts of a snapshot that is still being taken', () => {
  let shop: MovingShop
  let folder: string
  beforeEach(async () => {
    shop = await movingShop(await memoryHost({ batchRows: 4 }))
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    folder = await mkdtemp(join(tmpdir(), 'migrate-feed-'))
  })
  afterEach(async () => {
    await shop.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('are handed out once each, as their lines appear, and end when the snapshot is complete', async () => {
    const lines = (await readFile(join(shop.run.directory, 'database', 'manifest.jsonl'), 'utf8')).trimEnd().split('\n')
    const manifest = join(shop.run.directory, 'database', 'manifest.jsonl')
    const store = new SnapshotStore(shop.run.directory, directly)
    const schema = await store.schema()
    const all = await store.manifest()
    const tables = schema?.tables ?? []
    await writeFile(manifest, `${lines[0]}\n`)
    const feed = new PartFeed(store, tables, () => false, shop.run)
    const signal = new AbortController().signal
    const fed: string[] = []
    const reading = (async () => {
      for (let next = await feed.next(signal); next !== undefined; next = await feed.next(signal))
        fed.push(`${next.part.table} ${next.part.part}`)
    })()
    for (const line of lines.slice(1)) {
      // Half a line is what a reader may see while another writes.
      await appendFile(manifest, line.slice(0, 20))
      await shop.clock.advance(200)
      await appendFile(manifest, `${line.slice(20)}\n`)
      await shop.clock.advance(200)
    }
    await reading
    const expected = tables.flatMap((table) => all.tables.get(fullName(table.name))?.parts ?? [])
    expect(fed.toSorted()).toEqual(expected.map((part) => `${part.table} ${part.part}`).toSorted())
    expect(expected.length).toBeGreaterThan(5)
  })

  it('of a table without a key wait until all of it is there, since it may yet be read anew', async () => {
    const manifest = join(shop.run.directory, 'database', 'manifest.jsonl')
    const text = await readFile(manifest, 'utf8')
    const store = new SnapshotStore(shop.run.directory, directly)
    const visits = (await store.schema())?.tables.filter((table) => table.name.name === 'visits') ?? []
    const whole = (await store.manifest()).tables.get(fullName(visits[0]?.name ?? { schema: '', name: '' }))
    expect(whole?.whole).toBe(true)
    await writeFile(
      manifest,
      text
        .split('\n')
        .filter((line) => !line.includes('"visits"') && !line.includes('visits","') && !line.includes('"complete"'))
        .join('\n'),
    )
    const feed = new PartFeed(store, visits, () => false, shop.run)
    const stop = new AbortController()
    const next = feed.next(stop.signal)
    await shop.clock.advance(1000)
    expect(feed.rows).toBe(0)
    stop.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
  })
})
