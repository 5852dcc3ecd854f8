import { execFileSync, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, untilListening } from './ports.ts'

/** Unpacked by scripts/setup-servers.mjs. */
const UNPACKED = fileURLToPath(new URL('../../node_modules/.cache/ftp-servers/', import.meta.url))
const program = (name: string): string => join(UNPACKED, 'usr/sbin', name)

/** Why the FTP servers can't be had here; `null` when they can. For the titles of skipped suites. */
export const ftpdMissing: string | null = missing()

function missing(): string | null {
  if (!['proftpd', 'vsftpd', 'pure-ftpd'].every((name) => existsSync(program(name)))) return 'the FTP servers are not unpacked'
  return userInfo().uid === 0 ? null : 'the FTP servers want to be started by root'
}

/** A private FTP server on a free port, whose accounts see one folder as `/`. */
export interface Ftpd {
  readonly address: string
  readonly port: number
  /** May write; `guest` may only read. Both have this password. */
  readonly user: string
  readonly guest: string
  readonly password: string
  /** Of its certificate, where it has one: path of the PEM file, and SHA-256 in hexadecimal. */
  readonly certificate: string
  readonly fingerprint: string
  stop(): Promise<void>
}

interface Start {
  /** The folder that is served. */
  readonly site: string
  readonly tls?: 'explicit' | 'implicit'
  readonly address?: string
  /** The ports of its data connections, one after the other. */
  readonly passivePorts?: readonly number[]
}

interface VsftpdStart extends Start {
  readonly takesTimes?: boolean
}

const PASSWORD = 'correct horse'
/** By MD5: one worth its name costs the server more than all else that a short connection asks of it. */
const hashed = (): string => execFileSync('openssl', ['passwd', '-1', PASSWORD], { encoding: 'utf8' }).trim()

/** proftpd: MLSD, MFMT, hashes; as root, so that every file of the tests is its own. */
export async function startProftpd({ site, tls, address = '127.0.0.1', passivePorts }: Start): Promise<Ftpd> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-proftpd-'))
  const port = await freePort(address)
  const at = (name: string): string => join(folder, name)
  const made = makeCertificate(folder, address)
  const account = (name: string): string => `${name}:${hashed()}:0:0::${site}:/bin/false\n`
  writeFileSync(at('passwd'), account('shop') + account('guest'), { mode: 0o600 })
  const lines = [
    `ModulePath ${join(UNPACKED, 'usr/lib/proftpd')}`,
    'LoadModule mod_digest.c',
    ...(tls === undefined ? [] : ['LoadModule mod_tls.c']),
    ...proftpdLines(at, { site, address, port }),
    'AllowStoreRestart on',
    'MaxInstances 100',
    ...(passivePorts === undefined ? [] : [`PassivePorts ${passivePorts[0]} ${passivePorts.at(-1)}`]),
    'Umask 022',
    '<IfModule mod_delay.c>',
    'DelayEngine off',
    '</IfModule>',
    '<Limit WRITE SITE_CHMOD MFMT>',
    'DenyUser guest',
    '</Limit>',
    ...(tls === undefined ? [] : tlsLines(made, tls)),
  ]
  writeFileSync(at('conf'), `${lines.join('\n')}\n`)
  const stop = await started(program('proftpd'), ['-n', '-q', '-c', at('conf')], { folder, address, port })
  return { address, port, user: 'shop', guest: 'guest', password: PASSWORD, ...told(made), stop }
}

/** The same server speaking SFTP (mod_sftp): no shell, hashes by check-file. `fingerprint` is that of its host key. */
export async function startProftpdSftp({ site, address = '127.0.0.1' }: Start): Promise<Ftpd> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-mod-sftp-'))
  const port = await freePort(address)
  const at = (name: string): string => join(folder, name)
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', '', '-f', at('key')])
  writeFileSync(at('passwd'), `shop:${hashed()}:0:0::${site}:/bin/false\n`, { mode: 0o600 })
  const lines = [
    `ModulePath ${join(UNPACKED, 'usr/lib/proftpd')}`,
    'LoadModule mod_sftp.c',
    ...proftpdLines(at, { site, address, port }),
    'Umask 022',
    'SFTPEngine on',
    `SFTPHostKey ${at('key')}`,
    'SFTPAuthMethods password',
  ]
  writeFileSync(at('conf'), `${lines.join('\n')}\n`)
  const stop = await started(program('proftpd'), ['-n', '-q', '-c', at('conf')], { folder, address, port })
  const shown = execFileSync('ssh-keygen', ['-lf', at('key.pub')], { encoding: 'utf8' })
  const fingerprint = shown.split(' ')[1] ?? ''
  return { address, port, user: 'shop', guest: 'shop', password: PASSWORD, certificate: '', fingerprint, stop }
}

