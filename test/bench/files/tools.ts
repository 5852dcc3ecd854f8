import { spawn } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where a tool finds a host, and how it logs in. */
export interface Remote {
  readonly address: string
  readonly port: number
  readonly user: string
  readonly root: string
  /** SFTP: files with the private key and the host's key. FTPS: the password. */
  readonly login: { readonly key: string; readonly knownHosts: string } | { readonly password: string }
}

/** A program that people would take instead, on its own in two halves: from the old host to a folder here, from there to the new one. */
export interface Tool {
  readonly name: string
  readonly program: string
  get(from: Remote, to: string): readonly string[]
  put(from: string, to: Remote): readonly string[]
  /** Whether it can carry only what has changed. */
  readonly knowsChanges: boolean
}

const keyOf = ({ login }: Remote): { readonly key: string; readonly knownHosts: string } => {
  if ('key' in login) return login
  throw new Error('this tool wants a key')
}

const rclone = (name: string, tuning: readonly string[]): Tool => {
  // Without its own hashing, which starts a command on the host for every file: every copy is hashed here, outside the time.
  const remote = (at: Remote): string => {
    const { key, knownHosts } = keyOf(at)
    return `:sftp,host=${at.address},port=${at.port},user=${at.user},key_file=${key},known_hosts_file=${knownHosts},disable_hashcheck=true:${at.root}`
  }
  const copy = (from: string, to: string): readonly string[] => ['--config', '/dev/null', ...tuning, 'copy', from, to]
  return {
    name,
    program: '/usr/bin/rclone',
    get: (from, to) => copy(remote(from), to),
    put: (from, to) => copy(from, remote(to)),
    knowsChanges: true,
  }
}

const sshOptions = (at: Remote): readonly string[] => {
  const { key, knownHosts } = keyOf(at)
  return ['-i', key, '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR']
}
/** The fastest of OpenSSH's ciphers on a processor with AES. */
const FAST_CIPHER = ['-o', 'Ciphers=aes128-gcm@openssh.com']
const sshCommand = (at: Remote, more: readonly string[] = []): string =>
  `ssh -a -x -p ${at.port} ${[...sshOptions(at), ...more].join(' ')}`

const lftp = (name: string, parallel: number, settings: readonly string[] = []): Tool => {
  const script = (at: Remote, mirror: string): readonly string[] => {
    const { login } = at
    const open =
      'key' in login
        ? `set sftp:connect-program "${sshCommand(at, parallel > 1 ? FAST_CIPHER : [])}"; open sftp://${at.user}:@${at.address}:${at.port}`
        : `set ssl:verify-certificate no; set ftp:prefer-epsv yes; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; open -u ${at.user},"${login.password}" ftp://${at.address}:${at.port}`
    return [
      '--norc',
      '-e',
      `set cmd:fail-exit yes; set net:max-retries 2; ${settings.map((each) => `set ${each}; `).join('')}${open}; ${mirror}; exit`,
    ]
  }
  return {
    name,
    program: '/usr/bin/lftp',
    get: (from, to) => script(from, `mirror -P ${parallel} "${from.root}" "${to}"`),
    put: (from, to) => script(to, `mirror -R -P ${parallel} "${from}" "${to.root}"`),
    knowsChanges: true,
  }
}

const sftp = (name: string, batchFolder: string, more: readonly string[] = []): Tool => {
  const batch = (at: Remote, line: string): readonly string[] => {
    const file = join(batchFolder, `batch-${at.port}`)
    writeFileSync(file, `${line}\n`)
    return ['-q', '-P', `${at.port}`, ...sshOptions(at), ...more, '-b', file, `${at.user}@${at.address}`]
  }
  return {
    name,
    program: '/usr/bin/sftp',
    get: (from, to) => batch(from, `get -R -p "${from.root}/." "${to}"`),
    put: (from, to) => batch(to, `put -R -p "${from}/." "${to.root}"`),
    knowsChanges: false,
  }
}

const rsync = (name: string, ssh: readonly string[], more: readonly string[]): Tool => ({
  name,
  program: '/usr/bin/rsync',
  get: (from, to) => ['-a', ...more, '-e', sshCommand(from, ssh), `${from.user}@${from.address}:${from.root}/`, `${to}/`],
  put: (from, to) => ['-a', ...more, '-e', sshCommand(to, ssh), `${from}/`, `${to.user}@${to.address}:${to.root}/`],
  knowsChanges: true,
})

const there = (tools: readonly Tool[]): readonly Tool[] => tools.filter(({ program }) => existsSync(program))

/** As they come, and as somebody would set them who knows them well. */
export const sftpTools = (folder: string): readonly Tool[] =>
  there([
    rclone('rclone', []),
    rclone('rclone, tuned', ['--transfers', '16', '--checkers', '16', '--sftp-chunk-size', '255k']),
    lftp('lftp mirror', 1),
    lftp('lftp mirror -P 8, tuned', 8, ['sftp:max-packets-in-flight 64', 'sftp:size-read 0xff00', 'sftp:size-write 0xff00']),
    sftp('sftp', folder),
    sftp('sftp, tuned', folder, ['-B', '261120', '-R', '256', ...FAST_CIPHER]),
    rsync('rsync over ssh', [], []),
    rsync('rsync over ssh, tuned', FAST_CIPHER, ['-W']),
  ])

export const ftpTools = (): readonly Tool[] =>
  there([lftp('lftp mirror', 1), lftp('lftp mirror -P 4', 4), lftp('lftp mirror -P 16', 16)])

export interface Ended {
  readonly seconds: number
  /** False when it was stopped because its time was over. */
  readonly isDone: boolean
}

/** Runs a program, at most so long. Throws when it fails. */
export function timed(program: string, args: readonly string[], limitSeconds: number): Promise<Ended> {
  const begun = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    let said = ''
    child.stderr.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-2000)
    })
    let isLate = false
    const limit = setTimeout(() => {
      isLate = true
      // With the ssh that it has started, which is of its process group.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, limitSeconds * 1000)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(limit)
      const seconds = (performance.now() - begun) / 1000
      if (isLate || code === 0) resolve({ seconds, isDone: !isLate })
      else reject(new Error(`${program} ended with ${code}: ${said}`))
    })
  })
}

export function knownHostsFile(
  folder: string,
  hosts: readonly { readonly address: string; readonly port: number; readonly line: string }[],
): string {
  const file = join(folder, 'known_hosts')
  const keyOfLine = (line: string): string => line.trim().split(' ').slice(1).join(' ')
  writeFileSync(file, hosts.map(({ address, port, line }) => `[${address}]:${port} ${keyOfLine(line)}\n`).join(''))
  chmodSync(file, 0o600)
  return file
}
