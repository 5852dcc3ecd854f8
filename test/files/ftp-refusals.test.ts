import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type FtpOptions, openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { errorOf } from '../contract/files-kit.ts'
import { type Script, type ScriptedFtpd, startScriptedFtpd } from '../servers/scripted-ftpd.ts'

/** Nothing here may take longer: what hangs has failed. */
const SOON_MS = 20_000

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const started = async (script: Script, features: readonly string[] = []): Promise<ScriptedFtpd> => {
  const server = await startScriptedFtpd(script, features)
  ends.push(() => server.close())
  return server
}
const open = ({ address: host, port }: ScriptedFtpd, change: Partial<FtpOptions> = {}): FileHost => {
  const login = {
    host,
    port,
    user: 'shop',
    password: new Secret('correct horse'),
    root: '/',
    tls: 'none',
    connections: 2,
  } as const
  const files = openFtp({ ...login, ...change })
  ends.push(() => files.close())
  return files
}

describe('an FTP server that keeps a login waiting', { timeout: SOON_MS }, () => {
  it('by promising to encrypt and then saying nothing is given up', async () => {
    const server = await started({ AUTH: '234 Begin' })
    const error = await errorOf(open(server, { tls: 'explicit', timeoutMs: 300 }).stat('file'))
    expect(error).toMatchObject({ code: 'files-unreachable', retrySafe: true })
    expect(error.message).toContain('Timeout')
  })

  it('by an answer that comes a byte at a time and never ends is given up', async () => {
    const dripping: Script = {
      FEAT: (_given, { control }) => {
        control.write('211-Features:\r\n')
        const dripped = setInterval(() => control.write(' X\r\n'), 50)
        control.once('close', () => clearInterval(dripped))
        return undefined
      },
    }
    const error = await errorOf(open(await started(dripping), { timeoutMs: 200 }).stat('file'))
    expect(error).toMatchObject({ code: 'files-unreachable', retrySafe: true })
  })
})
