import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import type { FtpOptions } from '../../src/files/ftp/options.ts'
import { FtpPool } from '../../src/files/ftp/pool.ts'
import type { FileEntry } from '../../src/files/port.ts'
import { bytesOf, errorOf } from '../contract/files-kit.ts'
import { type Script, type ScriptedFtpd, startScriptedFtpd } from '../servers/scripted-ftpd.ts'

/** Longer than a connection rests without being asked for a sign of life. */
const RESTED_MS = 15_001

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const started = async (script: Script): Promise<ScriptedFtpd> => {
  const server = await startScriptedFtpd(script)
  ends.push(() => server.close())
  return server
}
const optionsFor = ({ address, port }: ScriptedFtpd): FtpOptions => {
  const login = { user: 'shop', password: new Secret('correct horse'), root: '/', tls: 'none', connections: 1 } as const
  return { ...login, host: address, port }
}
const counted = (server: ScriptedFtpd, command: string): number => server.heard.filter((line) => line.startsWith(command)).length

describe('a connection over FTP that has rested', () => {
  let server: ScriptedFtpd
  let pool: FtpPool
  beforeEach(async () => {
    server = await started({})
    pool = new FtpPool(optionsFor(server))
    ends.push(() => pool.close())
  })
  const rested = async (forMs: number) => {
    const connection = await pool.take()
    pool.giveBack(connection)
    connection.usedAt -= forMs
    return connection
  }

  it('for a moment is used as it is', async () => {
    const first = await rested(1000)
    expect(await pool.take()).toBe(first)
    expect(counted(server, 'NOOP')).toBe(0)
  })

  it('for long is asked for a sign of life, and used when it gives one', async () => {
    const first = await rested(RESTED_MS)
    expect(await pool.take()).toBe(first)
    expect(counted(server, 'NOOP')).toBe(1)
  })

  it('for too long is replaced by another login', async () => {
    const first = await rested(RESTED_MS)
    server.answer({ NOOP: '421 Idle for too long' })
    const second = await pool.take()
    expect(second).not.toBe(first)
    expect([first.client.closed, counted(server, 'USER')]).toEqual([true, 2])
  })
})

/** As PASV names it (RFC 959, section 4.1.2). */
const named = (address: string, port: number): string =>
  `227 Entering Passive Mode (${address.replaceAll('.', ',')},${Math.floor(port / 256)},${port % 256})`
const file: Script = { RETR: (_path, talk) => talk.send('hello') }
const entry: FileEntry = { path: 'file', kind: 'file', size: 5, mode: null, mtimeSeconds: 0, target: null }

describe('a data connection over FTP', () => {
  it('is opened by PASV where the server doesn’t know EPSV, which it is asked for once', async () => {
    const pasv: Script = { PASV: async (_given, talk) => named('127.0.0.1', await talk.listen()) }
    const server = await started({ ...file, EPSV: '500 Unknown command', ...pasv })
    const host = openFtp(optionsFor(server))
    ends.push(() => host.close())
    for (let times = 0; times < 3; times += 1) expect((await bytesOf(host.read('file', { entry }))).toString()).toBe('hello')
    expect([counted(server, 'EPSV'), counted(server, 'PASV')]).toEqual([1, 3])
  })

  it('goes to no other host than the one that is logged in on, whatever PASV names', async () => {
    const other = '127.0.0.3'
    const pasv: Script = { PASV: async (_given, talk) => named(other, await talk.listen(other)) }
    const server = await started({ ...file, EPSV: '500 Unknown command', ...pasv })
    const host = openFtp(optionsFor(server))
    ends.push(() => host.close())
    const error = await errorOf(bytesOf(host.read('file', { entry })))
    expect(error.message).toContain(other)
    expect(counted(server, 'RETR')).toBe(0)
  })
})
