import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { startSftpServer } from '../../src/demo/sftp-server.ts'
import type { FileHost } from '../../src/files/port.ts'
import { SftpChannel } from '../../src/files/sftp/channel.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { startDelayProxy } from '../servers/delay-proxy.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'

const MiB = 2 ** 20
/** The reader's own piece: more than it asks for ahead by so much is asked for at a time. */
const PIECE = 255 * 1024

/** What is asked of a host in one request, and how much is on its way, bytes; answers may be held back. */
class Requests {
  readonly lengths: number[] = []
  underWay = 0
  most = 0
  readonly #held: (() => void)[] = []
  isHolding = false

  constructor() {
    const requests = this
    const read = SftpChannel.prototype.read
    vi.spyOn(SftpChannel.prototype, 'read').mockImplementation(async function (this: SftpChannel, handle, into, position) {
      requests.#asked(into.length)
      if (requests.isHolding) await new Promise<void>((resolve) => requests.#held.push(resolve))
      try {
        return await read.call(this, handle, into, position)
      } finally {
        requests.underWay -= into.length
      }
    })
  }

  #asked(length: number): void {
    this.lengths.push(length)
    this.underWay += length
    this.most = Math.max(this.most, this.underWay)
  }

  /** Lets the oldest answer through that is held back. */
  release(): void {
    this.#held.shift()?.()
  }
}

describe('a large file that is read over SFTP', () => {
  let site: SiteFolder
  const ends: (() => Promise<void> | void)[] = []
  beforeEach(() => {
    site = siteFolder()
    ends.push(() => site.remove())
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    for (const end of ends.splice(0).reverse()) await end()
  })

  const inProcess = async (): Promise<FileHost> => {
    const users = [{ name: 'shop', password: 'correct horse' }]
    const server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users })
    ends.push(() => server.close())
    const { address: host, port, fingerprint } = server
    return opened(
      openSftp({ host, port, fingerprint, user: 'shop', password: new Secret('correct horse'), root: '/', connections: 1 }),
    )
  }
  const bySshd = async (): Promise<FileHost> => {
    const sshd = await startSshd()
    ends.push(() => sshd.stop())
    const { address: host, port, user, key, fingerprint } = sshd
    return opened(openSftp({ host, port, user, key, fingerprint, root: site.path, connections: 1 }))
  }
  const opened = (host: FileHost): FileHost => {
    ends.push(() => host.close())
    return host
  }
  const streamOf = async (host: FileHost) => {
    const entry = await host.stat('large')
    if (entry === undefined) throw new Error('it is there')
    return host.read('large', { entry })
  }

  it('is asked for further ahead the longer its answers take: 1 MiB at first, and never more than 8', async () => {
    const bytes = randomBytes(24 * MiB)
    site.put('large', bytes)
    const host = await inProcess()
    const stream = await streamOf(host)
    const requests = new Requests()
    requests.isHolding = true
    const pieces: Buffer[] = []
    const reading = (async () => {
      for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(Buffer.from(piece))
    })()
    await vi.waitUntil(() => requests.underWay >= MiB)
    expect(requests.most).toBeLessThanOrEqual(MiB + PIECE)
    const letting = setInterval(() => {
      for (let count = 0; count < 8; count += 1) requests.release()
    })
    await reading
    clearInterval(letting)
    expect(requests.most).toBeGreaterThan(6 * MiB)
    expect(requests.most).toBeLessThanOrEqual(8 * MiB + PIECE)
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  })

  it('is asked for no further ahead, with another one that is read beside it, than a single one', async () => {
    const paths = ['large', 'larger']
    for (const [index, path] of paths.entries()) site.put(path, randomBytes((16 + index) * MiB))
    const users = [{ name: 'shop', password: 'correct horse' }]
    const server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users })
    ends.push(() => server.close())
    const { address, port, fingerprint } = server
    const login = { host: address, port, fingerprint, user: 'shop', password: new Secret('correct horse'), root: '/' }
    const host = opened(openSftp({ ...login, connections: 2 }))
    const streams = await Promise.all(
      paths.map(async (path) => {
        const entry = await host.stat(path)
        return host.read(path, entry === undefined ? {} : { entry })
      }),
    )
    const requests = new Requests()
    requests.isHolding = true
    const read = streams.map(async (stream) => {
      let got = 0
      for await (const piece of stream as AsyncIterable<Buffer>) got += piece.length
      return got
    })
    await vi.waitUntil(() => requests.underWay >= 2 * MiB)
    const letting = setInterval(() => {
      for (let count = 0; count < 8; count += 1) requests.release()
    })
    expect(await Promise.all(read)).toEqual([16 * MiB, 17 * MiB])
    clearInterval(letting)
    expect(requests.most).toBeGreaterThan(4 * MiB)
    expect(requests.most).toBeLessThanOrEqual(8 * MiB + 2 * PIECE)
  })

  it('is not asked for further ahead where the reader is what takes long', async () => {
    const bytes = randomBytes(12 * MiB)
    site.put('large', bytes)
    const host = await inProcess()
    const stream = await streamOf(host)
    const requests = new Requests()
    let got = 0
    for await (const piece of stream as AsyncIterable<Buffer>) {
      expect(Buffer.from(piece).equals(bytes.subarray(got, got + piece.length))).toBe(true)
      got += piece.length
      await vi.waitUntil(() => requests.underWay === 0, { interval: 1 })
    }
    expect(got).toBe(bytes.length)
    // Of the very first piece nobody knows yet who waits for whom.
    expect(requests.most).toBeLessThanOrEqual(2 * MiB + PIECE)
  })

  it('is asked for by 32 KiB where the host says nothing of its limits', async () => {
    const bytes = randomBytes(MiB)
    site.put('large', bytes)
    const requests = new Requests()
    const stream = await streamOf(await inProcess())
    for await (const _ of stream) expect(requests.most).toBeGreaterThan(0)
    expect(Math.max(...requests.lengths)).toBeLessThanOrEqual(32 * 1024)
  })

  it.skipIf(sshdMissing !== null)(
    `is asked for by as much as OpenSSH says that it takes (limits@openssh.com)${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
    async () => {
      const bytes = randomBytes(MiB)
      site.put('large', bytes)
      const requests = new Requests()
      const pieces: Buffer[] = []
      for await (const piece of (await streamOf(await bySshd())) as AsyncIterable<Buffer>) pieces.push(Buffer.from(piece))
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
      expect(Math.max(...requests.lengths)).toBe(PIECE)
    },
  )
})

describe('a host over SFTP', () => {
  it('tells how long the way to it is, once it has answered', async () => {
    const users = [{ name: 'shop', password: 'correct horse' }]
    const site = siteFolder()
    const server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users })
    const way = await startDelayProxy({ host: server.address, port: server.port }, { roundTripMs: 40, mbit: null })
    const login = { user: 'shop', password: new Secret('correct horse'), fingerprint: server.fingerprint }
    const host = openSftp({ host: server.address, port: way.port, ...login, root: '/', connections: 1 })
    try {
      expect(host.wayMs?.()).toBe(Number.POSITIVE_INFINITY)
      await host.stat('anything')
      expect(host.wayMs?.()).toBeGreaterThanOrEqual(35)
      expect(host.wayMs?.()).toBeLessThan(Number.POSITIVE_INFINITY)
    } finally {
      await host.close()
      await way.close()
      await server.close()
      site.remove()
    }
  })
})
