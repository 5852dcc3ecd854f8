import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { it as always, expect, vi } from 'vitest'
import { comparePaths } from '../../src/files/paths.ts'
import { nameFrom } from '../../src/files/raw-names.ts'
import { refusedByWindows } from '../../src/files/windows-names.ts'
import { bytesOf, type Case, errorOf, type FilesUnderTest, from, listed, plainly, sha256, writtenBy } from './files-kit.ts'

export function listing(use: () => FilesUnderTest, it: Case = always): void {
  it('lists everything, folders before what they hold, in the one order of paths', async () => {
    const { host, truth } = use()
    for (const path of ['b/z', 'b/a/1', 'b.txt', 'b-1', 'a', 'ä/ö', '\u{1f600}', '\uff21']) truth.put(path, Buffer.from(path))
    truth.folder('empty')
    const paths = (await listed(host)).map((entry) => entry.path)
    expect(paths).toEqual([...truth.paths()].sort(comparePaths))
    expect(paths.indexOf('b/z')).toBeLessThan(paths.indexOf('b-1'))
    expect(paths.indexOf('\uff21')).toBeLessThan(paths.indexOf('\u{1f600}'))
  })

  it('lists a thousand files in many folders completely', async () => {
    const { host, truth, isSlow } = use()
    const [above, below] = isSlow === true ? [4, 3] : [40, 7]
    for (let index = 0; index < 1200; index += 1) truth.put(`d${index % above}/e${index % below}/f${index}`, Buffer.from('x'))
    expect((await listed(host)).map((entry) => entry.path)).toEqual([...truth.paths()].sort(comparePaths))
  })

  it('tells kind, size, mode, time and where a link points', async () => {
    const { host, truth, lacks = [] } = use()
    const isWindows = lacks.includes('all but Windows')
    truth.put('folder/file', Buffer.from('12345'), 0o604, 1_111_111_111)
    if (!isWindows) truth.link('link', 'folder/file')
    const entries = await listed(host)
    expect(entries).toContainEqual({
      path: 'folder/file',
      kind: 'file',
      size: 5,
      mode: isWindows ? null : 0o604,
      mtimeSeconds: 1_111_111_111,
      target: null,
    })
    expect(entries.find((entry) => entry.path === 'folder')).toMatchObject({ kind: 'folder', size: 0, target: null })
    if (!isWindows)
      expect(entries.find((entry) => entry.path === 'link')).toMatchObject({ kind: 'link', size: 0, target: 'folder/file' })
    expect(await host.stat('folder/file')).toEqual(entries.find((entry) => entry.path === 'folder/file'))
    expect(await host.stat('nothing')).toBeUndefined()
  })

  it('lists what lies below one folder, with paths from the root', async () => {
    const { host, truth } = use()
    for (const path of ['a/x/1', 'a/y', 'b']) truth.put(path, Buffer.from(path))
    expect((await listed(host, 'a')).map((entry) => entry.path)).toEqual(['a/x', 'a/x/1', 'a/y'])
    expect((await listed(host, 'a', 'here')).map((entry) => entry.path)).toEqual(['a/x', 'a/y'])
    expect((await errorOf(listed(host, 'c'))).code).toBe('file-missing')
  })

  it('lists the rest when a folder goes after it was named and before it was looked into', async () => {
    const { host, truth } = use()
    for (const path of ['a', 'cache/deep/1', 'cache/2', 'kept/3', 'z']) truth.put(path, Buffer.from(path))
    const found: string[] = []
    for await (const { path } of host.list()) {
      if (path === 'a') {
        for (const file of ['cache/deep/1', 'cache/2']) await host.remove(file)
        for (const folder of ['cache/deep', 'cache']) await host.removeFolder(folder)
      }
      if (path !== 'cache') found.push(path)
    }
    expect(found).toEqual(['a', 'kept', 'kept/3', 'z'])
    expect(truth.paths()).not.toContain('cache')
  })

  it('throws for a folder that may not be listed, rather than pass over it', async (context) => {
    const { host, truth, deny } = use()
    if (deny === undefined) return context.skip('nothing can be denied to this account')
    truth.put('open/1', Buffer.from('1'))
    truth.put('shut/2', Buffer.from('2'))
    deny('shut')
    const error = await errorOf(listed(host))
    expect(error.code).toBe('file-permission-denied')
    expect(error.message).toContain('shut')
  })

  it('looks only into folders that are wanted: one that may not be listed is named, and never opened', async () => {
    const { host, truth, deny } = use()
    for (const path of ['open/1', 'open/shut/2', 'shut/3/4', 'shut/5', 'z/6']) truth.put(path, Buffer.from(path))
    deny?.('shut')
    const asked: string[] = []
    const isWanted = (folder: string): boolean => {
      asked.push(folder)
      return !folder.endsWith('shut')
    }
    const paths = (await listed(host, '', isWanted)).map(({ path }) => path)
    expect(paths).toEqual(['open', 'open/1', 'open/shut', 'shut', 'z', 'z/6'])
    expect(new Set(asked)).toEqual(new Set(['open', 'open/shut', 'shut', 'z']))
    expect((await listed(host, 'open', isWanted)).map(({ path }) => path)).toEqual(['open/1', 'open/shut'])
  })

  it('carries names of every kind: spaces, quotes, line breaks, 255 bytes, other scripts', async () => {
    const { host, truth, lacks = [] } = use()
    const all = [
      'a b',
      `it's "quoted" $HOME \`id\`${lacks.includes('backslashes') ? '' : ' \\'}`,
      ...(lacks.includes('line breaks') ? [] : ['new\nline']),
      '*?[x]',
      '-rf',
      'é'.normalize('NFD'),
      '漢字',
      'x'.repeat(255),
      '.hidden',
    ]
    const names = lacks.includes('all but Windows') ? all.filter((name) => refusedByWindows(name) === undefined) : all
    for (const path of names) await host.write(`odd/${path}`, from(path), plainly)
    expect((await listed(host, 'odd')).map((entry) => entry.path).sort()).toEqual(names.map((path) => `odd/${path}`).sort())
    for (const path of names) expect(truth.read(`odd/${path}`)?.toString()).toBe(path)
    for (const path of names) expect((await bytesOf(host.read(`odd/${path}`))).toString()).toBe(path)
  })

  it('carries names that aren’t UTF-8 byte for byte: of files, folders and what links point at', async (context) => {
    const { host, truth, lacks = [] } = use()
    if (lacks.includes('raw names')) return context.skip('its names are always UTF-8')
    const [latin, broken] = [nameFrom(Buffer.from('caf\xe9', 'latin1')), nameFrom(Buffer.from([0xc3, 0x28, 0xfe, 0xf4, 0x8f]))]
    const long = nameFrom(Buffer.alloc(255, 0xe9))
    truth.put(`${latin}/${broken}.jpg`, Buffer.from('old'))
    if (!lacks.includes('links')) await host.link(`${latin}/link`, `${broken}.jpg`)
    await host.write(`${latin}/${broken}.jpg`, from('new'), plainly)
    await host.write(`${latin}/${long}`, from('long'), plainly)
    await host.makeFolder(`${latin}/${broken}`, 0o755)
    const wanted = [`${latin}/${broken}`, `${latin}/${broken}.jpg`, `${latin}/${long}`]
    const links = lacks.includes('links') ? [] : [`${latin}/link`]
    expect(truth.paths()).toEqual([latin, ...wanted, ...links].sort())
    expect(truth.read(`${latin}/${broken}.jpg`)?.toString()).toBe('new')
    const entries = await listed(host)
    expect(entries.map(({ path }) => path)).toEqual([latin, ...wanted, ...links].sort(comparePaths))
    if (links.length > 0) expect(entries.find(({ kind }) => kind === 'link')?.target).toBe(`${broken}.jpg`)
    for (const entry of entries) expect(await host.stat(entry.path)).toEqual(entry)
    expect((await bytesOf(host.read(`${latin}/${long}`))).toString()).toBe('long')
    expect(await host.sha256(`${latin}/${broken}.jpg`)).toBe(sha256(Buffer.from('new')))
    expect([null, sha256(Buffer.from('long'))]).toContain((await host.hashes([`${latin}/${long}`]))[0])
    for (const path of [`${latin}/${broken}.jpg`, ...links, `${latin}/${long}`]) await host.remove(path)
    for (const path of [`${latin}/${broken}`, latin]) await host.removeFolder(path)
    expect(truth.paths()).toEqual([])
  })

  it('refuses names that its protocol has no way for, and never lists a folder without them', async (context) => {
    const { host, truth, lacks = [] } = use()
    if (!lacks.includes('line breaks')) return context.skip('every name has a way')
    const error = await errorOf(host.write('new\nline', from('x'), plainly))
    expect(error.message).toMatch(/line break/)
    const telnet = await errorOf(host.write(nameFrom(Buffer.from([0x61, 0xff, 0xf4])), from('x'), plainly))
    expect(telnet.message).toMatch(/byte 0xFF/)
    expect(truth.paths()).toEqual([])
    if (lacks.includes('sight of line breaks')) return
    truth.put('folder/new\nline', Buffer.from('x'))
    truth.put('folder/other', Buffer.from('x'))
    // Some servers tell the name with another character in it, under which nothing can be read then.
    const everything = async () => {
      for (const entry of await listed(host)) if (entry.kind === 'file') await bytesOf(host.read(entry.path, { entry }))
    }
    expect((await errorOf(everything())).code).toMatch(/^files-failed$|^file-missing$/)
  })
}

