import { existsSync, mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDelayProxy } from '../../servers/delay-proxy.ts'
import { ftpdMissing, startProftpd } from '../../servers/ftpd.ts'
import { sshdMissing, startSshd } from '../../servers/sshd.ts'
import { type Comparison, compare } from './compare.ts'
import type { Data } from './data.ts'
import { ftpTools, knownHostsFile, sftpTools, type Tool } from './tools.ts'

export interface FilesBenchOptions {
  readonly quick: boolean
  /** Of the sets below, by their names; all when absent. */
  readonly sets?: readonly string[]
  /** Added round-trip times, milliseconds. */
  readonly delays?: readonly number[]
  /** Of the tools below, by the first word of their names; all when absent. */
  readonly tools?: readonly string[]
  /** How many small files. */
  readonly files?: number
  readonly rounds?: number
  readonly limitSeconds?: number
  /** Where the data lies; a folder in memory measures the tools rather than the disk. */
  readonly folder?: string
  readonly print?: (line: string) => void
}

const MEMORY = '/dev/shm'
const CONNECTIONS = 4

function sets({ quick, files }: FilesBenchOptions): Readonly<Record<string, Data>> {
  const small = files ?? (quick ? 500 : 20_000)
  const mib = 2 ** 20
  const [several, one] = quick ? [4 * mib, 32 * mib] : [200 * mib, 4096 * mib]
  return {
    small: { name: `${small} files of 8 KiB`, files: small, bytesEach: 8192 },
    large: { name: `10 files of ${several / mib} MiB`, files: 10, bytesEach: several },
    one: { name: `one file of ${one / mib} MiB`, files: 1, bytesEach: one },
    ftps: { name: `${Math.ceil(small / 10)} files of 8 KiB over FTPS`, files: Math.ceil(small / 10), bytesEach: 8192 },
  }
}

/**
 * Moves files from one folder to another over SFTP (Debian's sshd) and FTPS (proftpd) on loopback, with snapshot-files and
 * restore-files, and with other tools in two halves. `tc netem` would want a kernel that has it: a proxy lengthens the way, for all alike.
 */
export async function benchFiles(options: FilesBenchOptions): Promise<void> {
  const { quick, delays = quick ? [0, 30] : [0, 30, 100], print = console.log } = options
  const base = options.folder ?? (existsSync(MEMORY) ? MEMORY : tmpdir())
  for (const [name, data] of Object.entries(sets(options))) {
    if (options.sets !== undefined && !options.sets.includes(name)) continue
    for (const delayMs of delays) {
      const folder = await mkdtemp(join(base, 'migrate-bench-'))
      try {
        const shared = {
          data,
          delayMs,
          folder,
          rounds: options.rounds ?? 1,
          limitSeconds: options.limitSeconds ?? 120,
          connections: CONNECTIONS,
          again: name === 'small',
          print,
        }
        const wanted = (tools: readonly Tool[]): readonly Tool[] =>
          tools.filter((tool) => options.tools?.some((each) => tool.name.startsWith(each)) ?? true)
        if (name === 'ftps') await overFtps(shared, wanted(ftpTools()))
        else await overSftp(shared, wanted(sftpTools(folder)))
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    }
  }
}

type Shared = Omit<Comparison, 'hosts' | 'tools'>

async function overSftp(shared: Shared, tools: readonly Tool[]): Promise<void> {
  const { folder, delayMs, print } = shared
  if (sshdMissing !== null) return print(`files over SFTP: skipped, ${sshdMissing}`)
  const [old, fresh] = [await startSshd(), await startSshd()]
  const ways =
    delayMs === 0
      ? []
      : await Promise.all([old, fresh].map(({ address, port }) => startDelayProxy({ host: address, port }, delayMs)))
  try {
    const [oldPort, newPort] = [ways[0]?.port ?? old.port, ways[1]?.port ?? fresh.port]
    const knownHosts = knownHostsFile(folder, [
      { address: old.address, port: oldPort, line: old.knownHosts },
      { address: fresh.address, port: newPort, line: fresh.knownHosts },
    ])
    const at = ({ address, user, key, fingerprint }: typeof old, port: number, root: string) => ({
      ...{ address, port, user, fingerprint, root },
      login: { key, knownHosts },
    })
    const hosts: Comparison['hosts'] = (sites) => ({ old: at(old, oldPort, sites.old), new: at(fresh, newPort, sites.new) })
    await compare({ ...shared, tools, hosts })
  } finally {
    for (const way of ways) await way.close()
    for (const host of [old, fresh]) await host.stop()
  }
}

/** FTP's data connections have ports of their own, which the proxy doesn't know: without delay alone. */
async function overFtps(shared: Shared, tools: readonly Tool[]): Promise<void> {
  const { folder, delayMs, print } = shared
  if (delayMs !== 0) return
  if (ftpdMissing !== null) return print(`files over FTPS: skipped, ${ftpdMissing}`)
  const [oldSite, newSite] = [join(folder, 'old'), join(folder, 'new')]
  for (const site of [oldSite, newSite]) mkdirSync(site, { recursive: true })
  const old = await startProftpd({ site: folder, tls: 'explicit' })
  try {
    const at = (root: string) => {
      const { address, port, user, password, fingerprint } = old
      return { address, port, user, root, fingerprint, login: { password } }
    }
    await compare({ ...shared, tools, hosts: () => ({ old: at('/old'), new: at('/new') }) })
  } finally {
    await old.stop()
  }
}
