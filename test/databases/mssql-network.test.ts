import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MigrateError } from '../../src/base/errors.ts'
import { Secret } from '../../src/base/secret.ts'
import { type MssqlOptions, openMssql } from '../../src/databases/mssql/index.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql } from '../servers/mssql.ts'
import { startTlsFront } from '../servers/tds-tls.ts'
import { type KeyPair, opensslMissing, selfSigned } from '../servers/web.ts'

const options = (change: Partial<MssqlOptions>): MssqlOptions => ({
  host: 'localhost',
  user: 'shop',
  password: new Secret('hush-hush'),
  database: 'shop',
  connectTimeoutMs: 10_000,
  connections: 2,
  label: 'old database shop',
  ...change,
})

/** What asking the server comes to. */
async function failure(change: Partial<MssqlOptions>): Promise<MigrateError> {
  const database = openMssql(options(change))
  try {
    return await database.info().then(
      () => expect.unreachable('connected'),
      (error: MigrateError) => error,
    )
  } finally {
    await database.close()
  }
}

describe.skipIf(opensslMissing !== null)(
  `a server’s certificate${opensslMissing === null ? '' : ` (skipped: ${opensslMissing})`}`,
  () => {
    let folder: string
    let pair: KeyPair
    let ca: string

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'migrate-mssql-tls-'))
      pair = selfSigned('localhost', 2)
      ca = join(folder, 'authority.pem')
      await writeFile(ca, pair.cert)
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))

    const front = async <T>(keyPair: KeyPair, work: (port: number, logins: () => number) => Promise<T>): Promise<T> => {
      const tls = await startTlsFront(undefined, keyPair, '127.0.0.1')
      try {
        return await work(tls.port, tls.logins)
      } finally {
        await tls.close()
      }
    }

    it('that nobody vouches for is refused before the password is sent, with the way out', async () => {
      await front(pair, async (port, logins) => {
        const error = await failure({ port })
        expect(error).toMatchObject({ code: 'database-unreachable', retrySafe: false })
        expect(error.message).toContain("certificate that isn't trusted")
        expect(error.hint).toContain('ca:')
        expect(logins()).toBe(0)
      })
    })

    it('is trusted when the authority that signed it is given, or when told to trust any', async () => {
      for (const change of [{ ca }, { trustServerCertificate: true }]) {
        await front(pair, async (port, logins) => {
          const error = await failure({ port, ...change })
          expect(error.message).not.toContain('certificate')
          expect(logins()).toBe(1)
        })
      }
    })

    it('of another name is refused, whoever signed it', async () => {
      const other = selfSigned('other.example.com', 2)
      const file = join(folder, 'other.pem')
      await writeFile(file, other.cert)
      await front(other, async (port, logins) => {
        expect((await failure({ port, ca: file })).message).toContain('certificate')
        expect(logins()).toBe(0)
      })
    })

    it('of a server that has TLS 1.0 alone is refused with the way out, and taken when told to trust any', async () => {
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
      for (const trustServerCertificate of [false, true]) {
        const tls = await startTlsFront(undefined, pair, '127.0.0.1', old)
        try {
          const error = await failure({ port: tls.port, ca, trustServerCertificate })
          expect([tls.logins(), error.message.includes('TLS 1.2'), error.hint?.includes('2012 SP4')]).toEqual(
            trustServerCertificate ? [1, false, false] : [0, true, true],
          )
        } finally {
          await tls.close()
        }
      }
    })

    it('can’t be checked with a file that isn’t there', async () => {
      const error = await failure({ ca: join(folder, 'nothing.pem') })
      expect(error.message).toContain('nothing.pem')
      expect(error.hint).toContain('ca:')
    })

    describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('in front of a real server'), () => {
      let server: TestMssql
      beforeAll(async () => {
        server = await connectTestMssql()
      }, 300_000)
      afterAll(() => server?.close(), 300_000)

      it('lets the adapter work as without', async () => {
        const made = await server.database()
        const tls = await startTlsFront(server, pair, '127.0.0.1')
        const database = openMssql(
          made.options({ host: 'localhost', port: tls.port, encrypt: true, trustServerCertificate: false, ca }),
        )
        try {
          expect((await database.info()).database.toLowerCase()).toBe(made.name.toLowerCase())
          expect(tls.logins()).toBeGreaterThan(0)
        } finally {
          await database.close()
          await tls.close()
          await made.drop()
        }
      }, 300_000)
    })
  },
)

describe('a named instance', () => {
  it('is asked for at the server’s browser, and reached at the port that it tells', async () => {
    const browser = await startBrowser(
      (port) => `ServerName;H;InstanceName;SHOP;IsClustered;No;Version;11.0.2100.60;tcp;${port};;`,
    )
    try {
      const error = await failure({ host: browser.host, instanceName: 'SHOP' })
      expect(error).toMatchObject({ code: 'database-unreachable', retrySafe: true })
      // A packet of the type PRELOGIN ([MS-TDS] 2.2.3.1.1).
      expect(browser.first()).toBe(0x12)
    } finally {
      await browser.close()
    }
  })

  it('that the browser doesn’t know is told apart from a server that is down', async () => {
    const browser = await startBrowser(
      (port) => `ServerName;H;InstanceName;OTHER;IsClustered;No;Version;11.0.2100.60;tcp;${port};;`,
    )
    try {
      const error = await failure({ host: browser.host, instanceName: 'SHOP' })
      expect(error.message).toContain("doesn't say where the instance is")
      expect(error.hint).toContain('1434')
      expect(browser.first()).toBeUndefined()
    } finally {
      await browser.close()
    }
  })
})

interface Browser {
  readonly host: string
  /** First byte of the first connection to the port that it told. */
  readonly first: () => number | undefined
  close(): Promise<void>
}

/** A browser service ([MC-SQLR] 2.2.5) on UDP 1434 of a loopback address of its own, which is where clients ask, and a server beside it. */
async function startBrowser(answer: (port: number) => string): Promise<Browser> {
  let first: number | undefined
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (data) => {
      first ??= data[0]
      socket.destroy()
    })
  })
  for (let last = 1; last < 255; last += 1) {
    const host = `127.0.78.${last}`
    const udp = createSocket('udp4')
    const bound = new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false))
      udp.once('listening', () => resolve(true))
    })
    udp.bind(1434, host)
    if (!(await bound)) continue
    tcp.listen(0, host)
    await once(tcp, 'listening')
    const address = tcp.address()
    if (address === null || typeof address === 'string') throw new Error('The server has no port.')
    udp.on('message', (_request, from) => {
      const text = Buffer.from(answer(address.port), 'ascii')
      const header = Buffer.from([0x05, 0, 0])
      header.writeUInt16LE(text.length, 1)
      udp.send(Buffer.concat([header, text]), from.port, from.address)
    })
    const close = async (): Promise<void> => {
      udp.close()
      tcp.close()
      await once(tcp, 'close')
    }
    return { host, first: () => first, close }
  }
  throw new Error('No loopback address has UDP 1434 free.')
}
