import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, untilListening } from './ports.ts'

const SSHD = '/usr/sbin/sshd'

/** Why the real sshd can't be had here; `null` when it can. For the titles of skipped suites. */
export const sshdMissing: string | null = missing()

export interface Sshd {
  readonly address: string
  readonly port: number
  /** Who may log in: the user that runs the tests. */
  readonly user: string
  /** Private key file that it accepts; `encryptedKey` is the same with the passphrase `orange`. */
  readonly key: string
  readonly encryptedKey: string
  /** `SHA256:…` of its host key. */
  readonly fingerprint: string
  /** A known_hosts line for it, with the address as it is. */
  readonly knownHosts: string
  readonly pid: number
  stop(): Promise<void>
}

export interface SshdOptions {
  readonly address?: string
  /** Every write is refused (`internal-sftp -R`). */
  readonly readOnly?: boolean
  /** More lines for sshd_config. */
  readonly config?: readonly string[]
}

/** Debian's sshd, started for one test on a free port with its own keys and settings. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-sshd-'))
  const address = options.address ?? '127.0.0.1'
  const port = await freePort(address)
  const user = userInfo().username
  const files = makeKeys(folder)
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const settings = [
    `ListenAddress ${address}`,
    `Port ${port}`,
    `HostKey ${files.hostKey}`,
    `PidFile ${join(folder, 'pid')}`,
    `AuthorizedKeysFile ${files.authorized}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'MaxStartups 100:30:200',
    `Subsystem sftp internal-sftp${options.readOnly ? ' -R' : ''}`,
    ...(options.config ?? []),
  ]
  writeFileSync(join(folder, 'sshd_config'), `${settings.join('\n')}\n`)
  const child = spawn(SSHD, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await untilListening(address, port, () => (child.exitCode === null ? undefined : log))
  const hostPublic = readFileSync(`${files.hostKey}.pub`, 'utf8').trim().split(' ').slice(0, 2).join(' ')
  return {
    address,
    port,
    user,
    key: files.userKey,
    encryptedKey: files.encryptedKey,
    fingerprint: fingerprintOf(`${files.hostKey}.pub`),
    knownHosts: `[${address}]:${port} ${hostPublic}\n`,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function missing(): string | null {
  if (!existsSync(SSHD)) return 'openssh-server is not installed'
  if (userInfo().uid !== 0 && !existsSync('/run/sshd')) return '/run/sshd is missing and only root can make it'
  return null
}

function makeKeys(folder: string) {
  const keygen = (...args: readonly string[]) => execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'ignore' })
  const path = (name: string) => join(folder, name)
  keygen('-t', 'ed25519', '-N', '', '-f', path('host'))
  keygen('-t', 'ed25519', '-N', '', '-f', path('user'))
  keygen('-t', 'ed25519', '-N', 'orange', '-f', path('encrypted'))
  const keys = ['user', 'encrypted'].map((name) => readFileSync(path(`${name}.pub`), 'utf8'))
  writeFileSync(path('authorized_keys'), keys.join(''), { mode: 0o600 })
  return { hostKey: path('host'), userKey: path('user'), encryptedKey: path('encrypted'), authorized: path('authorized_keys') }
}

const fingerprintOf = (publicKey: string): string =>
  execFileSync('ssh-keygen', ['-l', '-E', 'sha256', '-f', publicKey], { encoding: 'utf8' }).split(' ')[1] ?? ''
