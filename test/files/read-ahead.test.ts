import { expect, it } from 'vitest'
import { FolderEntries } from '../../src/files/folder-entries.ts'
import type { FileEntry } from '../../src/files/port.ts'
import { ENTRIES_AHEAD } from '../../src/files/sftp/read-ahead.ts'
import { type ReadFolder, walk } from '../../src/files/sftp/walk.ts'

/** Entries of one answer. */
const ROUND = 250

const entry = (path: string, kind: FileEntry['kind']): FileEntry => {
  return { path, kind, size: 0, mode: null, mtimeSeconds: 0, target: null }
}

/** A host whose root has folders of so many files each, which come some at a time; how often each was read, and how many entries were held. */
class Tree {
  readonly reads = new Map<string, number>()
  held = 0
  most = 0
  readonly #sizes: readonly number[]

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes
  }

  folder = (index: number): string => `d${String(index).padStart(3, '0')}`

  readonly read: ReadFolder = async (folder, soFar) => {
    this.reads.set(folder, (this.reads.get(folder) ?? 0) + 1)
    const entries = new FolderEntries(folder)
    if (folder === '') for (const index of this.#sizes.keys()) entries.add(entry(this.folder(index), 'folder'))
    const files = folder === '' ? 0 : (this.#sizes[Number(folder.slice(1))] ?? 0)
    try {
      for (let at = 0; at < files; at += ROUND) {
        await new Promise((resolve) => setImmediate(resolve))
        for (let file = at; file < at + ROUND; file += 1) entries.add(entry(`${folder}/${String(file).padStart(6, '0')}`, 'file'))
        this.held += ROUND
        this.most = Math.max(this.most, this.held)
        soFar?.(entries.length)
      }
    } catch (error) {
      this.held -= entries.length
      throw error
    }
    return entries.sort()
  }

  async listed(): Promise<readonly string[]> {
    const paths: string[] = []
    const tree = { read: this.read, isEntered: () => true, stat: async () => undefined, saw: () => undefined }
    for await (const { path, kind } of walk('', tree, undefined)) {
      paths.push(path)
      if (kind === 'file') this.held -= 1
    }
    return paths
  }

  expected(): readonly string[] {
    return this.#sizes.flatMap((files, index) => {
      const names = Array.from({ length: files }, (_, file) => `${this.folder(index)}/${String(file).padStart(6, '0')}`)
      return [this.folder(index), ...names]
    })
  }
}

it('folders that turn out to be large are not all read before the walk gets there, and all is listed in order', async () => {
  const tree = new Tree(Array.from({ length: 80 }, () => 1000))
  expect(await tree.listed()).toEqual(tree.expected())
  expect(tree.most).toBeLessThan(1.2 * ENTRIES_AHEAD)
  expect(Math.max(...tree.reads.values())).toBeLessThanOrEqual(3)
})

it('a folder that is too large by itself is left for the walk, which goes on beyond it', async () => {
  const tree = new Tree([500, 3 * ENTRIES_AHEAD, 500, 500])
  expect(await tree.listed()).toEqual(tree.expected())
  expect(tree.reads.get('d001')).toBeLessThanOrEqual(3)
})
