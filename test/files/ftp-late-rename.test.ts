import { hash } from 'node:crypto'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { partPath } from '../../src/files/paths.ts'
import type { FileHost } from '../../src/files/port.ts'
import { wholeContent } from '../../src/files/whole.ts'
import { errorOf, listed } from '../contract/files-kit.ts'
import { ftpdMissing, startProftpd } from '../servers/ftpd.ts'
import { type Script, startScriptedFtpd } from '../servers/scripted-ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const options = { mode: null, mtimeSeconds: 1_250_000_000 }
const opened = (server: {
  readonly address: string
  readonly port: number
  readonly user?: string
  readonly password?: string
}): FileHost => {
  const { address, port, user = 'shop', password = 'x' } = server
  const login = { host: address, port, user, password: new Secret(password), root: '/' }
  const host = openFtp({ ...login, tls: 'none', connections: 1 })
  ends.push(() => host.close())
  return host
}

it('a rename that was sent and never answered finds nothing to move when the server comes to it, while the file is sent again', async () => {
  const files = new Set<string>()
  let from = ''
  let late: { readonly from: string } | undefined
  const moved = (to: string): string => {
    if (!files.delete(from)) return '550 No such file or directory'
    files.add(to)
    return '250 OK'
  }
  const script: Script = {
    STOR: (path, talk) => {
      files.add(path)
      return talk.send('')
    },
    SIZE: (path) => (files.has(path) ? '213 5' : '550 No such file or directory'),
    DELE: (path) => (files.delete(path) ? '250 OK' : '550 No such file or directory'),
    RNFR: (path) => {
      from = path
      return files.has(path) ? '350 Go on' : '550 No such file or directory'
    },
    RNTO: (to, talk) => {
      if (late !== undefined) return moved(to)
      late = { from }
      talk.control.destroy()
      return undefined
    },
  }
  const server = await startScriptedFtpd(script, ['SIZE'])
  ends.push(() => server.close())
  const host = opened(server)
  expect(await errorOf(host.write('file', wholeContent(Buffer.from('older')), options))).toMatchObject({ retrySafe: true })
  // What comes to be there meanwhile must have another name, however often it is sent from now on.
  for (const text of ['newer', 'third']) {
    const content = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from(text.slice(0, 3))
      expect([late?.from, files.has(late?.from ?? '')]).toEqual(['/.file.migrate-part', false])
      yield Buffer.from(text.slice(3))
    }
    await host.write('file', Readable.from(content(), { objectMode: false }), options)
  }
  expect([...files]).toEqual(['/file'])
})

it('nor a part that is gone on with: it has a name of its own first', async () => {
  const files = new Map<string, Buffer>()
  const [older, newer] = [Buffer.alloc(1_500_000, 'older '), Buffer.alloc(1_800_000, 'older ')]
  let [from, late, stood]: [string, string | undefined, boolean | undefined] = ['', undefined, undefined]
  const has = (path: string, answer: string): string => (files.has(path) ? answer : '550 No such file or directory')
  const script: Script = {
    STOR: (path, talk) => talk.take((bytes) => files.set(path, bytes)),
    APPE: (path, talk) => {
      stood = files.has(late ?? '')
      return talk.take((bytes) => files.set(path, Buffer.concat([files.get(path) ?? Buffer.alloc(0), bytes])))
    },
    SIZE: (path) => has(path, `213 ${files.get(path)?.length}`),
    XSHA256: (path) => has(path, `250 ${hash('sha256', files.get(path) ?? '')}`),
    DELE: (path) => (files.delete(path) ? '250 OK' : '550 No such file or directory'),
    RNFR: (path) => {
      from = path
      return has(path, '350 Go on')
    },
    RNTO: (to, talk) => {
      const bytes = files.get(from)
      if (bytes === undefined) return '550 No such file or directory'
      if (late === undefined) {
        late = from
        talk.control.destroy()
        return undefined
      }
      files.delete(from)
      files.set(to, bytes)
      return '250 OK'
    },
  }
  const server = await startScriptedFtpd(script, ['SIZE', 'XSHA256'])
  ends.push(() => server.close())
  const host = opened(server)
  const send = (bytes: Buffer): Promise<unknown> =>
    host.write('log', Readable.from([bytes]), { ...options, again: () => Readable.from([bytes]) })
  expect(await errorOf(send(older))).toMatchObject({ retrySafe: true })
  expect(await send(newer)).toMatchObject({ resumedAt: older.length })
  expect([late, stood]).toEqual(['/.log.migrate-part', false])
  expect([...files.keys()]).toEqual(['/log'])
  expect(files.get('/log')?.equals(newer)).toBe(true)
})

it.skipIf(ftpdMissing !== null)(
  `nor does one of a process that was killed, whose part stands there still; and nothing is left${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`,
  async () => {
    const site = siteFolder()
    ends.push(() => site.remove())
    const server = await startProftpd({ site: site.path })
    ends.push(() => server.stop())
    const host = opened(server)
    const content = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(1000, 'half')
      expect(() => renameSync(join(site.path, partPath('file')), join(site.path, 'file'))).toThrow('ENOENT')
      yield Buffer.alloc(1000, 'half')
    }
    site.put(partPath('file'), Buffer.from('whole, of an earlier try'))
    site.put('.migrate-0123456789ab.migrate-part', Buffer.from('of a try that was cut off'))
    await listed(host)
    await host.write('file', Readable.from(content(), { objectMode: false }), options)
    expect(site.paths()).toEqual(['file'])
    expect(site.read('file')?.length).toBe(2000)
  },
)
