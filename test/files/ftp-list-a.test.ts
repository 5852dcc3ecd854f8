import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { errorOf, listed } from '../contract/files-kit.ts'
import { type Script, type ScriptedFtpd, startScriptedFtpd, type Talk } from '../servers/scripted-ftpd.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const LINE = '-rw-r--r--    1 shop     www-data        5 Jan  2  2026 index.php\r\n'

async function listedBy(list: Script[string], timeoutMs?: number): Promise<readonly [FileHost, ScriptedFtpd]> {
  const server = await startScriptedFtpd({ LIST: list })
  const limit = timeoutMs === undefined ? {} : { timeoutMs }
  const login = { host: server.address, port: server.port, user: 'shop', password: new Secret('x'), root: '/', ...limit }
  const host = openFtp({ ...login, tls: 'none', connections: 1 })
  ends.push(
    () => server.close(),
    () => host.close(),
  )
  return [host, server]
}

const lists = (server: ScriptedFtpd): readonly string[] => server.heard.filter((line) => line.startsWith('LIST'))

describe('an FTP server that takes `-a` for a name', () => {
  it.each([
    ['lists nothing for it, as that of Windows CE does', (talk: Talk) => talk.send('')],
    ['refuses it', () => '550 No such file or directory.'],
  ])('and %s is asked without: its folder is not taken for empty, nor for missing', async (_title, unlike) => {
    const [host, server] = await listedBy((given, talk) => (given === '-a' ? unlike(talk) : talk.send(LINE)))
    expect((await listed(host)).map(({ path }) => path)).toEqual(['index.php'])
    expect(await host.stat('index.php')).toMatchObject({ size: 5 })
    expect(lists(server).slice(0, 2)).toEqual(['LIST -a', 'LIST'])
  })

  it('is believed when it lists nothing without it, too, and its refusal told', async () => {
    const [empty] = await listedBy((_given, talk) => talk.send(''))
    expect(await listed(empty)).toEqual([])
    for (const words of ['550 No files found.', '450 No files found', '550 Directory is empty.'])
      expect(await listed((await listedBy(() => words))[0])).toEqual([])
    const [shut] = await listedBy(() => '550 Permission denied.')
    expect(await errorOf(listed(shut))).toMatchObject({ code: 'file-permission-denied' })
  })

  it('is not asked twice where the first answer has lines, if only of the folder itself, or where it is busy', async () => {
    const [host, server] = await listedBy((_given, talk) =>
      talk.send('drwxr-xr-x    2 shop     www-data     4096 Jan  2  2026 .\r\n'),
    )
    expect(await listed(host)).toEqual([])
    expect(lists(server)).toEqual(['LIST -a'])
    const [busy, other] = await listedBy(() => '450 Try again later.')
    await errorOf(listed(busy))
    expect(lists(other)).toEqual(['LIST -a'])
  })
})

describe('an FTP server that is asked for a folder', () => {
  const LIMIT_MS = 400

  it('is given more time than for anything else, since it reads and sorts all of a large one before it says anything', async () => {
    const [host] = await listedBy(async (_given, talk) => {
      await systemClock.sleep(2 * LIMIT_MS)
      return talk.send(LINE)
    }, LIMIT_MS)
    expect((await listed(host)).map(({ path }) => path)).toEqual(['index.php'])
  })

  it('is given up all the same when it says nothing at all', async () => {
    const [host] = await listedBy((_given, talk) => {
      talk.control.write('150 Here it comes\r\n')
      return undefined
    }, LIMIT_MS)
    expect(await errorOf(listed(host))).toMatchObject({ code: 'files-connection-lost' })
  })
})