export function contents(use: () => FilesUnderTest, it: Case = always): void {
  it('reads from the start, from an offset, past the end, and an empty file', async () => {
    const { host, truth } = use()
    const bytes = randomBytes(200_000)
    truth.put('file', bytes)
    truth.put('empty', Buffer.alloc(0))
    expect((await bytesOf(host.read('file'))).equals(bytes)).toBe(true)
    expect((await bytesOf(host.read('file', { offset: 123_456 }))).equals(bytes.subarray(123_456))).toBe(true)
    expect(await bytesOf(host.read('file', { offset: 200_000 }))).toHaveLength(0)
    expect(await bytesOf(host.read('empty'))).toHaveLength(0)
  })

  it('reads every size around a request, with and without the entry', async () => {
    const { host, truth } = use()
    for (const size of [0, 1, 8192, 31_951, 31_952, 31_953, 32_767, 32_768, 32_769, 65_536, 100_000]) {
      const bytes = randomBytes(size)
      truth.put('file', bytes)
      const entry = await host.stat('file')
      expect((await bytesOf(host.read('file'))).equals(bytes), `${size}`).toBe(true)
      expect((await bytesOf(host.read('file', entry ? { entry } : {}))).equals(bytes), `${size} with entry`).toBe(true)
    }
  })

  it('reads no more than the entry says of a file that grew since, and what is left of one that became shorter', async () => {
    const { host, truth, isSlow } = use()
    for (const size of isSlow === true ? [400_000] : [1000, 400_000]) {
      const [grown, shrunk] = [randomBytes(size * 2), randomBytes(size / 2)]
      truth.put('file', Buffer.alloc(size))
      const entry = await host.stat('file')
      if (entry === undefined) throw new Error('not there')
      truth.put('file', grown)
      expect((await bytesOf(host.read('file', { entry }))).equals(grown.subarray(0, size)), `${size}, grown`).toBe(true)
      truth.put('file', shrunk)
      expect((await bytesOf(host.read('file', { entry }))).equals(shrunk), `${size}, shrunk`).toBe(true)
    }
  })

  it('says that a file is missing, through the stream or before it', async () => {
    const error = await errorOf(bytesOf(use().host.read('nowhere/file')))
    expect(error.code).toBe('file-missing')
    expect(error.message).toContain('nowhere/file')
  })

  it('hashes a large file as it stands there', async () => {
    const { host, truth } = use()
    const piece = randomBytes(1024 * 1024)
    const pieces = Array.from({ length: 24 }, (_, index) => Buffer.concat([piece.subarray(index), piece.subarray(0, index)]))
    const written = await host.write('large', Readable.from(pieces), plainly)
    const whole = Buffer.concat(pieces)
    expect(written).toEqual(await writtenBy(host, whole))
    expect(await host.sha256('large')).toBe(written.sha256)
    expect(sha256(truth.read('large') ?? Buffer.alloc(0))).toBe(written.sha256)
  })

  it('leaves nothing behind on the signal of what was read: a step has one for all of its files', async () => {
    const { host, truth } = use()
    for (const path of ['small', 'large']) truth.put(path, randomBytes(path === 'small' ? 100 : 400_000))
    const { signal } = new AbortController()
    for (const path of ['small', 'large']) {
      const entry = await host.stat(path)
      await bytesOf(host.read(path, { signal }))
      await bytesOf(host.read(path, { signal, ...(entry ? { entry } : {}) }))
    }
    await vi.waitFor(() => expect(getEventListeners(signal, 'abort')).toEqual([]))
  })

  it('stops reading when it is told to', async () => {
    const { host, truth } = use()
    truth.put('file', randomBytes(3_000_000))
    const stop = new AbortController()
    const stream = await host.read('file', { signal: stop.signal })
    const reading = (async () => {
      for await (const _ of stream) stop.abort(new Error('enough'))
    })()
    await expect(reading).rejects.toThrow()
    expect(await bytesOf(host.read('file'))).toHaveLength(3_000_000)
  })
}
