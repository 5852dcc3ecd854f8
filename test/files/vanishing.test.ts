import { rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileMissing } from '../../src/files/failures.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileEntry } from '../../src/files/port.ts'
import { foundAfterAll, readUnlessGone } from '../../src/files/vanishing.ts'
import { errorOf, listed } from '../contract/files-kit.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

const MANY = 4000

describe('a folder on this machine whose files go while it is listed', () => {
  let site: SiteFolder
  beforeEach(() => {
    site = siteFolder()
  })
  afterEach(() => site.remove())

  it('is listed without them', async () => {
    const nameOf = (index: number): string => `${index}`.padStart(5, '0')
    for (let index = 0; index < MANY; index += 1) site.put(nameOf(index), Buffer.alloc(0))
    let isListed = false
    const listing = listed(openLocal(site.path)).finally(() => {
      isListed = true
    })
    let left = MANY
    for (; !isListed && left > 0; left -= 1) {
      unlinkSync(join(site.path, nameOf(left - 1)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const found = new Set((await listing).map(({ path }) => path))
    expect(left).toBeLessThan(MANY)
    for (let index = 0; index < left; index += 1) expect(found.has(nameOf(index))).toBe(true)
  })

  it('fails when all of it goes, root and all: that is no cache that was emptied', async () => {
    for (const path of ['a', 'cache/1', 'z']) site.put(path, Buffer.from(path))
    const listing = (async () => {
      for await (const { path } of openLocal(site.path).list()) if (path === 'a') rmSync(site.path, { recursive: true })
    })()
    expect((await errorOf(listing)).code).toBe('file-missing')
  })
})

const entry = (path: string, kind: FileEntry['kind']): FileEntry => {
  return { path, kind, size: 0, mode: null, mtimeSeconds: 0, target: null }
}

describe('what is named and can’t be found', () => {
  const missing = (name: string): Error => fileMissing('here', name)

  it('is left out when it isn’t named any more, and found when it is there again', async () => {
    const look = async (name: string) => (name === 'back' ? entry('back', 'file') : undefined)
    expect(await foundAfterAll(['gone', 'back'], { look, names: async () => ['back', 'other'], missing })).toEqual([
      entry('back', 'file'),
    ])
  })

  it('is an error when it stays named: a name that the host gives and doesn’t know', async () => {
    const work = foundAfterAll(['odd'], { look: async () => undefined, names: async () => ['odd'], missing })
    expect(await errorOf(work)).toMatchObject({ code: 'file-missing', message: expect.stringContaining('odd') })
  })

  it('is an error when it is a folder that stands and is never found when it is to be listed', async () => {
    const read = (folder: string) => Promise.reject(fileMissing('here', folder))
    expect((await errorOf(readUnlessGone('a/b', { read, stat: async (path) => entry(path, 'folder') }))).code).toBe(
      'file-missing',
    )
  })

  it('is gone when it stands no more, or as something else than a folder', async () => {
    const read = (folder: string) => (folder === '' ? Promise.resolve([]) : Promise.reject(fileMissing('here', folder)))
    expect(await readUnlessGone('a/b', { read, stat: async () => undefined })).toBeUndefined()
    expect(await readUnlessGone('a/b', { read, stat: async (path) => entry(path, 'file') })).toBeUndefined()
  })
})
