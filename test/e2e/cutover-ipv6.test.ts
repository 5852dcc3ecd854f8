import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bindMissing, type RestartableBind, startBind } from '../servers/bind.ts'
import { dataRoom } from '../servers/copies.ts'
import { freePort } from '../servers/ports.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'
import { startUnbound, type Unbound, unboundMissing } from '../servers/unbound.ts'
import { opensslMissing, selfSigned } from '../servers/web.ts'
import { type Host, onDatabase, openHost, startDatabase } from './cutover/host.ts'
import { hostText } from './cutover/playbook.ts'
import { killAll, startMigrate, story, type WireEvent } from './migrate-process.ts'

const ZONE = 'shop.example'
/** The only one that every machine with IPv6 has: both hosts are on it, with ports of their own. */
const ADDRESS = '::1'
const OLD_CONTENT = '2001:db8::10'
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === ADDRESS))
const missing = hasIpv6 ? (bindMissing ?? unboundMissing ?? sshdMissing ?? opensslMissing) : 'this machine has no IPv6'

const title = `hosts that have IPv6 alone${missing === null ? '' : ` (skipped: ${missing})`}`
describe.skipIf(missing !== null)(title, { timeout: 180_000 }, () => {
  let folder: string
  let ca: string
  let bind: RestartableBind
  let resolver: Unbound
  let hosts: { readonly side: 'old' | 'new'; readonly host: Host; readonly port: number }[]
  beforeAll(async () => {
    folder = mkdtempSync(join(dataRoom, 'migrate-ipv6-'))
    chmodSync(folder, 0o755)
    bind = await startBind({ address: ADDRESS, zone: ZONE, records: [`@ 2 AAAA ${OLD_CONTENT}`, '@ 300 MX 0 .'] })
    resolver = await startUnbound({ address: ADDRESS, zone: ZONE, upstream: bind })
    const pairs = [selfSigned(ZONE, 30), selfSigned(ZONE, 30)]
    ca = join(folder, 'known-authorities.pem')
    writeFileSync(ca, pairs.map(({ cert }) => cert).join('\n'))
    hosts = await Promise.all(
      (['old', 'new'] as const).map(async (side, index) => {
        const [database, ssh, port] = await Promise.all([
          startDatabase(folder, side, ADDRESS),
          startSshd({ address: ADDRESS, readOnly: side === 'old' }),
          freePort(ADDRESS),
        ])
        const pair = pairs[index] ?? selfSigned(ZONE, 30)
        return { side, port, host: await openHost({ folder, side, address: ADDRESS, port, pair }, database, ssh) }
      }),
    )
  })
  afterAll(async () => {
    killAll()
    await Promise.all([...(hosts ?? []).map(({ host }) => host), resolver, bind].map((each) => each?.stop()))
    rmSync(folder, { recursive: true, force: true })
  })

  const of = (side: 'old' | 'new') => {
    const found = hosts.find((each) => each.side === side)
    if (found === undefined) throw new Error(`no ${side} host`)
    return found
  }

  /** An order by HTTPS at a host's address, under the shop's name; its reference. */
  async function buyOn(side: 'old' | 'new'): Promise<string> {
    const reference = randomUUID()
    const body = JSON.stringify({
      email: `${side}@customers.test`,
      name: side,
      reference,
      items: [{ sku: 'TEE-007', quantity: 2 }],
    })
    const status = await new Promise((resolve, reject) => {
      const headers = { host: ZONE, 'user-agent': 'Mozilla/5.0' }
      const where = { host: ADDRESS, port: of(side).port, servername: ZONE, ca: readFileSync(ca) }
      const asking = request({ ...where, method: 'POST', path: '/checkout', headers }, (response) => {
        text(response).then(() => resolve(response.statusCode), reject)
      })
      asking.on('error', reject).end(body)
    })
    expect(status).toBe(201)
    return reference
  }

  const playbook = (): string => `name: ipv6
old:
${hostText(of('old').host, of('old').port, 'OLD')}
new:
${hostText(of('new').host, of('new').port, 'NEW')}
site: https://${ZONE}:${of('new').port}
dns:
  provider: rfc2136
  zone: ${ZONE}
  server: "${bind.endpoint}"
  key: { name: ${bind.key.name}, algorithm: ${bind.key.algorithm}, secret: "\${TSIG_KEY}" }
  nameservers: ["${bind.endpoint}"]
  records:
    - { name: ${ZONE}, type: AAAA, to: "${ADDRESS}" }
steps:
  - check
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities: { window: 1h }
  - rewrite-config:
      - { file: config/shop.json, json: { database: "\${NEW_DATABASE_URL}" } }
  - smoke-test: { paths: ["/", "/checkout"], assets: true }
  - cutover-dns
  - watch-propagation: { resolvers: ["${resolver.endpoint}"], quiet: 2s, ttls: 1, every: 500ms }
  - reconcile
  - report
`

  it('are moved from and to, by AAAA records alone', async () => {
    const path = join(folder, 'ipv6.yml')
    writeFileSync(path, playbook())
    const migrate = startMigrate(['run', path], {
      OLD_DATABASE_URL: of('old').host.databaseUrl,
      NEW_DATABASE_URL: of('new').host.databaseUrl,
      TSIG_KEY: bind.key.secret.reveal(),
      NODE_EXTRA_CA_CERTS: ca,
    })
    const isDone = (step: string) => (event: WireEvent) => event.step === step && event.event === 'done'
    const references: string[] = []
    const customers = (async () => {
      await migrate.until(isDone('bump-identities'))
      references.push(await buyOn('old'))
      await migrate.until(isDone('cutover-dns'))
      references.push(await buyOn('old'), await buyOn('new'))
    })()
    const [run, followed] = await Promise.all([
      migrate.ended,
      customers.then(
        () => 'all bought',
        (error: unknown) => error,
      ),
    ])
    expect(run.exit, story(run)).toBe(0)
    expect(followed).toBe('all bought')
    const looks = run.events.filter(({ event }) => event === 'watch')
    expect(looks.at(-1)).toMatchObject({ resolvers: { agreed: 2, total: 2 }, drained: true })
    expect(looks.some(({ old }) => Number((old as { readonly hitsPerMinute: number }).hitsPerMinute) > 0)).toBe(true)
    expect((await bind.resolver.query(ZONE, 'AAAA')).records.map(({ content }) => content)).toEqual([ADDRESS])
    const found = await onDatabase(of('new').host.databaseUrl, (database) =>
      database.query('SELECT reference FROM orders WHERE reference = ANY($1::uuid[])', [references]),
    )
    expect(found.rows.map(({ reference }) => reference).sort()).toEqual(references.sort())
  })
})
