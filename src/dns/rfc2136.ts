import type { Clock } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import { canonicalName } from './names.ts'
import type { DnsProvider, DnsRecord, RecordChange } from './port.ts'
import { type Endpoint, unreachable, unsignedAnswer, updateRefusalOf } from './rfc2136-errors.ts'
import { exchange } from './rfc2136-exchange.ts'
import { ask, readRecords } from './rfc2136-records.ts'
import { textPower } from './rfc2136-texts.ts'
import type { TsigKey } from './rfc2136-tsig.ts'
import { updateOf, wire } from './rfc2136-update.ts'
import { CLASSES, decodeData, TYPES } from './rfc2136-wire.ts'
import { namesIn, outstanding, ReadBack } from './standing.ts'

export interface Rfc2136Options {
  readonly zone: string
  /** The zone's primary name server: a name or an address. */
  readonly server: { readonly host: string; readonly port: number }
  readonly key: TsigKey
  readonly clock: Clock
  /** The names and types that will change: `check` asks whether the key may change these. */
  readonly records?: readonly Pick<DnsRecord, 'name' | 'type'>[]
  /** For one exchange, milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
const UPDATE_TASK = 'change the records'

/**
 * A zone on a name server of one's own, changed by dynamic updates (RFC 2136) signed with TSIG (RFC 8945). Every answer's signature
 * is verified, questions included. An update carries what was seen as prerequisites, so the server itself refuses it when somebody
 * else was there in between. Further codes: `dns-key-rejected`, `dns-time-rejected`, `dns-answer-unsigned`.
 */
export function rfc2136Provider(options: Rfc2136Options): DnsProvider {
  const { server, key, clock, timeoutMs = TIMEOUT_MS, records = [] } = options
  const zone = canonicalName(options.zone)
  const endpoint: Endpoint = {
    zone,
    server: `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`,
    primary: { ...server, key: { ...key, name: canonicalName(key.name) }, clock, timeoutMs },
  }
  const seen = new ReadBack(zone)
  return {
    label: `${zone} on ${endpoint.server}`,
    manual: false,
    check: async (signal) => {
      try {
        await ask(endpoint, zone, 'SOA', signal)
        await mayUpdate(endpoint, records, signal)
        return [...weakKey(endpoint), ready(endpoint)]
      } catch (error) {
        if (!(error instanceof MigrateError)) throw error
        return [{ severity: 'error', code: error.code, message: error.message, hint: error.hint }]
      }
    },
    records: (names, signal) => readRecords(endpoint, [...new Set(names.map(canonicalName))], signal),
    nameServers: async (signal) => {
      const { bytes, message } = await ask(endpoint, zone, 'NS', signal)
      return message.answers.flatMap((record) => (record.type === TYPES.NS ? (decodeData(bytes, record) ?? []) : []))
    },
    apply: (changes, signal) => apply({ endpoint, seen, signal }, changes),
    texts: textPower(endpoint),
    close: () => Promise.resolve(),
  }
}

interface Applying {
  readonly endpoint: Endpoint
  readonly seen: ReadBack
  readonly signal: AbortSignal | undefined
}

async function apply({ endpoint, seen, signal }: Applying, changes: readonly RecordChange[]): Promise<void> {
  const names = namesIn(changes)
  const read = () => seen.read(() => readRecords(endpoint, names, signal))
  const current = await read()
  seen.settled()
  const todo = outstanding(changes, current)
  if (todo.length === 0) return
  const doubt = await send(endpoint, updateOf(endpoint.zone, todo, current), signal)
  seen.sent()
  await readBack(changes, read, { endpoint, signal, doubt })
  seen.settled()
}

/** Returns what is to be said when the changes don't stand; throws when they were refused or never left. */
async function send(
  endpoint: Endpoint,
  update: ReturnType<typeof updateOf>,
  signal: AbortSignal | undefined,
): Promise<MigrateError> {
  const answer = await exchange(endpoint.primary, update, signal)
  if (answer.kind !== 'answered') {
    if (answer.kind === 'unsent') throw unreachable(endpoint, answer, UPDATE_TASK, 'Nothing was changed.')
    const effect = 'Whether the change was made is read back before anything is repeated.'
    return unreachable(endpoint, answer, UPDATE_TASK, effect)
  }
  const refused = updateRefusalOf(answer, endpoint, UPDATE_TASK)
  if (refused !== undefined) throw refused
  return answer.verdict.verified ? notStanding(endpoint) : unsignedAnswer(endpoint, UPDATE_TASK)
}

const LOOKS = 5
const FIRST_REST_MS = 500

interface Doubt {
  readonly endpoint: Endpoint
  readonly signal: AbortSignal | undefined
  readonly doubt: MigrateError
}

/** Returns once the changes stand; throws `doubt` when they don't after some seconds. Nothing is sent a second time. */
async function readBack(
  changes: readonly RecordChange[],
  read: () => Promise<readonly DnsRecord[]>,
  { endpoint, signal, doubt }: Doubt,
): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    if (look > 0) await endpoint.primary.clock.sleep(FIRST_REST_MS * 2 ** (look - 1), signal)
    const current = await read().catch((error: unknown) => {
      // The server that lost the answer may be away for a moment longer.
      if (error instanceof MigrateError && error.code === 'dns-unreachable' && look < LOOKS - 1) return undefined
      throw error
    })
    if (current !== undefined && outstanding(changes, current).length === 0) return
  }
  throw doubt
}

