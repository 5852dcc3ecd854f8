import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type SftpServer, startSftpServer } from '../../src/demo/sftp-server.ts'
import type { SftpFaults } from '../../src/demo/sftp-session.ts'
import { openSftp, type SftpHost } from '../../src/files/sftp/index.ts'
import { bytesOf, errorOf, from, listed, plainly } from '../contract/files-kit.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

let site: SiteFolder
let faults: SftpFaults
let server: SftpServer
let host: SftpHost
let open: (silenceMs: number) => void
beforeEach(async () => {
  site = siteFolder()
  faults = {}
  const users = [{ name: 'shop', password: 'correct horse' }]
  server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users, faults })
  const { address, port, fingerprint } = server
  const login = { host: address, port, fingerprint, user: 'shop', password: new Secret('correct horse'), root: '/' }
  open = (silenceMs) => {
    host = openSftp({ ...login, connections: 1, silenceMs })
  }
})
afterEach(async () => {
  await host.close()
  await server.close()
  site.remove()
})

describe('an SFTP server', () => {
  it('that answers out of order gives every byte and every name in its place', async () => {
    open(30_000)
    faults.outOfOrder = true
    const bytes = randomBytes(3_000_000)
    site.put('large', bytes)
    const names = Array.from({ length: 450 }, (_, index) => `many/${index}`)
    for (const name of names) site.put(name, Buffer.from(name))
    expect((await bytesOf(host.read('large'))).equals(bytes)).toBe(true)
    expect((await listed(host, 'many')).map(({ path }) => path).sort()).toEqual([...names].sort())
    await Promise.all(names.map((name) => host.write(`new/${name}`, from(name), plainly)))
    expect(names.every((name) => site.read(`new/${name}`)?.toString() === name)).toBe(true)
    await host.write('copy', from(bytes), plainly)
    expect(site.read('copy')?.equals(bytes)).toBe(true)
  })

  it('that ends a file before its length is not believed, as long as the file has that length', async () => {
    open(30_000)
    const entryOf = async (path: string) => (await host.stat(path)) ?? expect.unreachable('it is there')
    for (const length of [90_000, 3_000_000]) {
      faults.endsAtByte = undefined
      site.put('file', randomBytes(length))
      const entry = await entryOf('file')
      faults.endsAtByte = length - 40_000
      expect(await errorOf(bytesOf(host.read('file', { entry })))).toMatchObject({
        code: 'files-connection-lost',
        retrySafe: true,
      })
      faults.endsAtByte = undefined
      site.put('file', randomBytes(length - 1)) // it has become shorter, which is another matter
      expect((await bytesOf(host.read('file', { entry }))).length).toBe(length - 1)
    }
  })

  it('on which a link goes while it is asked about gives all the rest', async () => {
    open(30_000)
    site.put('file', Buffer.from('here'))
    for (const link of ['current', 'previous']) site.link(link, 'file')
    faults.vanishing = 'current'
    expect((await listed(host)).map(({ path }) => path)).toEqual(['file', 'previous'])
    site.link('current', 'file')
    expect(await host.stat('current')).toBeUndefined()
  })

  it('that stands and answers nothing any more is given up, and asked anew', async () => {
    open(300)
    site.put('file', Buffer.from('here'))
    expect((await bytesOf(host.read('file'))).toString()).toBe('here')
    faults.mute = true
    expect(await errorOf(host.stat('file'))).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
    expect(await errorOf(listed(host))).toMatchObject({ code: 'files-connection-lost' })
    faults.mute = undefined
    expect((await bytesOf(host.read('file'))).toString()).toBe('here')
  })
})
