import { chmodSync, chownSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { listed } from '../contract/files-kit.ts'
import { FTP_UID, ftpdMissing, startVsftpd } from '../servers/ftpd.ts'
import { type Script, startScriptedFtpd } from '../servers/scripted-ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function opened(address: string, port: number, user: string, password: string): FileHost {
  const host = openFtp({ host: address, port, user, password: new Secret(password), root: '/', tls: 'none', connections: 1 })
  ends.push(() => host.close())
  return host
}

const MANY = 250
const nameOf = (at: number): string => `shirt-${at}.jpg`

describe('one entry of a large folder on a host without MLST', () => {
  it('is asked for by itself, also one that is not there, and the folder is not listed for each', async () => {
    const line = (name: string): string => `-rw-r--r--    1 1        1               5 Jan 10  2008 ${name}\r\n`
    const names = new Set(Array.from({ length: MANY }, (_, at) => nameOf(at)))
    const all = (): string => [...names].map(line).join('')
    const known = (given: string): boolean => names.has(given.replace(/^\//, ''))
    const script: Script = {
      LIST: (given, talk) => talk.send(given === '' || given === '-a' ? all() : known(given) ? line(given) : ''),
      SIZE: (given) => (known(given) ? '213 5' : '550 Could not get file size.'),
      MDTM: (given) => (known(given) ? '213 20080110212000' : '550 Could not get file modification time.'),
      CWD: (given) => (given === '/' ? '250 OK' : '550 Failed to change directory.'),
    }
    const server = await startScriptedFtpd(script, ['SIZE', 'MDTM'])
    ends.push(() => server.close())
    const host = opened(server.address, server.port, 'shop', 'x')
    const entries = await listed(host)
    server.heard.splice(0)
    for (const entry of entries.slice(0, 20)) expect(await host.stat(entry.path)).toEqual(entry)
    for (let at = 0; at < 20; at += 1) expect(await host.stat(`new-${at}.jpg`)).toBeUndefined()
    expect(server.heard.filter((said) => /^LIST( -a)?$/.test(said))).toEqual([])
    names.add('new-1.jpg')
    expect(await host.stat('new-1.jpg')).toMatchObject({ kind: 'file', size: 5 })
  })

  it.skipIf(ftpdMissing !== null)(
    `is told of as the listing does, whatever it is${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`,
    async () => {
      const site = siteFolder()
      ends.push(() => site.remove())
      chmodSync(site.path, 0o755)
      for (let at = 0; at < MANY; at += 1) site.put(`shop/${nameOf(at)}`, Buffer.alloc(at), 0o644, 1_200_000_000 + at)
      const odd = ['with space.txt', 'br[1].txt', '-a', '.htaccess', 'größe.html', 'same/same', 'x~', 'closed.txt']
      for (const name of odd) site.put(`shop/${name}`, Buffer.from(name))
      chmodSync(`${site.path}/shop/closed.txt`, 0o000)
      site.folder('shop/empty')
      site.link('shop/to-a-file', nameOf(7))
      site.link('shop/to-a-folder', 'same')
      site.link('shop/to-nothing', 'nowhere')
      chownSync(`${site.path}/shop`, FTP_UID, FTP_UID)
      const server = await startVsftpd({ site: site.path })
      ends.push(() => server.stop())
      const host = opened(server.address, server.port, server.user, server.password)
      const entries = (await listed(host, 'shop')).filter(({ path }) => path.split('/').length === 2)
      expect(entries.length).toBe(MANY + odd.length + 4)
      for (const entry of entries.filter(({ path }, at) => at % 50 === 0 || !path.includes('shirt')))
        expect(await host.stat(entry.path)).toEqual(entry)
      for (const name of ['missing.txt', 'shirt-1.jp', 'same/other', '.hidden', 'sa[m]e'])
        expect(await host.stat(`shop/${name}`)).toBeUndefined()
    },
  )
})