const notStanding = ({ zone, server }: Endpoint): MigrateError =>
  new MigrateError(
    'dns-failed',
    `The name server ${server} accepted the changes to ${zone}, but they don't stand when read back.`,
    {
      hint: 'Is it the primary? A record of another type at the same name may also forbid them. Run again: what stands is left alone.',
      retrySafe: true,
    },
  )

/** Contents that no record has: "this host on this network" (RFC 1122, 3.2.1.3), unspecified, and a name that never exists (RFC 6761, 6.4). */
const NOWHERE = { A: '0.0.0.0', AAAA: '::', CNAME: 'invalid' } as const

/**
 * Throws unless the key may change the records. Asked by an update that takes away what isn't there, so that nothing is written: a
 * server that decides by name and type (BIND's update-policy) would let an empty one pass.
 */
async function mayUpdate(
  endpoint: Endpoint,
  records: NonNullable<Rfc2136Options['records']>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const task = `let the records be changed`
  const answer = await exchange(
    endpoint.primary,
    {
      opcode: 'update',
      question: { name: endpoint.zone, type: TYPES.SOA },
      authorities: records.map(({ name, type }) =>
        wire({ name: canonicalName(name), type, content: NOWHERE[type] }, CLASSES.NONE, 0),
      ),
    },
    signal,
  )
  if (answer.kind !== 'answered') throw unreachable(endpoint, answer, task, 'Nothing was changed.')
  const refused = updateRefusalOf(answer, endpoint, task)
  if (refused !== undefined) throw refused
  if (!answer.verdict.verified) throw unsignedAnswer(endpoint, task)
}

const ready = ({ zone, server, primary }: Endpoint): Finding => ({
  severity: 'info',
  code: 'dns-ready',
  message: `The name server ${server} answers for ${zone}, and the key ${primary.key.name} may change its records.`,
})

const weakKey = ({ primary }: Endpoint): readonly Finding[] =>
  primary.key.algorithm === 'hmac-sha1'
    ? [
        {
          severity: 'warning',
          code: 'dns-key-weak',
          message: `The key ${primary.key.name} is for hmac-sha1, which is no longer recommended (RFC 8945, 6).`,
          hint: 'Make a new one for hmac-sha256 (tsig-keygen, keymgr -t) when you have the time; it works as it is.',
        },
      ]
    : []
