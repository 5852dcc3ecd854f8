import { Readable } from 'node:stream'
import { it as always, expect } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { FileEntry } from '../../src/files/port.ts'
import { within } from '../../src/files/times.ts'
import { wholeContent } from '../../src/files/whole.ts'
import { bytesOf, type Case, errorOf, type FilesUnderTest, from, listed, plainly, writtenBy } from './files-kit.ts'

export function writing(use: () => FilesUnderTest, it: Case = always): void {
  it('writes a file with its mode and time, folders made on the way, and leaves nothing beside it', async () => {
    const { host, truth, lacks = [] } = use()
    const written = await host.write('a/b/file', from('hello ', 'world'), plainly)
    expect(written).toEqual(await writtenBy(host, Buffer.from('hello world')))
    expect(truth.paths()).toEqual(['a', 'a/b', 'a/b/file'])
    expect(truth.read('a/b/file')?.toString()).toBe('hello world')
    expect((await host.powers()).modes).toBe(!lacks.includes('modes'))
    const mode = lacks.includes('modes') ? {} : { mode: 0o640 }
    const { times } = await host.powers()
    expect(await host.stat('a/b/file')).toMatchObject({ ...mode, ...(times ? { mtimeSeconds: 1_250_000_000 } : {}), size: 11 })
  })

  it('replaces a file, an empty one too, and a link by a file without following it', async () => {
    const { host, truth, lacks = [] } = use()
    truth.put('kept', Buffer.from('kept'))
    truth.put('file', Buffer.from('old and longer'))
    if (!lacks.includes('all but Windows')) truth.link('link', 'kept')
    await host.write('file', from('new'), plainly)
    await host.write('link', from('a file now'), plainly)
    await host.write('empty', from(), plainly)
    expect(['file', 'link', 'kept', 'empty'].map((path) => truth.read(path)?.toString())).toEqual([
      'new',
      'a file now',
      'kept',
      '',
    ])
    expect(await host.stat('link')).toMatchObject({ kind: 'file' })
    expect(truth.paths()).toHaveLength(4)
  })

  it('gives a file a time of before 1970, or the nearest that it can have there', async (context) => {
    const { host, isSlow } = use()
    const { timeRange } = await host.powers()
    if (isSlow === true) return context.skip('what its server makes of a time is its own')
    for (const mtimeSeconds of [-86_400, 2 ** 32 + 7]) {
      await host.write('file', from('old'), { ...plainly, mtimeSeconds })
      expect((await host.stat('file'))?.mtimeSeconds).toBe(within(timeRange, mtimeSeconds))
    }
  })

  it('overwrites what an earlier try left', async () => {
    const { host, truth } = use()
    truth.put('.file.migrate-part', Buffer.from('a leftover, longer than the file'), 0o400)
    await host.write('file', from('whole'), plainly)
    expect(truth.paths()).toEqual(['file'])
    expect(truth.read('file')?.toString()).toBe('whole')
  })

  it('keeps the old content when the new one breaks off', async () => {
    const { host, truth } = use()
    truth.put('file', Buffer.from('old'))
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000)
        throw new MigrateError('snapshot-damaged', 'the source broke')
      })(),
    )
    expect((await errorOf(host.write('file', broken, plainly))).code).toBe('snapshot-damaged')
    expect(truth.read('file')?.toString()).toBe('old')
  })

  it('looks once more before it replaces: what somebody else put there meanwhile stays', async () => {
    const { host, truth, isSlow } = use()
    truth.put('file', Buffer.from('old'))
    const known = (await host.stat('file')) ?? null
    const during = (upload: () => void) =>
      Readable.from(
        (async function* () {
          yield Buffer.alloc(70_000)
          upload()
          yield Buffer.from('end')
        })(),
      )
    const attempt = async (path: string, replaces: FileEntry | null, upload: () => void): Promise<string> =>
      (await errorOf(host.write(path, during(upload), { ...plainly, replaces }))).code
    const upload = (path: string) => () => truth.put(path, Buffer.from('upload'), 0o644, 1_300_000_000)
    expect(await attempt('file', known, upload('file'))).toBe('file-changed-meanwhile')
    expect(await attempt('new', null, upload('new'))).toBe('file-changed-meanwhile')
    expect(await attempt('gone', known, () => undefined)).toBe('file-changed-meanwhile')
    const small = Array.from({ length: isSlow === true ? 3 : 30 }, (_, index) => `small/${index}`)
    for (const path of small) truth.put(path, Buffer.from('upload'))
    const all = small.map((path) => host.write(path, wholeContent(Buffer.from('x')), { ...plainly, replaces: null }))
    for (const each of await Promise.allSettled(all)) expect(each).toMatchObject({ reason: { code: 'file-changed-meanwhile' } })
    expect(truth.read('file')?.toString()).toBe('upload')
    expect(truth.read('new')?.toString()).toBe('upload')
    const now = (await host.stat('file')) ?? null
    await host.write('file', from('right'), { ...plainly, replaces: now })
    await host.write('other', from('right'), { ...plainly, replaces: null })
    expect(truth.read('file')?.toString()).toBe('right')
    await host.sweep?.()
    expect(truth.paths()).toEqual(['file', 'new', 'other', 'small', ...small].sort())
    expect(small.every((path) => truth.read(path)?.toString() === 'upload')).toBe(true)
  })

  it('makes folders, links and removes, all of it twice without harm', async (context) => {
    const { host, truth, lacks = [] } = use()
    if (lacks.includes('all but Windows')) return context.skip('it has no links')
    expect((await host.powers()).links).toBe(!lacks.includes('links'))
    for (let times = 0; times < 2; times += 1) {
      await host.makeFolder('a/b/c', 0o750)
      if (lacks.includes('links')) {
        expect((await errorOf(host.link('a/link', 'b/c'))).message).toContain('link')
        truth.remove?.('a/link')
        truth.link('a/link', 'b/c')
      } else await host.link('a/link', 'b/c')
      await host.write('a/file', from('x'), plainly)
    }
    expect(await host.stat('a/b/c')).toMatchObject({ kind: 'folder', ...(lacks.includes('modes') ? {} : { mode: 0o750 }) })
    expect(await host.stat('a/link')).toMatchObject({ kind: 'link', target: 'b/c' })
    await host.removeFolder('a')
    expect(truth.paths()).toEqual(['a', 'a/b', 'a/b/c', 'a/file', 'a/link'])
    for (let times = 0; times < 2; times += 1) {
      for (const path of ['a/file', 'a/link']) await host.remove(path)
      for (const path of ['a/b/c', 'a/b', 'a']) await host.removeFolder(path)
    }
    expect(truth.paths()).toEqual([])
  })

  it('writes hundreds of small files side by side', async () => {
    const { host, truth, isSlow } = use()
    const paths = Array.from({ length: isSlow === true ? 36 : 300 }, (_, index) => `many/d${index % 10}/f${index}`)
    await Promise.all(paths.map((path) => host.write(path, from(path), plainly)))
    expect(paths.every((path) => truth.read(path)?.toString() === path)).toBe(true)
    const found = await listed(host, 'many')
    const contents = found
      .filter((entry) => entry.kind === 'file')
      .map(async (entry) => (await bytesOf(host.read(entry.path, { entry }))).toString())
    expect((await Promise.all(contents)).sort()).toEqual([...paths].sort())
  })
}

