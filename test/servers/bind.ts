import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { memoryZone, type StoredRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import type { Resolver } from '../../src/dns/port.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import type { TsigKey } from '../../src/dns/rfc2136-tsig.ts'
import { freePort } from './ports.ts'

const NAMED = '/usr/sbin/named'
/** With 50 ms between them, at least: a machine may be busy with other tests. */
export const LOOKS = 1200
/** For an answer, in each of several tries. */
export const PATIENCE_MS = 5000

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
  /** May change the zone. */
  readonly key: TsigKey
  /** May not. */
  readonly reader: TsigKey
  /** The folder with its zone file and configuration. */
  readonly folder: string
  /** Changes the zone by a signed dynamic update (RFC 2136): `update add …`, `update delete …`. All lines or none. */
  update(lines: readonly string[]): Promise<void>
  stop(): Promise<void>
}

/** One that can be killed, and started again over what it has on disk. */
export interface RestartableBind extends Bind {
  crash(): Promise<void>
  restart(): Promise<void>
}

export interface BindOptions {
  readonly address?: string
  readonly zone: string
  /** Lines of the zone file besides SOA and NS: `www 300 IN A 192.0.2.1`. */
  readonly records?: readonly string[]
  /** Of the zone's NS record; `ns1` in the zone when absent. */
  readonly nameServer?: string
  readonly algorithm?: TsigKey['algorithm']
  /** Further lines of the zone's part of the configuration: `dnssec-policy default; inline-signing yes;`. */
  readonly zoneOptions?: string
}

/** Debian's named, started for one test on a free port with its own zone, key and folder. */
export async function startBind(options: BindOptions): Promise<RestartableBind> {
  const { address = '127.0.0.1', zone, records = [], nameServer = 'ns1', algorithm = 'hmac-sha256', zoneOptions = '' } = options
  const folder = mkdtempSync(join(tmpdir(), 'migrate-named-'))
  const port = await freePort(address)
  const key = newKey('test', algorithm)
  const reader = newKey('reader', algorithm)
  writeFileSync(join(folder, 'zone.db'), zoneFile(records, nameServer))
  writeFileSync(join(folder, 'named.conf'), configuration({ folder, address, port, zone, keys: [key, reader], zoneOptions }))
  const start = async (): Promise<Bind> => {
    const child = spawn(NAMED, ['-g', '-n', '1', '-c', join(folder, 'named.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
    stopPresent = () => stopChild(child)
    return await answering(child, { address, port, zone, folder, key, reader })
  }
  let stopPresent: () => Promise<void> = () => Promise.resolve()
  return {
    ...(await start()),
    crash: () => stopPresent(),
    restart: async () => {
      await start()
    },
    stop: async () => {
      await stopPresent()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Started {
  readonly address: string
  readonly port: number
  readonly zone: string
  readonly folder: string
  readonly key: TsigKey
  readonly reader: TsigKey
}

/** A name server that was started, once it answers for its zone. Throws with what it said when it doesn't. */
export async function answering(child: ChildProcess, { address, port, zone, folder, key, reader }: Started): Promise<Bind> {
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = (log + String(chunk)).slice(-4000)
  })
  await untilAnswers(measureResolver({ address, port }, { clock: systemClock, timeoutMs: 1000 }), zone, child, () => log)
  const resolver = measureResolver({ address, port }, { clock: systemClock, timeoutMs: PATIENCE_MS })
  return {
    address,
    port,
    endpoint: `${address.includes(':') ? `[${address}]` : address}:${port}`,
    pid: child.pid ?? 0,
    resolver,
    key,
    reader,
    folder,
    update: (lines) => nsupdate({ address, port, zone, key, lines }),
    stop: async () => {
      await stopChild(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A key as `tsig-keygen` would make it. */
export const newKey = (name: string, algorithm: TsigKey['algorithm']): TsigKey => ({
  name,
  algorithm,
  secret: new Secret(randomBytes(32).toString('base64')),
})

/** A zone file with these lines besides SOA and NS. */
export const zoneFile = (records: readonly string[], nameServer = 'ns1'): string =>
  ['$TTL 300', '@ IN SOA ns1 hostmaster 1 3600 600 86400 45', `@ IN NS ${nameServer}`, 'ns1 IN A 127.0.0.1', ...records, ''].join(
    '\n',
  )

interface Settings {
  readonly folder: string
  readonly address: string
  readonly port: number
  readonly zone: string
  readonly keys: readonly TsigKey[]
  readonly zoneOptions: string
}

const configuration = ({ folder, address, port, zone, keys, zoneOptions }: Settings): string => `
options {
  directory "${folder}";
  pid-file "${join(folder, 'pid')}";
  session-keyfile "${join(folder, 'session.key')}";
  managed-keys-directory "${folder}";
  ${address.includes(':') ? `listen-on { none; }; listen-on-v6 port ${port} { ${address}; };` : `listen-on port ${port} { ${address}; }; listen-on-v6 { none; };`}
  recursion no;
  allow-transfer { none; };
  notify no;
  dnssec-validation no;
};
controls { };
${keys.map(({ name, algorithm, secret }) => `key "${name}" { algorithm ${algorithm}; secret "${secret.reveal()}"; };`).join('\n')}
zone "${zone}" {
  type primary;
  file "${join(folder, 'zone.db')}";
  ${zoneOptions.includes('update-policy') ? '' : 'allow-update { key "test"; };'}
  ${zoneOptions}
};
`

async function untilAnswers(resolver: Resolver, zone: string, child: ChildProcess, log: () => string): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const answer = await resolver.query(zone, 'SOA')
    if (answer.status === 'NOERROR') return
    if (child.exitCode !== null) break
    await wait(50)
  }
  await stopChild(child)
  throw new Error(`the name server did not start:\n${log()}`)
}

async function nsupdate({
  address,
  port,
  zone,
  key,
  lines,
}: Pick<Settings, 'address' | 'port' | 'zone'> & {
  readonly key: TsigKey
  readonly lines: readonly string[]
}): Promise<void> {
  const child = spawn('nsupdate', ['-y', `${key.algorithm}:${key.name}:${key.secret.reveal()}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
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
  type === 'CNAME' ? `${content}.` : type === 'TXT' && !content.startsWith('"') ? `"${content}"` : content

const sameAnswer = (a: StoredRecord, b: StoredRecord): boolean =>
  a.name === b.name && a.type === b.type && a.content === b.content && a.ttl === b.ttl
