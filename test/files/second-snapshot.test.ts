import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { perform } from '../fakes/step-run.ts'
import { fillShop, type Move, startMove } from './moving-files.ts'

let move: Move
beforeEach(async () => {
  move = await startMove()
  fillShop(move.old.site)
})
afterEach(() => move.stop())

/** Paths that are read from the old host from now on. */
function readsOfOld(): readonly string[] {
  const { host } = move.old
  const read = host.read.bind(host)
  const paths: string[] = []
  host.read = (path, options) => {
    paths.push(path)
    return read(path, options)
  }
  return paths
}

function change(): void {
  move.old.site.put('images/shirt-7.png', Buffer.from('another picture'), 0o644, 1_250_000_000)
  move.old.site.put('images/poster.tif', Buffer.alloc(800_000, 'another'), 0o644, 1_250_000_001)
  move.old.site.put('new.txt', Buffer.from('new'))
  rmSync(join(move.old.site.path, 'empty.txt'))
}
const CHANGED = ['images/poster.tif', 'images/shirt-7.png', 'new.txt']

/** How many contents the run's store has, small and large. */
function contents(): number {
  const index = new DatabaseSync(join(move.run.directory, 'files', 'index.db'), { readOnly: true })
  const small = Number(index.prepare('SELECT count(*) AS n FROM contents').get()?.n)
  index.close()
  const folder = join(move.run.directory, 'files', 'objects')
  const large = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, String(name))).isFile())
  return small + large.length
}

describe('a second snapshot in the same run', () => {
  it('fetches what changed alone, and drops what nothing refers to any more', async () => {
    await perform(move.snapshot(), move.run)
    const before = contents()
    change()
    expect(await move.snapshot().plan(move.run)).toEqual([])
    move.run.named = true
    const reads = readsOfOld()
    const [planned] = await perform(move.snapshot(), move.run)
    expect(planned).toMatchObject({ files: 124, fetchFiles: 3 })
    expect(reads.toSorted()).toEqual(CHANGED)
    expect(contents()).toBe(before)
    expect(await move.snapshot().plan(move.run)).toEqual([])
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })

  it('is not begun by itself, nor once customers are on the new host', async () => {
    await perform(move.snapshot(), move.run)
    change()
    move.run.named = true
    await move.run.remember('cutover-dns', { at: 1, ttlSeconds: 60 })
    expect(await move.snapshot().plan(move.run)).toEqual([])
  })
})

describe('a run begun anew with --fresh', () => {
  /** What the runner does with the folders of the earlier run. */
  const setAside = (): void => {
    mkdirSync(join(move.run.directory, 'earlier-run-0'))
    renameSync(join(move.run.directory, 'files'), join(move.run.directory, 'earlier-run-0', 'files'))
  }

  it('holds nothing of the earlier one that the playbook excludes by now', async () => {
    await perform(move.snapshot(), move.run)
    setAside()
    await perform(move.snapshot({ exclude: ['images/*.png', 'pages/**'] }), move.run)
    await perform(move.restore(), move.run)
    expect(move.new.site.paths().filter((path) => /\.png$|^pages\//.test(path))).toEqual([])
    expect(move.new.site.paths()).toContain('images/poster.tif')
  })

  it('fetches what changed since the earlier run alone, and leaves that one as it is', async () => {
    await perform(move.snapshot(), move.run)
    setAside()
    change()
    const reads = readsOfOld()
    expect(await move.snapshot().plan(move.run)).toMatchObject([{ files: 124, fetchFiles: 3 }])
    await perform(move.snapshot(), move.run)
    expect(reads.toSorted()).toEqual(CHANGED)
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    const aside = join(move.run.directory, 'earlier-run-0', 'files', 'objects')
    expect(readdirSync(aside, { recursive: true }).some((name) => statSync(join(aside, String(name))).isFile())).toBe(true)
  })

  it('fetches everything when that run was of another host', async () => {
    await perform(move.snapshot(), move.run)
    setAside()
    const index = new DatabaseSync(join(move.run.directory, 'earlier-run-0', 'files', 'index.db'))
    index.exec("UPDATE facts SET value = 'sftp://somebody@elsewhere/' WHERE name = 'host'")
    index.close()
    expect(await move.snapshot().plan(move.run)).toMatchObject([{ files: 124, fetchFiles: 124 }])
  })
})
