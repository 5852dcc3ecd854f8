import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { Carrying } from './carrying.ts'

let both: Carrying
afterEach(() => both.end())

const LATER = 1_700_000_500
const begun = async (): Promise<void> => {
  both = await Carrying.begin({ 'index.html': '<h1>Shop</h1>', 'img/a.png': 'picture a', 'img/b.png': 'picture b' })
}
const newText = (path: string) => both.textOf(both.fresh, path)

describe('a folder on one host where the other has a file', () => {
  const folder = { kind: 'folder', mode: 0o755, mtimeSeconds: LATER, bytes: Buffer.alloc(0), target: null } as const

  it('is left to a person with all that lies in it, and the rest is carried', async () => {
    await begun()
    both.old.nodes.delete('img/a.png')
    both.old.nodes.set('img/a.png', folder)
    both.old.put('img/a.png/large', 'in the folder', 0o644, LATER)
    both.old.put('img/late.png', 'late', 0o644, LATER)
    const { planned, codes } = await both.pass()
    expect(planned).toMatchObject([
      { do: 'carry', files: 1 },
      {
        do: 'park',
        conflicts: [
          { path: 'img/a.png', reason: 'is a folder on one host, and something else on the other' },
          { path: 'img/a.png/large', reason: 'lies on one host in what is no folder on the other' },
        ],
      },
    ])
    expect(codes).toEqual(['files-carried', 'files-parked'])
    expect(newText('img/late.png')).toBe('late')
    expect(newText('img/a.png')).toBe('picture a')
    expect(readFileSync(join(both.run.directory, 'parked-files', 'old', 'img/a.png/large'), 'utf8')).toBe('in the folder')
    expect(await both.pass()).toEqual({ planned: [], codes: ['files-parked'] })
  })

  it('is nothing to a link that leads outside: that is left to a person whatever the playbook’s rule', async () => {
    await begun()
    both.fresh.nodes.set('img/a.png', { ...folder, kind: 'link', target: '/srv/a.png' })
    both.old.put('img/a.png', 'changed on old', 0o644, LATER)
    expect((await both.pass(both.step({ conflict: 'old' }))).codes).toEqual(['files-parked'])
    expect(both.fresh.nodes.get('img/a.png')?.target).toBe('/srv/a.png')
  })

  it.each([
    ['that is new', 'img/late.png'],
    ['that stood there before', 'img/a.png'],
  ])('or a file %s that becomes a link while it is read: what came is taken back', async (_which, path) => {
    await begun()
    const before = newText(path)
    both.old.put(path, 'late', 0o644, LATER)
    const read = both.old.read.bind(both.old)
    both.old.read = async (each, options) => {
      // As over FTP, where the server follows it.
      if (each === path) both.old.nodes.set(path, { ...folder, kind: 'link', target: '/etc/passwd' })
      return each === path ? Readable.from([Buffer.from('somebody else’s')]) : read(each, options)
    }
    const { codes } = await both.pass()
    expect(newText(path)).toBe(before)
    expect(codes).toEqual([])
    expect((await both.pass()).planned).toEqual([])
  })

  it('is left to a person the other way round, too', async () => {
    await begun()
    for (const path of ['img', 'img/a.png', 'img/b.png']) both.old.nodes.delete(path)
    both.old.put('img', 'a file now', 0o644, LATER)
    const { planned, codes } = await both.pass()
    expect(planned).toMatchObject([{ do: 'park', conflicts: [{ path: 'img' }] }])
    expect(codes).toContain('files-parked')
    expect(newText('img/a.png')).toBe('picture a')
  })
})
