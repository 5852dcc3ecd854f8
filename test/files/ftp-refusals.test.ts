import { Client } from 'basic-ftp'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type FtpOptions, openFtp } from '../../src/files/ftp/index.ts'
import { eachLine } from '../../src/files/ftp/lines.ts'
import type { FileHost } from '../../src/files/port.ts'
import { errorOf, listed } from '../contract/files-kit.ts'
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

const FACTS = ['MLST type*;size*;modify*;UNIX.mode*;']
const facts = (name: string): string => `type=file;size=5;modify=20260102030405;UNIX.mode=0644; ${name}`
const found: Script[string] = (path) => `250-Here it is\r\n ${facts(path)}\r\n250 End`
const unixLine = (name: string, type = '-'): string => `${type}rw-r--r-- 1 shop shop 5 Jan  2 03:04 ${name}\r\n`

/** Lists the root as holding these, whatever may be asked about each. */
const listing = (...names: readonly string[]): Script => ({
  MLSD: (_given, talk) => talk.send(names.map((name) => `${facts(name)}\r\n`).join('')),
  LIST: (_given, talk) => talk.send(names.map((name) => unixLine(name)).join('')),
})

describe('a refusal over FTP', { timeout: SOON_MS }, () => {
  it.each([
    ['421 Too many connections', 'files-connection-lost'],
    ['450 Busy, try again', 'files-failed'],
    ['530 Log in first', 'file-permission-denied'],
  ])('that says nothing of the file is none that it is gone: %s', async (refusal, code) => {
    const host = open(await started({ MLST: refusal, ...listing() }, FACTS))
    expect((await errorOf(host.stat('file'))).code).toBe(code)
  })

  it.each([
    ['550 file: No such file or directory', '250 OK'],
    ['550 Can’t check for file existence', '550 Can’t change directory to file: No such file or directory'],
  ])('that says that nothing is there is believed without a listing: %s', async (refusal, why) => {
    const server = await started({ MLST: refusal, ...listing('file'), CWD: (path) => (path === '/' ? '250 OK' : why) }, FACTS)
    expect(await open(server).stat('file')).toBeUndefined()
    expect(server.heard.filter((line) => /^(?:MLSD|LIST)/.test(line))).toEqual([])
  })

  it.each(['550 Permission denied', '550 Not now', '550 page not found.html: Permission denied'])(
    'that leaves open whether it is there is settled by its folder: %s',
    async (refusal) => {
      const server = await started({ MLST: refusal, ...listing('file') }, FACTS)
      const host = open(server)
      expect(await host.stat('file')).toMatchObject({ path: 'file', kind: 'file', size: 5 })
      expect(await host.stat('other')).toBeUndefined()
      server.answer({ CWD: (path) => (path === '/' ? '250 OK' : '550 Permission denied') })
      expect((await errorOf(host.stat('shut/file'))).code).toBe('file-permission-denied')
    },
  )

  it('of a folder that stands is none that what it holds is gone', async () => {
    const server = await started({
      LIST: (_given, talk) => talk.send(unixLine('shut', 'd')),
      CWD: (path) => (path === '/' ? '250 OK' : '550 Failed to change directory.'),
    })
    const host = open(server)
    expect((await errorOf(host.stat('shut/file'))).code).toBe('file-permission-denied')
    expect(await host.stat('gone/file')).toBeUndefined()
  })

  it.each(['not found', 'quota'])('is not understood by the words of a name in it: %s', async (name) => {
    const server = await started({
      LIST: (_given, talk) => talk.send(unixLine(name, 'd')),
      CWD: (path) => (path === '/' ? '250 OK' : `550 ${path}: Permission denied`),
    })
    expect((await errorOf(open(server).stat(`${name}/file`))).code).toBe('file-permission-denied')
  })

  it('to remove a folder is told, unless the folder is gone or holds something', async () => {
    const folder: Script[string] = (path) =>
      `250-Here it is\r\n type=dir;modify=20260102030405;UNIX.mode=0755; ${path}\r\n250 End`
    const server = await started({ RMD: '550 Permission denied', MLST: folder, ...listing() }, FACTS)
    const host = open(server)
    expect((await errorOf(host.removeFolder('empty'))).code).toBe('file-permission-denied')
    server.answer(listing('file'))
    await host.removeFolder('full')
    server.answer({ MLST: '550 No such file or directory' })
    await host.removeFolder('gone')
  })

  it('of a login that has rested for too long is asked of another login', async () => {
    const server = await started({ MLST: found }, FACTS)
    const host = open(server)
    await host.stat('file')
    server.answer({
      MLST: (_path, talk) => {
        server.answer({ MLST: found })
        talk.control.end('421 Idle for too long\r\n')
        return undefined
      },
    })
    expect(await host.stat('file')).toMatchObject({ path: 'file', size: 5 })
    expect(server.heard.filter((line) => line.startsWith('USER'))).toHaveLength(2)
  })
})

describe('a listing over FTP', { timeout: SOON_MS }, () => {
  const refused = async (reply: Script[string]) => errorOf(listed(open(await started({ LIST: reply }))))

  it('that the server calls a success, and says in the same breath that it failed, is an error', async () => {
    const error = await refused((_given, talk) => talk.send('', '226 Transfer done (but failed to open directory).'))
    expect(error.code).toBe('file-permission-denied')
  })

  it('that ends in the middle of a line is none, whatever the server says', async () => {
    const error = await refused((_given, talk) => talk.send(`${unixLine('one')}${unixLine('two').slice(0, -6)}`))
    expect(error).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
  })

  it('is taken line by line while it comes, and never held as a whole', async () => {
    const heard: string[] = []
    let hasHeard = (): void => undefined
    const first = new Promise<void>((resolve) => {
      hasHeard = resolve
    })
    const slowly = async function* () {
      yield 'one\r\ntw'
      await first
      yield 'o\r\n'
    }
    const { address, port } = await started({ LIST: (_given, talk) => talk.send(slowly()) })
    const client = new Client()
    await client.connect(address, port)
    const { isWhole } = await eachLine(client, 'LIST', (line) => {
      heard.push(line)
      hasHeard()
    })
    client.close()
    expect([heard, isWhole]).toEqual([['one', 'two'], true])
  })

  it('for the sake of one file asks for the exact time of that file alone', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `file-${index}`)
    const exactly: Script = { ...listing(...names), MDTM: '213 20260102030405' }
    const server = await started(exactly, ['MDTM'])
    expect(await open(server).stat('file-7')).toMatchObject({
      path: 'file-7',
      mtimeSeconds: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000,
    })
    expect(server.heard.filter((line) => line.startsWith('MDTM'))).toEqual(['MDTM file-7'])
  })
})
