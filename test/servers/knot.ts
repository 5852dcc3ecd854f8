import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answering, type Bind, type BindOptions, newKey, zoneFile } from './bind.ts'
import { freePort } from './ports.ts'

const KNOTD = '/usr/sbin/knotd'

/** Why Knot can't be had here; `null` when it can. For the titles of skipped suites. */
export const knotMissing: string | null =
  spawnSync(KNOTD, ['--version']).error !== undefined
    ? 'knot (knotd) is not installed'
    : spawnSync('nsupdate', ['-V']).error !== undefined
      ? 'bind9-dnsutils (nsupdate) is not installed'
      : null

/** Debian's knotd, started for one test on a free port with its own zone, keys and folder. */
export async function startKnot(options: BindOptions): Promise<Bind> {
  const { address = '127.0.0.1', zone, records = [], algorithm = 'hmac-sha256', zoneOptions = '' } = options
  const folder = mkdtempSync(join(tmpdir(), 'migrate-knotd-'))
  const port = await freePort(address)
  const [key, reader] = [newKey('test', algorithm), newKey('reader', algorithm)]
  writeFileSync(join(folder, 'zone.db'), zoneFile(records))
  writeFileSync(
    join(folder, 'knot.conf'),
    `
server:
  rundir: ${folder}
  listen: ${address}@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: ${folder}
key:
${[key, reader].map((each) => `  - id: ${each.name}\n    algorithm: ${each.algorithm}\n    secret: ${each.secret.reveal()}`).join('\n')}
acl:
  - id: update
    key: test
    action: update
  - id: transfer
    key: reader
    action: transfer
zone:
  - domain: ${zone}
    storage: ${folder}
    file: zone.db
    journal-content: changes
    acl: [update, transfer]
    ${zoneOptions}
`,
  )
  const child = spawn(KNOTD, ['-c', join(folder, 'knot.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
  return await answering(child, { address, port, zone, folder, key, reader })
}
