import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type SftpServer, startSftpServer } from '../../src/demo/sftp-server.ts'
import { openSftp, type SftpHost } from '../../src/files/sftp/index.ts'
import { bytesOf, from, plainly, sha256 } from '../contract/files-kit.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

let site: SiteFolder
let server: SftpServer
let host: SftpHost
beforeEach(async () => {
  site = siteFolder()
  const users = [{ name: 'shop', password: 'correct horse' }]
  server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users })
  const { address, port, fingerprint } = server
  const login = { host: address, port, fingerprint, user: 'shop', password: new Secret('correct horse'), root: '/' }
  host = openSftp({ ...login, connections: 3 })
})
afterEach(async () => {
  await host.close()
  await server.close()
  site.remove()
})

/** In pieces of a length that fits neither a packet nor a request. */
function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 333_333) yield bytes.subarray(at, at + 333_333)
}
const contentOf = (bytes: Buffer): Readable => Readable.from(piecesOf(bytes))
const writeLarge = (name: string, bytes: Buffer) =>
  host.write(name, contentOf(bytes), { ...plainly, again: () => contentOf(bytes) })

describe('large files over SFTP', () => {
  it('side by side go through connections of their own, as many as may be, and every byte arrives', async () => {
    const contents = Array.from({ length: 6 }, () => randomBytes(5_000_000))
    const written = await Promise.all(contents.map((bytes, index) => writeLarge(`file${index}`, bytes)))
    expect(written.map(({ sha256 }) => sha256)).toEqual(contents.map(sha256))
    for (const [index, bytes] of contents.entries()) expect(site.read(`file${index}`)?.equals(bytes)).toBe(true)
    expect(server.counts.logins).toBeGreaterThan(1)
    expect(server.counts.logins).toBeLessThanOrEqual(3)
  })

  it('are read whole, side by side and over and over, in memory that is used again', async () => {
    const contents = Array.from({ length: 3 }, (_, index) => randomBytes(3_000_000 + index))
    for (const [index, bytes] of contents.entries()) site.put(`file${index}`, bytes)
    for (let round = 0; round < 3; round += 1) {
      const copied = contents.map(async (bytes, index) => {
        const entry = await host.stat(`file${index}`)
        if (entry === undefined) throw new Error('it is there')
        await host.write(`copy${index}`, await host.read(`file${index}`, { entry }), plainly)
        expect(site.read(`copy${index}`)?.equals(bytes)).toBe(true)
      })
      await Promise.all(copied)
    }
    const kept = await Promise.all(contents.map((_, index) => bytesOf(host.read(`copy${index}`))))
    expect(kept.map(sha256)).toEqual(contents.map(sha256))
  })

  it('are what further connections are for: a few small ones get along with one', async () => {
    await Promise.all(Array.from({ length: 4 }, (_, index) => host.write(`small${index}`, from(`${index}`), plainly)))
    expect(server.counts.logins).toBe(1)
  })
})
