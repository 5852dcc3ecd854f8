import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { memoryZone, type StoredRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import type { Resolver } from '../../src/dns/port.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { freeDnsPort } from './free-dns-port.ts'

const NAMED = '/usr/sbin/named'
const LOOKS = 200

const has = (program: string, argument: string): boolean => spawnSync(program, [argument]).error === undefined

/** Why a real name server can't be had here; `null` when it can. For the titles of skipped suites. */
export const bindMissing: string | null = !has(NAMED, '-V')
  ? 'bind9 (named) is not installed'
  : !has('nsupdate', '-V')
    ? 'bind9-dnsutils (nsupdate) is not installed'
    : null

export interface Bind {
  readonly address: string
  readonly port: number
  readonly endpoint: string
  readonly pid: number
  readonly resolver: Resolver
  /** Changes the zone by a signed dynamic update (RFC 2136): `update add …`, `update delete …`. All lines or none. */
  update(lines: readonly string[]): Promise<void>
  stop(): Promise<void>
}

export interface BindOptions {
  readonly address?: string
  readonly zone: string
  /** Lines of the zone file besides SOA and NS: `www 300 IN A 192.0.2.1`. */
  readonly records?: readonly string[]
}

/** Debian's named, started for one test on a free port with its own zone, key and folder. */
export async function startBind({ address = '127.0.0.1', zone, records = [] }: BindOptions): Promise<Bind> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-named-'))
  const port = await freeDnsPort(address)
  const secret = randomBytes(32).toString('base64')
  writeFileSync(join(folder, 'zone.db'), zoneFile(records))
  writeFileSync(join(folder, 'named.conf'), configuration({ folder, address, port, zone, secret }))
  const child = spawn(NAMED, ['-g', '-n', '1', '-c', join(folder, 'named.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = (log + String(chunk)).slice(-4000)
  })
  const resolver = measureResolver({ address, port }, { clock: systemClock, timeoutMs: 1000 })
  await untilAnswers(resolver, zone, child, () => log)
  return {
    address,
    port,
    endpoint: `${address}:${port}`,
    pid: child.pid ?? 0,
    resolver,
    update: (lines) => nsupdate({ address, port, zone, secret, lines }),
    stop: async () => {
      await stopChild(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const zoneFile = (records: readonly string[]): string =>
  ['$TTL 300', '@ IN SOA ns1 hostmaster 1 3600 600 86400 45', '@ IN NS ns1', 'ns1 IN A 127.0.0.1', ...records, ''].join('\n')

interface Settings {
  readonly folder: string
  readonly address: string
  readonly port: number
  readonly zone: string
  readonly secret: string
}

const configuration = ({ folder, address, port, zone, secret }: Settings): string => `
options {
  directory "${folder}";
  pid-file "${join(folder, 'pid')}";
  session-keyfile "${join(folder, 'session.key')}";
  managed-keys-directory "${folder}";
  listen-on port ${port} { ${address}; };
  listen-on-v6 { none; };
  recursion no;
  allow-transfer { none; };
  notify no;
  dnssec-validation no;
};
controls { };
key "test" { algorithm hmac-sha256; secret "${secret}"; };
zone "${zone}" { type primary; file "${join(folder, 'zone.db')}"; allow-update { key "test"; }; };
`

async function untilAnswers(resolver: Resolver, zone: string, child: ChildProcess, log: () => string): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const answer = await resolver.query(zone, 'SOA')
    if (answer.status === 'NOERROR') return
    if (child.exitCode !== null) break
    await wait(50)
  }
  await stopChild(child)
  throw new Error(`named did not start:\n${log()}`)
}

async function nsupdate({
  address,
  port,
  zone,
  secret,
  lines,
}: Omit<Settings, 'folder'> & { readonly lines: readonly string[] }): Promise<void> {
  const child = spawn('nsupdate', ['-y', `hmac-sha256:test:${secret}`], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    output += String(chunk)
  })
  child.stdin.end([`server ${address} ${port}`, `zone ${zone}`, ...lines, 'send', ''].join('\n'))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`nsupdate failed: ${output}`)
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await ended
}

/** A zone whose records a Cloudflare-shaped API keeps and a real name server publishes. */
export const bindZone = (bind: Bind, zone: string, records: readonly StoredRecord[]): ZoneStore =>
  memoryZone(zone, records, async (before, after) => {
    const gone = before.filter((record) => !after.some((next) => sameAnswer(record, next)))
    const fresh = after.filter((record) => !before.some((old) => sameAnswer(record, old)))
    const lines = [
      ...gone.map(({ name, type, content }) => `update delete ${name}. ${type} ${rdata(type, content)}`),
      ...fresh.map(
        ({ name, type, content, ttl }) => `update add ${name}. ${ttl === 1 ? 300 : ttl} ${type} ${rdata(type, content)}`,
      ),
    ]
    if (lines.length > 0) await bind.update(lines)
  })

/** The lines of a zone file for these records. */
export const zoneLines = (records: readonly StoredRecord[]): readonly string[] =>
  records.map(({ name, type, content, ttl }) => `${name}. ${ttl === 1 ? 300 : ttl} IN ${type} ${rdata(type, content)}`)

const rdata = (type: string, content: string): string =>
  type === 'CNAME' ? `${content}.` : type === 'TXT' ? `"${content}"` : content

const sameAnswer = (a: StoredRecord, b: StoredRecord): boolean =>
  a.name === b.name && a.type === b.type && a.content === b.content && a.ttl === b.ttl
