import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Secret } from '../../src/base/secret.ts'
import { type SftpServer, startSftpServer } from '../../src/demo/sftp-server.ts'
import { openSftp, type SftpOptions } from '../../src/files/sftp/index.ts'
import { fingerprint as fingerprintOf, judgeKey } from '../../src/files/sftp/known-hosts.ts'
import { freePort } from '../servers/ports.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

const PASSWORD = 'correct horse battery'
const folder = mkdtempSync(join(tmpdir(), 'migrate-login-'))
let site: SiteFolder
let server: SftpServer
beforeAll(async () => {
  site = siteFolder()
  site.put('file', Buffer.from('hello'))
  server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users: [{ name: 'shop', password: PASSWORD }] })
})
afterAll(async () => {
  await server.close()
  site.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Logs in and reads; gives 'in', or the error. */
async function outcome(options: SftpOptions): Promise<MigrateError | 'in'> {
  const host = openSftp(options)
  try {
    await host.stat('file')
    return 'in'
  } catch (error) {
    if (error instanceof MigrateError) return error
    throw error
  } finally {
    await host.close()
  }
}

const asShop = (more: Partial<SftpOptions>): SftpOptions => ({
  host: server.address,
  port: server.port,
  user: 'shop',
  root: '/',
  password: new Secret(PASSWORD),
  connections: 1,
  knownHosts: '/dev/null',
  ...more,
})

const codeOf = (result: MigrateError | 'in'): string => (result === 'in' ? 'in' : result.code)
const known = (text: string): string => {
  const file = join(folder, `known-${randomBytes(4).toString('hex')}`)
  writeFileSync(file, text)
  return file
}

describe('logging in over SFTP', () => {
  it('says that the password is wrong, without saying the password', async () => {
    const result = await outcome(asShop({ password: new Secret('not the password'), fingerprint: server.fingerprint }))
    expect(codeOf(result)).toBe('files-login-failed')
    expect(String(result)).not.toContain('not the password')
    expect(JSON.stringify(result)).not.toContain('not the password')
  })

  it('says that nobody listens, or that nobody answers', async () => {
    const fingerprint = server.fingerprint
    expect(codeOf(await outcome(asShop({ port: await freePort('127.0.0.1'), fingerprint })))).toBe('files-unreachable')
    const mute = createServer()
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const address = mute.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    expect(codeOf(await outcome(asShop({ port, fingerprint, timeoutMs: 300 })))).toBe('files-unreachable')
    mute.close()
  })

  it('gives up on a host that takes the login and then never begins with SFTP', { timeout: 20_000 }, async () => {
    const { port, fingerprint, stop } = await startMuteSubsystem()
    let result: Awaited<ReturnType<typeof outcome>>
    let timeoutMs = 300
    do {
      result = await outcome(asShop({ port, fingerprint, timeoutMs, keepaliveMs: timeoutMs / 3 }))
      timeoutMs *= 2
      // A busy machine may need longer for the login alone, which is given up then for itself.
    } while (String(result).includes('waiting for handshake') && timeoutMs < 5000)
    expect(result).toMatchObject({ code: 'files-unreachable', retrySafe: true, message: expect.stringContaining('Timeout') })
    await stop()
  })

  it('tries once more without haste on a host that ends a login when it is asked for before it has accepted the service', async () => {
    const { attempts, fingerprint, port, stop } = await startStrict()
    expect(await outcome(asShop({ port, fingerprint, connections: 3 }))).toBe('in')
    expect(attempts).toEqual(['too soon', PASSWORD])
    await stop()
  })

  it('never tries once more with a password that was refused, also where the host ends the connection after that', async () => {
    const { attempts, fingerprint, port, stop } = await startStrict(true)
    const password = new Secret('not the password')
    expect(codeOf(await outcome(asShop({ port, fingerprint, password })))).not.toBe('in')
    expect(attempts).toEqual(['not the password'])
    await stop()
  })

  it('sends nothing to a host whose key nobody knows, and says which fingerprint it shows', async () => {
    const logins = server.counts.logins
    const result = await outcome(asShop({}))
    expect(codeOf(result)).toBe('files-host-key-unknown')
    expect(result).toMatchObject({ hint: expect.stringContaining(server.fingerprint) })
    expect(server.counts.logins).toBe(logins)
    expect(await outcome(asShop({ fingerprint: server.fingerprint }))).toBe('in')
  })

  it('refuses a host whose key is another than the fingerprint says', async () => {
    const result = await outcome(asShop({ fingerprint: `SHA256:${'A'.repeat(43)}` }))
    expect(codeOf(result)).toBe('files-host-key-changed')
    expect(result).toMatchObject({ message: expect.stringContaining(server.fingerprint) })
  })

  it('says that a known_hosts file named in the playbook is missing', async () => {
    const result = await outcome(asShop({ knownHosts: join(folder, 'nowhere') }))
    expect(result).toMatchObject({ code: 'files-failed', message: expect.stringContaining('nowhere') })
  })
})

describe.skipIf(sshdMissing !== null)(
  `logging in at Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
  () => {
    let sshd: Sshd
    let agent: { readonly process: ChildProcess; readonly socket: string }
    beforeAll(async () => {
      sshd = await startSshd()
      agent = await startAgent(sshd.key)
    })
    afterAll(async () => {
      agent?.process.kill()
      await sshd?.stop()
    })

    const asUser = (more: Partial<SftpOptions>): SftpOptions => ({
      host: sshd.address,
      port: sshd.port,
      user: sshd.user,
      root: site.path,
      connections: 1,
      fingerprint: sshd.fingerprint,
      ...more,
    })

    it('takes a key, a key with a passphrase, and an agent', async () => {
      expect(await outcome(asUser({ key: sshd.key }))).toBe('in')
      expect(await outcome(asUser({ key: sshd.encryptedKey, passphrase: new Secret('orange') }))).toBe('in')
      expect(await outcome(asUser({ agent: agent.socket }))).toBe('in')
    })

    it('says what is wrong with a key', async () => {
      const wrong = await outcome(asUser({ key: sshd.encryptedKey, passphrase: new Secret('lemon-secret') }))
      expect(codeOf(wrong)).toBe('files-login-failed')
      expect(String(wrong)).not.toContain('lemon-secret')
      expect(codeOf(await outcome(asUser({ key: join(folder, 'no-key') })))).toBe('files-login-failed')
      expect(codeOf(await outcome(asUser({ agent: join(folder, 'no-agent') })))).toBe('files-login-failed')
      expect(codeOf(await outcome(asUser({ password: new Secret(PASSWORD) })))).toBe('files-login-failed')
    })

    it('finds the host in known_hosts, plain, hashed, by pattern, and among others', async () => {
      const { fingerprint: _, ...unnamed } = asUser({ key: sshd.key })
      const [names = '', type = '', key = ''] = sshd.knownHosts.trim().split(' ')
      const salt = randomBytes(20)
      const hashed = `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(names).digest('base64')}`
      const texts = {
        plain: sshd.knownHosts,
        hashed: `# a comment\n\n${hashed} ${type} ${key} comment\n`,
        pattern: `other,[127.0.0.*]:${sshd.port} ${type} ${key}\n`,
        authority: `@cert-authority * ${type} AAAA\n${sshd.knownHosts}`,
      }
      for (const [name, text] of Object.entries(texts))
        expect(await outcome({ ...unnamed, knownHosts: known(text) }), name).toBe('in')
      const refused = {
        'files-host-key-unknown': `[127.0.0.1]:1 ${type} ${key}\n`,
        'files-host-key-changed': `${names} ${type} AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n`,
      }
      for (const [code, text] of Object.entries(refused))
        expect(codeOf(await outcome({ ...unnamed, knownHosts: known(text) }))).toBe(code)
      const revoked = `${sshd.knownHosts}@revoked * ${type} ${key}\n`
      expect(codeOf(await outcome({ ...unnamed, knownHosts: known(revoked) }))).toBe('files-host-key-changed')
    })

    it('starts at the home folder for ~ and runs commands where there is a shell', async () => {
      const host = openSftp(asUser({ key: sshd.key, root: '~' }))
      expect(await host.check('read')).toEqual([])
      const result = await host.shell.run('echo out; echo err >&2; exit 7')
      expect(result).toEqual({ exit: 7, stdout: 'out\n', stderr: 'err\n' })
      await host.close()
    })

    it('says that the folder is missing', async () => {
      const host = openSftp(asUser({ key: sshd.key, root: join(site.path, 'nowhere') }))
      expect(await host.check('write')).toMatchObject([{ severity: 'error', code: 'files-root-missing' }])
      await host.close()
    })
  },
)

