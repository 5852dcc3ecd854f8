import type { DigResult } from 'node-dig-dns'
import type { Clock } from '../base/clock.ts'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'
import { canonicalContent, canonicalName, formatServerAddress, type ServerAddress } from './names.ts'
import type { DnsAnswer, Resolver } from './port.ts'

export interface DigOptions {
  readonly clock: Clock
  readonly label?: string
  /** For one try; dig counts whole seconds. */
  readonly timeoutMs?: number
  readonly tries?: number
  /** The program; `dig` on the PATH when absent. */
  readonly program?: string
}

const TIMEOUT_MS = 2000
const TRIES = 3

/**
 * The same question asked through the `dig` program: a second opinion that shares no code with `measureResolver`. Slower (a
 * process per question). Throws MigrateError `dig-missing` when the program isn't installed; otherwise only what the caller's
 * signal aborts with.
 */
export function digResolver(server: ServerAddress, options: DigOptions): Resolver {
  const {
    clock,
    label = `${formatServerAddress(server)} (dig)`,
    timeoutMs = TIMEOUT_MS,
    tries = TRIES,
    program = 'dig',
  } = options
  return {
    label,
    query: async (name, type, signal) => {
      const question = canonicalName(name)
      signal?.throwIfAborted()
      const start = clock.monotonic()
      const seconds = Math.max(1, Math.ceil(timeoutMs / 1000))
      const args = [...argumentsFor(server, question, type), `+time=${seconds}`, `+tries=${tries}`]
      const first = await abortable(runDig(args, program), signal)
      // Left to itself, dig says that it goes over to TCP before the header, where the package no longer finds it.
      const result = flagsOf(first).includes('tc') ? await abortable(runDig([...args, '+tcp'], program), signal) : first
      return toAnswer(result, type, clock.monotonic() - start)
    },
  }
}

/** The options stop dig from adding search domains, sending a cookie or EDNS to servers that drop them, and retrying over TCP. */
const argumentsFor = ({ address, port }: ServerAddress, name: string, type: string): readonly string[] => [
  `@${address}`,
  '-p',
  String(port),
  '+nosearch',
  '+noedns',
  '+nocookie',
  '+ignore',
  '-q',
  name,
  '-t',
  type,
]

/** Why there can be no second opinion here; `null` when dig is installed. */
export async function digMissing(program = 'dig'): Promise<string | null> {
  try {
    await runDig(['-v'], program)
    return null
  } catch (error) {
    if (error instanceof MigrateError) return error.message
    throw error
  }
}

async function runDig(args: readonly string[], program: string): Promise<DigResult | undefined> {
  const { default: dig } = await import('node-dig-dns')
  try {
    return await dig(args, { dig: program })
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new MigrateError('dig-missing', 'The second opinion on DNS needs the program dig, which is not installed here.', {
        hint: 'Install it (Debian: apt-get install bind9-dnsutils) or go on without it.',
        cause: error,
      })
    }
    // Too few lines to be an answer: dig said why it had none.
    return { header: [[messageOf(error)]] }
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

const headerOf = (result: DigResult | undefined): string => (result?.header ?? []).map((line) => line.join('\t')).join('\n')

const flagsOf = (result: DigResult | undefined): readonly string[] =>
  /flags: ([a-z ]*);/.exec(headerOf(result))?.[1]?.split(' ') ?? []

function toAnswer(result: DigResult | undefined, type: string, milliseconds: number): DnsAnswer {
  const header = headerOf(result)
  const status = /status: ([A-Z0-9]+)/.exec(header)?.[1]
  if (status === undefined)
    return { status: failureOf(header), authoritative: false, records: [], negativeTtlSeconds: null, milliseconds }
  const records = (result?.answer ?? []).flatMap(toRecord)
  return {
    status,
    authoritative: flagsOf(result).includes('aa'),
    records,
    negativeTtlSeconds: records.some((record) => record.type === type) ? null : negativeTtl(result?.authority ?? []),
    milliseconds,
  }
}

/** dig writes what went wrong as a comment and exits; the package hands that over as if it were the answer. */
const failureOf = (text: string): string => {
  if (/timed out|no servers could be reached/.test(text) && !/refused|unreachable/.test(text)) return 'TIMEOUT'
  return /refused|unreachable/.test(text) ? 'UNREACHABLE' : 'MALFORMED'
}

function toRecord(record: NonNullable<DigResult['answer']>[number]): DnsAnswer['records'] {
  const { domain, type, ttl, value } = record
  if (domain === undefined || type === undefined || ttl === undefined || domain.startsWith(';') || !/^\d+$/.test(ttl)) return []
  const content = type === 'TXT' ? String(value).replaceAll('" "', '') : canonicalContent(type, String(value))
  return [
    {
      name: domain.replace(/\.$/, '').toLowerCase(),
      type,
      content: type === 'SOA' ? soaText(content) : content,
      ttlSeconds: Number(ttl),
    },
  ]
}

const soaText = (content: string): string =>
  content
    .split(' ')
    .map((part) => part.replace(/\.$/, ''))
    .join(' ')

/** RFC 2308, 5. A line of the section is: name, TTL, class, type, then the SOA's seven fields. */
function negativeTtl(authority: readonly (readonly string[])[]): number | null {
  const soa = authority.find((fields) => fields[3] === 'SOA')
  const ttl = Number(soa?.[1])
  const minimum = Number(soa?.[10])
  return Number.isInteger(ttl) && Number.isInteger(minimum) ? Math.min(ttl, minimum) : null
}
