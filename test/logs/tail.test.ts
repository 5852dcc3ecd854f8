import * as fs from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { LogTail, matcher } from '../../src/logs/tail.ts'
import { type Ftpd, ftpdMissing, startPureFtpd, startVsftpd } from '../servers/ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { combined, W3C_HEAD, w3c } from './shop-log.ts'

const AT = Date.UTC(2009, 7, 26, 8, 15)

/** The same story on every kind of host; `site` is what the server serves. */
function followsLogs(open: (site: SiteFolder) => Promise<FileHost>): void {
  let site: SiteFolder
  let files: FileHost
  const at = (name: string): string => join(site.path, 'logs', name)
  const append = (name: string, text: string): void => fs.appendFileSync(at(name), text)
  const line = (path: string): string => combined({ at: AT, path })

  beforeEach(async () => {
    site = siteFolder()
    fs.chmodSync(site.path, 0o755)
    site.folder('logs/sub')
    site.put('logs/sub/access.log', Buffer.from(line('/not-ours')))
    files = await open(site)
  })
  afterEach(async () => {
    await files.close()
    site.remove()
  })

  /** What a look brings: paths, `~` before those that were there before. */
  const follow = (pattern: string) => {
    const tail = new LogTail({ files, folder: 'logs', pattern, written: pattern })
    return async (): Promise<readonly string[]> => {
      const seen: string[] = []
      const { lost } = await tail.look((fresh) => (request) => {
        seen.push(request === undefined ? 'STRANGE' : `${fresh ? '' : '~'}${request.path}`)
      })
      return [...seen.sort(), ...lost.map((path) => `lost ${path}`)]
    }
  }

  it('reads only what is new in a growing log, and a line only when it is whole', async () => {
    append('access.log', line('/1'))
    const look = follow('access.log')
    expect(await look()).toEqual(['~/1'])
    append('access.log', line('/2') + line('/3').slice(0, 30))
    expect(await look()).toEqual(['/2'])
    expect(await look()).toEqual([])
    append('access.log', line('/3').slice(30))
    expect(await look()).toEqual(['/3'])
  })

  it('reads a renamed log to its end, also the line in whose middle it was renamed', async () => {
    append('access.log', line('/1'))
    const look = follow('access.log')
    await look()
    append('access.log', line('/2') + line('/3').slice(0, 40))
    expect(await look()).toEqual(['/2'])
    fs.renameSync(at('access.log'), at('access.log.1'))
    append('access.log', line('/5') + line('/6') + line('/7') + line('/8'))
    append('access.log.1', line('/3').slice(40) + line('/4'))
    expect(await look()).toEqual(['/3', '/4', '/5', '/6', '/7', '/8'])
    fs.renameSync(at('access.log.1'), at('access.log.2'))
    fs.renameSync(at('access.log'), at('access.log.1'))
    append('access.log', line('/9'))
    expect(await look()).toEqual(['/9'])
  })

  it('puts together a line that was cut by copying and truncating', async () => {
    append('access.log', line('/1'))
    const look = follow('access.log')
    await look()
    append('access.log', line('/2') + line('/3').slice(0, 40))
    await look()
    fs.copyFileSync(at('access.log'), at('access.log.1'))
    fs.truncateSync(at('access.log'))
    append('access.log', line('/3').slice(40) + line('/4'))
    expect(await look()).toEqual(['/3', '/4'])
    append('access.log', line('/5'))
    expect(await look()).toEqual(['/5'])
  })

  it('reads the last lines of a log that was compressed at once', async () => {
    append('access.log', line('/1'))
    fs.writeFileSync(at('access.log.1.gz'), gzipSync(line('/long-ago').repeat(500)))
    const look = follow('access.log')
    await look()
    append('access.log', line('/2'))
    fs.renameSync(at('access.log.1.gz'), at('access.log.2.gz'))
    fs.writeFileSync(at('access.log.1.gz'), gzipSync(fs.readFileSync(at('access.log'))))
    fs.writeFileSync(at('access.log'), line('/3'))
    expect(await look()).toEqual(['/2', '/3'])
    expect(await look()).toEqual([])
  })

  it('says when a log was cut to nothing and no copy of it is to be found', async () => {
    append('access.log', line('/1') + line('/2'))
    const look = follow('access.log')
    await look()
    fs.writeFileSync(at('access.log'), line('/3'))
    expect(await look()).toEqual(['/3', 'lost logs/access.log'])
  })

  it('goes on in the next day’s file, as IIS begins one', async () => {
    append('u_ex090826.log', W3C_HEAD + w3c({ at: AT, path: '/1' }).repeat(3000))
    const look = follow('u_ex*.log')
    const first = await look()
    expect(new Set(first)).toEqual(new Set(['~/1']))
    expect(first.length).toBeLessThan(3000)
    append('u_ex090826.log', w3c({ at: AT, path: '/2' }))
    append('u_ex090827.log', W3C_HEAD + w3c({ at: AT, path: '/3' }))
    expect(await look()).toEqual(['/2', '/3'])
  })
}

describe('logs in a folder on this machine', () => {
  followsLogs(async (site) => openLocal(site.path))

  it('finds what rotation leaves beside a log, and nothing else', () => {
    const matches = matcher('access.log')
    for (const name of ['access.log', 'access.log.1', 'access.log.2.gz', 'access.log-20261126', 'access.log-20261126.gz'])
      expect(matches(name), name).toBe(true)
    for (const name of ['error.log', 'access.log.bak', 'other_access.log', 'access.logs']) expect(matches(name), name).toBe(false)
  })

  it('passes over what is too much for a look, and goes on at a whole line', async () => {
    const site = siteFolder()
    const path = join(site.path, 'access.log')
    fs.writeFileSync(path, combined({ at: AT }))
    const tail = new LogTail({ files: openLocal(site.path), folder: '', pattern: 'access.log', written: 'access.log' })
    let [lines, strange] = [0, 0]
    const look = () =>
      tail.look(() => (request) => {
        if (request === undefined) strange += 1
        else lines += 1
      })
    await look()
    fs.appendFileSync(path, combined({ at: AT }).repeat(100_000))
    const { skippedBytes } = await look()
    expect(skippedBytes).toBeGreaterThan(0)
    expect((lines + skippedBytes / combined({ at: AT }).length) / 100_001).toBeCloseTo(1, 3)
    fs.appendFileSync(path, combined({ at: AT }))
    const before = lines
    await look()
    expect([lines - before, strange]).toEqual([1, 0])
    site.remove()
  })
})

describe.skipIf(sshdMissing !== null)(`logs over SFTP, sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  let sshd: Sshd
  beforeAll(async () => {
    sshd = await startSshd({ readOnly: true })
  })
  afterAll(() => sshd?.stop())
  followsLogs(async (site) => {
    const { address, port, user, key, fingerprint } = sshd
    return openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 1 })
  })
})

const SERVERS = { vsftpd: startVsftpd, 'pure-ftpd': startPureFtpd }
for (const [name, start] of Object.entries(SERVERS)) {
  describe.skipIf(ftpdMissing !== null)(
    `logs over FTP, ${name}${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`,
    () => {
      const servers: Ftpd[] = []
      afterEach(async () => {
        for (const server of servers.splice(0)) await server.stop()
      })
      followsLogs(async (site) => {
        const server = await start({ site: site.path })
        servers.push(server)
        const { address, port, user, password } = server
        return openFtp({ host: address, port, user, password: new Secret(password), root: '/', tls: 'none', connections: 1 })
      })
    },
  )
}
