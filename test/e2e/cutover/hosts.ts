import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bind, bindMissing, startBind } from '../../servers/bind.ts'
import { dataRoom } from '../../servers/copies.ts'
import { type Pebble, pebbleMissing, startPebble } from '../../servers/pebble.ts'
import { freePorts } from '../../servers/ports.ts'
import { sshdMissing, startSshd } from '../../servers/sshd.ts'
import { startUnbound, type Unbound, unboundMissing } from '../../servers/unbound.ts'
import { opensslMissing, selfSigned } from '../../servers/web.ts'
import { type Host, openHost, startDatabase } from './host.ts'

/** Why this can't be played here; `null` when it can. */
export const cutoverMissing: string | null =
  bindMissing ?? unboundMissing ?? sshdMissing ?? pebbleMissing ?? opensslMissing ?? null

export const ZONE = 'shop.example'
export const OLD_ADDRESS = '127.0.34.10'
export const NEW_ADDRESS = '127.0.34.20'

/** Seconds: as the records stand, and as one resolver keeps every answer at least. */
export const OLD_TTL_SECONDS = 8
export const CLAMP_SECONDS = 8

export interface CutoverScene {
  readonly folder: string
  readonly old: Host
  readonly new: Host
  /** Both shops listen on it: an address in DNS has no room for a port. */
  readonly port: number
  readonly bind: Bind
  readonly pebble: Pebble
  /** One that does as told, one that keeps answers for longer than told, one that believes only what is signed. */
  readonly resolvers: readonly [plain: Unbound, clamping: Unbound, validating: Unbound]
  /** PEM file of what browsers know: the authority, and the old host's certificate. */
  readonly ca: string
  stop(): Promise<void>
}

const RECORDS = [
  `@ ${OLD_TTL_SECONDS} A ${OLD_ADDRESS}`,
  `www ${OLD_TTL_SECONDS} CNAME @`,
  `* ${OLD_TTL_SECONDS} A ${OLD_ADDRESS}`,
  'mail 300 A 127.0.34.9',
  '@ 300 MX 10 mail',
]

/** Two hosts in full, and the internet between them and their customers; every server is a real one. */
export async function startCutoverScene(): Promise<CutoverScene> {
  const folder = mkdtempSync(join(dataRoom, 'migrate-cutover-'))
  // The database servers run under another account than root, which must be let through.
  chmodSync(folder, 0o755)
  const bind = await startBind({
    zone: ZONE,
    records: RECORDS,
    zoneOptions: 'dnssec-policy default; inline-signing yes;',
  })
  const unbound = (address: string, more: object = {}): Promise<Unbound> =>
    startUnbound({ address, zone: ZONE, upstream: bind, ...more })
  const [pebble, plain, clamping, validating, databases, sshds, [port = 0]] = await Promise.all([
    startPebble(bind.endpoint),
    unbound('127.0.34.101'),
    unbound('127.0.34.102', { minimumTtlSeconds: CLAMP_SECONDS }),
    unbound('127.0.34.103', { trustAnchor: anchorOf(bind) }),
    Promise.all([startDatabase(folder, 'old', OLD_ADDRESS), startDatabase(folder, 'new', NEW_ADDRESS)]),
    Promise.all([startSshd({ address: OLD_ADDRESS, readOnly: true }), startSshd({ address: NEW_ADDRESS })]),
    freePorts([OLD_ADDRESS, NEW_ADDRESS], 1),
  ])
  const oldCertificate = selfSigned(ZONE, 30)
  const old = await openHost({ folder, side: 'old', address: OLD_ADDRESS, port, pair: oldCertificate }, databases[0], sshds[0])
  // What a control panel gives to a new account: for no name that customers know.
  const fresh = selfSigned('localhost', 30)
  const next = await openHost({ folder, side: 'new', address: NEW_ADDRESS, port, pair: fresh }, databases[1], sshds[1])
  const ca = join(folder, 'known-authorities.pem')
  writeFileSync(ca, `${oldCertificate.cert}\n${pebble.root}`)
  return {
    ...{ folder, old, new: next, port, bind, pebble, ca },
    resolvers: [plain, clamping, validating],
    async stop() {
      await Promise.all([old, next, plain, clamping, validating, pebble].map((each) => each.stop()))
      await bind.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The zone's own key, as named keeps it beside the zone. */
function anchorOf({ folder }: Bind): string {
  const file = readdirSync(folder).find((name) => /^K.*\.key$/.test(name))
  if (file === undefined) throw new Error(`named made no key in ${folder}`)
  return join(folder, file)
}
