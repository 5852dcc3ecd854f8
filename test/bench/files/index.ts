import { existsSync, mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatCount } from '../../../src/base/units.ts'
import { type DelayProxy, startDelayProxy } from '../../servers/delay-proxy.ts'
import { ftpdMissing, startProftpd } from '../../servers/ftpd.ts'
import { freePorts } from '../../servers/ports.ts'
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
  /** What each host's line carries in each direction, megabits a second; without a limit when absent. */
  readonly mbit?: number
  /** Of the tools below, by the first word of their names; all when absent. */
  readonly tools?: readonly string[]
  /** How many small files, at every delay. When absent 20,000, and a tenth of that with a delay: peers take a round trip or more for each. */
  readonly files?: number
  readonly rounds?: number
  /** Where the data lies; a folder in memory measures the tools rather than the disk. */
  readonly folder?: string
  readonly print?: (line: string) => void
}

const MEMORY = '/dev/shm'
const CONNECTIONS = 4
/** More than any of the tools has open at a time, and those that were closed just before. */
const DATA_PORTS = 400

/** A peer is stopped when it has taken so many times as long as migrate, and at least so many seconds: at 100 ms some would take hours. */
const STOP_AT = { times: 4, seconds: 20 }

function sets({ quick, files }: FilesBenchOptions, delayMs: number): Readonly<Record<string, Data>> {
  const small = files ?? (quick ? 500 : delayMs === 0 ? 20_000 : 2000)
  const secret = Math.ceil(small / (delayMs === 0 && files === undefined ? 10 : 1))
  const mib = 2 ** 20
  const [several, one] = quick ? [4 * mib, 32 * mib] : [200 * mib, 4096 * mib]
  return {
    small: { name: `${formatCount(small)} files of 8 KiB`, files: small, bytesEach: 8192 },
    large: { name: `10 files of ${several / mib} MiB`, files: 10, bytesEach: several },
    one: { name: `one file of ${one / mib} MiB`, files: 1, bytesEach: one },
    ftps: { name: `${formatCount(secret)} files of 8 KiB over FTPS`, files: secret, bytesEach: 8192 },
  }
}

/**
 * Moves files from one folder to another over SFTP (Debian's sshd) and FTPS (proftpd) on loopback, with snapshot-files and
 * restore-files, and with other tools in two halves. `tc netem` would want a kernel that has it: a proxy lengthens the way, for all alike.
 */
export async function benchFiles(options: FilesBenchOptions): Promise<void> {
  const { quick, delays = quick ? [0, 30] : [0, 30, 100], print = console.log } = options
  const base = options.folder ?? (existsSync(MEMORY) ? MEMORY : tmpdir())
  for (const delayMs of delays) {
    for (const [name, data] of Object.entries(sets(options, delayMs))) {
      if (options.sets !== undefined && !options.sets.includes(name)) continue
      const folder = await mkdtemp(join(base, 'migrate-bench-'))
      try {
        const shared = {
          data,
          delayMs,
          mbit: options.mbit ?? null,
          folder,
          rounds: options.rounds ?? 1,
          stopAt: STOP_AT,
          connections: CONNECTIONS,
          again: name === 'small' || name === 'ftps',
          relay: name === 'small' || name === 'large',
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
  const { folder, delayMs, mbit, print } = shared
  if (sshdMissing !== null) return print(`files over SFTP: skipped, ${sshdMissing}`)
  const [old, fresh] = [await startSshd(), await startSshd()]
  const ways =
    delayMs === 0 && mbit === null
      ? []
      : await Promise.all(
          [old, fresh].map(({ address, port }) => startDelayProxy({ host: address, port }, { roundTripMs: delayMs, mbit })),
        )
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

/** Each way to a data connection is as long: the server's own ports for them are there on the proxy's address, too. */
async function overFtps(shared: Shared, tools: readonly Tool[]): Promise<void> {
  const { folder, delayMs, print } = shared
  if (ftpdMissing !== null) return print(`files over FTPS: skipped, ${ftpdMissing}`)
  const [address, far] = ['127.0.46.1', '127.0.46.2']
  for (const site of ['old', 'new']) mkdirSync(join(folder, site), { recursive: true })
  const passivePorts = await freePorts([address, far], DATA_PORTS)
  const server = await startProftpd({ site: folder, tls: 'explicit', address, passivePorts })
  const ways: DelayProxy[] = []
  try {
    for (const port of delayMs === 0 ? [] : [server.port, ...passivePorts])
      ways.push(await startDelayProxy({ host: address, port }, { roundTripMs: delayMs }, far, port))
    const at = (root: string) => {
      const { port, user, password, fingerprint } = server
      return { address: delayMs === 0 ? address : far, port, user, root, fingerprint, login: { password } }
    }
    await compare({ ...shared, tools, hosts: () => ({ old: at('/old'), new: at('/new') }) })
  } finally {
    for (const way of ways) await way.close()
    await server.stop()
  }
}
