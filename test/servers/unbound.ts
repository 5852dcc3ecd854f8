import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import type { Resolver } from '../../src/dns/port.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { LOOKS, PATIENCE_MS, stopChild } from './bind.ts'
import { freePort } from './ports.ts'

const UNBOUND = '/usr/sbin/unbound'

/** Why a real caching resolver can't be had here; `null` when it can. For the titles of skipped suites. */
export const unboundMissing: string | null = spawnSync(UNBOUND, ['-V']).error === undefined ? null : 'unbound is not installed'

export interface Unbound {
  readonly address: string
  readonly port: number
  readonly endpoint: string
  readonly pid: number
  readonly resolver: Resolver
  stop(): Promise<void>
}

export interface UnboundOptions {
  readonly address?: string
  readonly zone: string
  /** The zone's name server. */
  readonly upstream: { readonly address: string; readonly port: number }
  /** Keeps answers at least so long, seconds, as some providers' resolvers do. */
  readonly minimumTtlSeconds?: number
  /** Believes only what is validly signed under this key: a file with the zone's DNSKEY or DS record. */
  readonly trustAnchor?: string
}

/** Debian's unbound, started for one test as a caching resolver for one zone. */
export async function startUnbound({
  address = '127.0.0.1',
  zone,
  upstream,
  minimumTtlSeconds = 0,
  trustAnchor,
}: UnboundOptions): Promise<Unbound> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-unbound-'))
  const port = await freePort(address)
  const file = join(folder, 'unbound.conf')
  writeFileSync(
    file,
    `
server:
  directory: "${folder}"
  pidfile: "${join(folder, 'pid')}"
  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: ${address}@${port}
  access-control: 127.0.0.0/8 allow
  access-control: ::1/128 allow
  do-ip6: ${address.includes(':') ? 'yes' : 'no'}
  do-not-query-localhost: no
  module-config: "${trustAnchor === undefined ? '' : 'validator '}iterator"
  ${trustAnchor === undefined ? '' : `trust-anchor-file: "${trustAnchor}"`}
  cache-min-ttl: ${minimumTtlSeconds}
  local-zone: "${zone}." nodefault
stub-zone:
  name: "${zone}."
  stub-addr: ${upstream.address}@${upstream.port}
  stub-prime: no
remote-control:
  control-enable: no
`,
  )
  const child = spawn(UNBOUND, ['-d', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk) => {
    log = (log + String(chunk)).slice(-4000)
  })
  const first = measureResolver({ address, port }, { clock: systemClock, timeoutMs: 1000 })
  const resolver = measureResolver({ address, port }, { clock: systemClock, timeoutMs: PATIENCE_MS })
  for (let look = 0; look < LOOKS; look += 1) {
    // A name that no test asks for, so that no answer is cached before the test begins. It exists where the zone has a wildcard.
    if (/^(?:NXDOMAIN|NOERROR)$/.test((await first.query(`started.${zone}`, 'TXT')).status)) {
      return {
        address,
        port,
        endpoint: `${address.includes(':') ? `[${address}]` : address}:${port}`,
        pid: child.pid ?? 0,
        resolver,
        stop: async () => {
          await stopChild(child)
          rmSync(folder, { recursive: true, force: true })
        },
      }
    }
    if (child.exitCode !== null) break
    await wait(50)
  }
  await stopChild(child)
  throw new Error(`unbound did not start:\n${log}`)
}