describe('known_hosts', () => {
  const key = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'base64')
  const line = (hosts: string): string => `${hosts} ssh-ed25519 ${key.toString('base64')}\n`

  it('knows ports, wildcards and exceptions', () => {
    expect(judgeKey(line('a.example'), 'A.example', 22, key).verdict).toBe('known')
    expect(judgeKey(line('a.example'), 'a.example', 2222, key).verdict).toBe('unknown')
    expect(judgeKey(line('*.example,!b.example'), 'a.example', 22, key).verdict).toBe('known')
    expect(judgeKey(line('*.example,!b.example'), 'b.example', 22, key).verdict).toBe('unknown')
    expect(judgeKey(line('10.0.0.?'), '10.0.0.7', 22, key).verdict).toBe('known')
  })
})

/** Ends a connection on which it is asked to let somebody in before it has said that it does so, or after a wrong password; tells what it was sent. */
async function startStrict(isPatient = false) {
  const attempts: string[] = []
  const key = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
  const strict = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    const protocol: unknown = Reflect.get(connection, '_protocol')
    if (!isPatient) acceptLate(protocol, () => attempts.push('too soon'))
    connection.on('error', () => connection.end())
    connection.on('authentication', (context) => {
      if (context.method !== 'password') return context.reject(['password'])
      attempts.push(context.password)
      if (context.password === PASSWORD) return context.accept()
      context.reject(['password'])
      connection.end()
    })
    connection.on('session', (accept) =>
      accept().on('sftp', (take) => {
        const files = take()
        files.on('LSTAT', (id) => files.status(id, ssh2.utils.sftp.STATUS_CODE.NO_SUCH_FILE))
      }),
    )
  })
  const port = await freePort('127.0.0.1')
  await new Promise<void>((resolve) => void strict.listen(port, '127.0.0.1', () => resolve()))
  const blob = Buffer.from(key.public.split(' ')[1] ?? '', 'base64')
  const stop = () => new Promise<void>((resolve) => void strict.close(() => resolve()))
  return { attempts, port, fingerprint: fingerprintOf(blob), stop }
}