export function boundary(use: () => FilesUnderTest, it: Case = always): void {
  it('refuses paths that leave the folder', async () => {
    const { host } = use()
    for (const path of ['../x', '/etc/passwd', 'a/../../x', 'a//b', './x', '', 'a/', 'nul\0']) {
      expect((await errorOf(host.write(path, from('x'), plainly))).code, path).toBe('path-escapes-root')
      expect((await errorOf(bytesOf(host.read(path)))).code, path).toBe('path-escapes-root')
      expect((await errorOf(host.remove(path))).code, path).toBe('path-escapes-root')
    }
  })

  it('refuses a way through a link that leads outside, and follows one that stays within', async (context) => {
    const { host, truth, lacks = [] } = use()
    if (lacks.includes('all but Windows')) return context.skip('it has no links')
    truth.link('out', '../elsewhere')
    truth.link('absolute', '/etc')
    truth.put('real/file', Buffer.from('in'))
    truth.link('in', 'real')
    truth.link('again', 'in')
    for (const path of ['out/x', 'absolute/passwd']) {
      expect((await errorOf(host.write(path, from('x'), plainly))).code).toBe('path-escapes-root')
      expect((await errorOf(bytesOf(host.read(path)))).code).toBe('path-escapes-root')
    }
    expect((await errorOf(bytesOf(host.read('absolute')))).code).toBe('path-escapes-root')
    expect((await bytesOf(host.read('again/file'))).toString()).toBe('in')
    await host.write('in/new', from('new'), plainly)
    expect(truth.read('real/new')?.toString()).toBe('new')
  })

  it('refuses to make a link that leads outside', async () => {
    const { host, truth, lacks = [] } = use()
    for (const target of ['../x', '/etc/passwd', 'a/../../x']) {
      expect((await errorOf(host.link('link', target))).code, target).toBe('path-escapes-root')
    }
    expect(truth.paths()).toEqual([])
    if (lacks.includes('links')) return
    await host.link('a/b/link', '../../within')
    expect(await host.stat('a/b/link')).toMatchObject({ target: '../../within' })
  })
}
