import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { bytesOf, errorOf, type FilesUnderTest, from, listed, plainly, sha256 } from './files-kit.ts'

export function failures(use: () => FilesUnderTest): void {
  it('says of an account that may not write that it may not, and writes nothing', async (context) => {
    const { host, truth, readOnly, lacks = [] } = use()
    if (readOnly === undefined) return context.skip('there is no such account')
    truth.put('file', Buffer.from('1'))
    expect((await host.check('write')).filter((finding) => finding.severity === 'error')).toEqual([])
    expect((await readOnly.check('read')).filter(({ code }) => code !== 'files-in-the-clear')).toEqual([])
    const [finding] = await readOnly.check('write')
    expect(finding).toMatchObject({ severity: 'error', code: 'files-not-writable' })
    expect((await bytesOf(readOnly.read('file'))).toString()).toBe('1')
    const attempts = [
      () => readOnly.write('file', from('2'), plainly),
      () => readOnly.makeFolder('f', null),
      () => readOnly.remove('file'),
      ...(lacks.includes('links') ? [] : [() => readOnly.link('l', 'file')]),
    ]
    for (const attempt of attempts) expect((await errorOf(attempt())).code).toBe('file-permission-denied')
    expect(truth.paths()).toEqual(['file'])
    expect(truth.read('file')?.toString()).toBe('1')
  })

  it('leaves the old file and says so when the disk is full, and goes on when there is room', async (context) => {
    const { host, truth, fill } = use()
    if (fill === undefined) return context.skip('this disk can’t be filled here')
    truth.put('file', Buffer.from('old'))
    fill(100_000)
    const error = await errorOf(host.write('file', from(Buffer.alloc(400_000)), plainly))
    expect(error.code).toBe('files-disk-full')
    expect(error.hint).toContain('run again')
    expect(truth.read('file')?.toString()).toBe('old')
    fill(undefined)
    await host.write('file', from('new'), plainly)
    expect(truth.read('file')?.toString()).toBe('new')
  })

  it('never shows half a file when the connection is cut, wherever that is, and goes on after it', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    const content = randomBytes(300_000)
    for (const after of [1, 5_000, 50_000, 150_000, 290_000]) {
      truth.put('file', Buffer.from('old'))
      await host.stat('file') // connected, so that the file is cut and not the login
      cut(after)
      const error = await errorOf(host.write('file', from(content), plainly))
      expect(error.code).toBe('files-connection-lost')
      expect(error.retrySafe).toBe(true)
      expect([undefined, 'old']).toContain(truth.read('file')?.toString())
      cut(undefined)
      expect((await host.write('file', from(content), plainly)).sha256).toBe(sha256(content))
      expect(truth.read('file')?.equals(content)).toBe(true)
    }
  })

  it('never takes the beginning of a file or a listing for the whole when the connection is cut', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    truth.put('large', randomBytes(300_000))
    for (let index = 0; index < 1500; index += 1) truth.put(`f${index % 5}/${index}`, Buffer.from('x'))
    for (const work of [() => bytesOf(host.read('large')), () => listed(host)]) {
      await host.stat('large')
      cut(20_000)
      expect((await errorOf(work())).code).toBe('files-connection-lost')
      cut(undefined)
      await work()
    }
    await host.stat('large')
    cut(20_000)
    // A server that hashes by itself sends nothing that could be cut.
    const hash = await host.sha256('large').catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'files-connection-lost' })
      return undefined
    })
    cut(undefined)
    expect([undefined, await host.sha256('large')]).toContain(hash)
  })
}