/** Has the service accepted only after the client answered something else; what is asked in between ends the connection. */
function acceptLate(protocol: unknown, tooSoon: () => void): void {
  if (typeof protocol !== 'object' || protocol === null) throw new Error('no protocol')
  const handlers: unknown = Reflect.get(protocol, '_handlers')
  const accept: unknown = Reflect.get(protocol, 'serviceAccept')
  if (typeof handlers !== 'object' || handlers === null || typeof accept !== 'function') throw new Error('not as it was')
  const asked: unknown = Reflect.get(handlers, 'USERAUTH_REQUEST')
  if (typeof asked !== 'function') throw new Error('not as it was')
  let isAccepted = false
  Reflect.set(protocol, 'serviceAccept', (...args: readonly unknown[]) => {
    // What the client sent by itself comes before its answer to this.
    Reflect.set(handlers, 'REQUEST_FAILURE', () => {
      isAccepted = true
      Reflect.apply(accept, protocol, args)
    })
    Reflect.apply(Reflect.get(protocol, 'ping'), protocol, [])
  })
  Reflect.set(handlers, 'USERAUTH_REQUEST', (...args: readonly unknown[]) => {
    if (isAccepted) return Reflect.apply(asked, handlers, args)
    tooSoon()
    Reflect.apply(Reflect.get(protocol, 'disconnect'), protocol, [2])
  })
}

/** Lets everybody in and takes SFTP on, gives every sign of life, and has a part for files that hangs. */
async function startMuteSubsystem(): Promise<{ port: number; fingerprint: string; stop(): Promise<void> }> {
  const key = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
  const server = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    connection.on('authentication', (context) => context.accept()).on('error', () => connection.end())
    connection.on('session', (accept) => accept().on('subsystem', (take) => void take()))
  })
  const port = await freePort('127.0.0.1')
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', () => resolve()))
  const blob = Buffer.from(key.public.split(' ')[1] ?? '', 'base64')
  const stop = () => new Promise<void>((resolve) => void server.close(() => resolve()))
  return { port, fingerprint: fingerprintOf(blob), stop }
}

async function startAgent(key: string): Promise<{ readonly process: ChildProcess; readonly socket: string }> {
  const socket = join(folder, 'agent')
  const process = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] })
  await new Promise<void>((resolve) => process.stdout.once('data', () => resolve()))
  execFileSync('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: socket, PATH: '/usr/bin:/bin' }, stdio: 'ignore' })
  return { process, socket }
}
