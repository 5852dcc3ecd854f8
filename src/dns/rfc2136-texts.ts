import { canonicalName } from './names.ts'
import type { TextPower } from './port.ts'
import { type Endpoint, unreachable, unsignedAnswer, updateRefusalOf } from './rfc2136-errors.ts'
import { exchange } from './rfc2136-exchange.ts'
import { CLASSES, TYPES, type WireRecord } from './rfc2136-wire.ts'

const TTL_SECONDS = 60
/** One character-string (RFC 1035, 3.3). */
const LONGEST_PIECE = 255
const TASK = 'change a TXT record'

/**
 * TXT records by dynamic updates: adding what is there already and taking away what isn't change nothing (RFC 2136, 3.4.2.2 and 3.4.2.4),
 * so a request whose answer was lost may be sent again.
 */
export const textPower = (endpoint: Endpoint): TextPower => ({
  add: (name, text, signal) => send(endpoint, recordOf(name, text, CLASSES.IN, TTL_SECONDS), signal),
  remove: (name, text, signal) => send(endpoint, recordOf(name, text, CLASSES.NONE, 0), signal),
})

function recordOf(name: string, text: string, recordClass: number, ttl: number): WireRecord {
  const bytes = Buffer.from(text, 'utf8')
  const pieces: Buffer[] = []
  for (let at = 0; at < Math.max(1, bytes.length); at += LONGEST_PIECE) {
    const piece = bytes.subarray(at, at + LONGEST_PIECE)
    pieces.push(Buffer.from([piece.length]), piece)
  }
  return { name: canonicalName(name), type: TYPES.TXT, class: recordClass, ttl, data: Buffer.concat(pieces) }
}

async function send(endpoint: Endpoint, record: WireRecord, signal: AbortSignal | undefined): Promise<void> {
  const question = { name: endpoint.zone, type: TYPES.SOA }
  const update = { opcode: 'update' as const, question, authorities: [record] }
  let answer = await exchange(endpoint.primary, update, signal)
  if (answer.kind === 'lost') answer = await exchange(endpoint.primary, update, signal)
  if (answer.kind !== 'answered') throw unreachable(endpoint, answer, TASK, 'No other record was touched.')
  const refused = updateRefusalOf(answer, endpoint, TASK)
  if (refused !== undefined) throw refused
  if (!answer.verdict.verified) throw unsignedAnswer(endpoint, TASK)
}