/** What every proftpd here is told; `at`: a path in its own folder. */
const proftpdLines = (
  at: (name: string) => string,
  { site, address, port }: { readonly site: string; readonly address: string; readonly port: number },
): readonly string[] => [
  'ServerType standalone',
  `DefaultAddress ${address}`,
  `Port ${port}`,
  'SocketBindTight on',
  'UseIPv6 off',
  'UseReverseDNS off',
  'User root',
  'Group root',
  'RootLogin on',
  'RequireValidShell off',
  'AuthPAM off',
  'AuthOrder mod_auth_file.c',
  `AuthUserFile ${at('passwd')}`,
  `DefaultRoot ${site}`,
  `PidFile ${at('pid')}`,
  `ScoreboardFile ${at('scoreboard')}`,
  `SystemLog ${at('log')}`,
  'TransferLog none',
  'WtmpLog off',
  'AllowOverwrite on',
]

const tlsLines = ({ certificate, key }: Certificate, tls: 'explicit' | 'implicit'): readonly string[] => [
  'TLSEngine on',
  'TLSRequired on',
  `TLSRSACertificateFile ${certificate}`,
  `TLSRSACertificateKeyFile ${key}`,
  ...(tls === 'implicit' ? ['TLSOptions UseImplicitSSL'] : []),
]

/**
 * vsftpd: LIST alone, no modes; its anonymous account, since any other needs the system's own accounts. That one may not write into the
 * served folder itself, only into those below. `takesTimes: false`: it lists MDTM all the same, and refuses to set a time by it.
 */
export async function startVsftpd({ site, address = '127.0.0.1', takesTimes = true }: VsftpdStart): Promise<Ftpd> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-vsftpd-'))
  const port = await freePort(address)
  const at = (name: string): string => join(folder, name)
  const settings = {
    listen: 'YES',
    listen_address: address,
    listen_port: port,
    background: 'NO',
    anonymous_enable: 'YES',
    no_anon_password: 'YES',
    anon_root: site,
    ftp_username: userOf(FTP_UID),
    write_enable: 'YES',
    anon_upload_enable: 'YES',
    anon_mkdir_write_enable: 'YES',
    anon_other_write_enable: 'YES',
    anon_world_readable_only: 'NO',
    anon_umask: '022',
    mdtm_write: takesTimes ? 'YES' : 'NO',
    chmod_enable: 'NO',
    seccomp_sandbox: 'NO',
    isolate: 'NO',
    isolate_network: 'NO',
    secure_chroot_dir: folder,
    xferlog_enable: 'NO',
    session_support: 'NO',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  writeFileSync(at('conf'), `${lines.join('\n')}\n`)
  const stop = await started(program('vsftpd'), [at('conf')], { folder, address, port })
  return { address, port, user: 'anonymous', guest: 'anonymous', password: PASSWORD, certificate: '', fingerprint: '', stop }
}

/** Whose files vsftpd and pure-ftpd work with: they let no account be root. It is `daemon`, whose home is there everywhere. */
export const FTP_UID = 1

/** pure-ftpd: MLSD, MFMT, no hashes. */
export async function startPureFtpd({ site, address = '127.0.0.1' }: Start): Promise<Ftpd> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-pure-ftpd-'))
  const port = await freePort(address)
  const at = (name: string): string => join(folder, name)
  // Its own way of hashing takes seconds for each login.
  const account = ['shop', hashed(), `${FTP_UID}`, `${FTP_UID}`, '', `${site}/./`, ...Array(13).fill('')]
  writeFileSync(at('passwd'), `${account.join(':')}\n`, { mode: 0o600 })
  execFileSync(join(UNPACKED, 'usr/bin/pure-pw'), ['mkdb', at('db'), '-f', at('passwd')], { env: libraries() })
  const args = [
    '-S',
    `${address},${port}`,
    '-l',
    `puredb:${at('db')}`,
    '-E',
    '-H',
    '-A',
    '-u',
    '1',
    '-c',
    '100',
    '-C',
    '100',
    '-U',
    '133:022',
    '-g',
    at('pid'),
  ]
  const stop = await started(program('pure-ftpd'), args, { folder, address, port })
  return { address, port, user: 'shop', guest: 'shop', password: PASSWORD, certificate: '', fingerprint: '', stop }
}

const userOf = (uid: number): string => execFileSync('id', ['-nu', `${uid}`], { encoding: 'utf8' }).trim()

const libraries = () => ({ ...process.env, LD_LIBRARY_PATH: join(UNPACKED, 'usr/lib/x86_64-linux-gnu') })

async function started(
  file: string,
  args: readonly string[],
  { folder, address, port }: { readonly folder: string; readonly address: string; readonly port: number },
): Promise<() => Promise<void>> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: libraries(), detached: true })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000)
    })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const own = (): string => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').slice(-2000) : '')
  await untilListening(address, port, () => (child.exitCode === null ? undefined : `${file}: ${log}${own()}`))
  return async () => {
    // Its children, one for each connection, are of its process group.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Certificate {
  readonly certificate: string
  readonly key: string
}

function makeCertificate(folder: string, address: string): Certificate {
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=ftp.test', '-addext', `subjectAltName=IP:${address}`]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', certificate],
    {
      stdio: 'ignore',
    },
  )
  return { certificate, key }
}

function told({ certificate }: Certificate) {
  return { certificate, fingerprint: new X509Certificate(readFileSync(certificate)).fingerprint256 }
}
