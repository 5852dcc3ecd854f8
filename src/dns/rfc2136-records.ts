import limit from 'p-limit'
import { MigrateError } from '../base/errors.ts'
import { wildcardsFor } from './names.ts'
import type { DnsRecord } from './port.ts'
import { type Endpoint, rcodeOf, refusalOf, unreachable, unsignedAnswer } from './rfc2136-errors.ts'
import { type Answered, exchange } from './rfc2136-exchange.ts'
import { wire } from './rfc2136-update.ts'
import { CLASSES, decodeData, type Message, TYPES } from './rfc2136-wire.ts'

const RECORD_TYPES = ['A', 'AAAA', 'CNAME'] as const
/** Connections to the primary at a time. */
const SIDE_BY_SIDE = 4
const UNTOUCHED = 'Nothing was changed.'

/** One signed question to the primary; throws for all that is no signed, authoritative answer. */
export async function ask(
  endpoint: Endpoint,
  name: string,
  type: Exclude<keyof typeof TYPES, 'TSIG' | 'ANY'>,
  signal?: AbortSignal,
): Promise<Answered> {
  const task = `read the ${type} records of ${name}`
  const answer = await exchange(endpoint.primary, { opcode: 'query', question: { name, type: TYPES[type] } }, signal)
  if (answer.kind !== 'answered') throw unreachable(endpoint, answer, task, UNTOUCHED)
  // "No such name" is an answer.
  const refused = rcodeOf(answer) === 'NXDOMAIN' ? undefined : refusalOf(answer, endpoint, task)
  if (refused !== undefined) throw refused
  if (!answer.verdict.verified) throw unsignedAnswer(endpoint, task)
  if (!answer.message.isAuthoritative || answer.message.isTruncated) throw notInCharge(endpoint, answer.message)
  return answer
}

const notInCharge = ({ zone, server }: Endpoint, { isTruncated }: Message): MigrateError =>
  isTruncated
    ? new MigrateError('dns-failed', `The name server ${server} cut its answer short, also over TCP. ${UNTOUCHED}`)
    : new MigrateError('dns-zone-missing', `The name server ${server} answers for ${zone} only at second hand. ${UNTOUCHED}`, {
        hint: 'Correct dns.zone, or give in dns.server the primary name server of the zone.',
      })

/** What the primary says of these names, in any order; names that a wildcard answers for have no records of their own. */
export async function readRecords(
  endpoint: Endpoint,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<readonly DnsRecord[]> {
  const above = names.flatMap((name) => wildcardsFor(name, endpoint.zone)).filter((wildcard) => !names.includes(wildcard))
  const slots = limit(SIDE_BY_SIDE)
  const questions = [...new Set([...names, ...above])].flatMap((name) => RECORD_TYPES.map((type) => ({ name, type })))
  const found = (
    await Promise.all(
      questions.map(({ name, type }) => slots(async () => recordsIn(await ask(endpoint, name, type, signal), name, type))),
    )
  ).flat()
  const doubtful = names.filter((name) => looksSynthesised(name, found, endpoint.zone))
  const synthesised = new Set<string>()
  for (const name of doubtful) if (!(await hasOwn(endpoint, name, found, signal))) synthesised.add(name)
  return found.filter((record) => names.includes(record.name) && !synthesised.has(record.name))
}

function recordsIn({ bytes, message }: Answered, name: string, type: DnsRecord['type']): readonly DnsRecord[] {
  return message.answers
    .filter((record) => record.name === name && record.type === TYPES[type] && record.class === CLASSES.IN)
    .map((record) => ({
      name,
      type,
      content: decodeData(bytes, record) ?? '',
      ttlSeconds: record.ttl,
      proxied: false,
      id: null,
    }))
}

/** The same answers for the name and for a wildcard above it: either may be meant (RFC 4592, 2.2.1). */
function looksSynthesised(name: string, found: readonly DnsRecord[], zone: string): boolean {
  const said = (of: string): string =>
    found
      .filter((record) => record.name === of)
      .map(({ type, content, ttlSeconds }) => `${type} ${content} ${ttlSeconds}`)
      .sort()
      .join()
  return said(name) !== '' && wildcardsFor(name, zone).some((wildcard) => said(wildcard) === said(name))
}

/**
 * Asks by an update that only has a prerequisite and therefore writes nothing: prerequisites know no wildcards (RFC 2136, 2.4.2).
 * Where the key may not even ask so, the records are taken for the name's own.
 */
async function hasOwn(
  endpoint: Endpoint,
  name: string,
  found: readonly DnsRecord[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const [first] = found.filter((record) => record.name === name)
  const set = found.filter((record) => record.name === name && record.type === first?.type)
  const answer = await exchange(
    endpoint.primary,
    {
      opcode: 'update',
      question: { name: endpoint.zone, type: TYPES.SOA },
      answers: set.map((record) => wire(record, CLASSES.IN, 0)),
    },
    signal,
  )
  return answer.kind !== 'answered' || !answer.verdict.verified || rcodeOf(answer) !== 'NXRRSET'
}
