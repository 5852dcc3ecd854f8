import { createHash } from 'node:crypto'

/**
 * Messages of the Tabular Data Stream protocol as a proxy sees them (Microsoft, [MS-TDS], 2.2.1 "Client Messages", 2.2.3 "Packets"):
 * each is sent in packets of one type, with a header of 8 bytes, the last of which says that it ends the message.
 */
export interface TdsMessage {
  readonly type: number
  readonly payload: Buffer
}

const HEADER_BYTES = 8
const END_OF_MESSAGE = 1

export const SQL_BATCH = 0x01
export const RPC = 0x03
export const REPLY = 0x04
export const ATTENTION = 0x06
export const BULK_LOAD = 0x07
export const TRANSACTION = 0x0e
export const LOGIN7 = 0x10
export const PRELOGIN = 0x12

/** Puts messages together from bytes as they come; `take` returns those that are whole by now. */
export class MessageReader {
  #bytes = Buffer.alloc(0)
  #payloads: Buffer[] = []

  take(chunk: Buffer): readonly TdsMessage[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const messages: TdsMessage[] = []
    while (this.#bytes.length >= HEADER_BYTES) {
      const length = this.#bytes.readUInt16BE(2)
      if (length < HEADER_BYTES) throw new Error(`A TDS packet says that it has ${length} bytes.`)
      if (this.#bytes.length < length) break
      this.#payloads.push(this.#bytes.subarray(HEADER_BYTES, length))
      if ((this.#bytes.readUInt8(1) & END_OF_MESSAGE) !== 0) {
        messages.push({ type: this.#bytes.readUInt8(0), payload: Buffer.concat(this.#payloads) })
        this.#payloads = []
      }
      this.#bytes = this.#bytes.subarray(length)
    }
    return messages
  }
}

export interface Login {
  readonly user: string
  readonly database: string
  readonly password: string
}

/** Offsets of LOGIN7's variable part (2.2.6.4): user name at 40, password at 44, database at 68; each an offset and a count of characters. */
export function loginOf(payload: Buffer): Login {
  const field = (at: number): Buffer => {
    const offset = payload.readUInt16LE(at)
    return payload.subarray(offset, offset + 2 * payload.readUInt16LE(at + 2))
  }
  return { user: text(field(40)), password: text(unscrambled(field(44))), database: text(field(68)) }
}

const text = (bytes: Buffer): string => bytes.toString('utf16le')

/** Each byte was turned half around, then changed by 0xA5 (2.2.6.4, "Password"). */
const unscrambled = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.map((byte) => (((byte ^ 0xa5) << 4) & 0xf0) | ((byte ^ 0xa5) >> 4)))

/** Batches, calls and transactions begin with ALL_HEADERS (2.2.5.3), which names the transaction by the server's own number. */
const WITH_HEADERS: ReadonlySet<number> = new Set([SQL_BATCH, RPC, TRANSACTION])

const bodyOf = ({ type, payload }: TdsMessage): Buffer =>
  WITH_HEADERS.has(type) && payload.length >= 4 ? payload.subarray(payload.readUInt32LE(0)) : payload

/**
 * What two messages that ask for the same have in common: no numbers of processes, transactions or client machines, nor the password of
 * `owner`, whoever that is.
 */
export function keyOf(message: TdsMessage, owner: Pick<Login, 'user' | 'password'>): string {
  if (message.type === PRELOGIN) return 'prelogin'
  if (message.type === LOGIN7) {
    const { user, database, password } = loginOf(message.payload)
    return `login ${user} ${database} ${owner.user === user && owner.password === password ? 'owner' : password}`
  }
  return `${message.type} ${sha256(bodyOf(message))}`
}

/** For people: the beginning of the text in it. */
export function shown(message: TdsMessage): string {
  if (message.type === LOGIN7) return `login of ${loginOf(message.payload).user}`
  const kind = message.type === BULK_LOAD ? 'bulk rows' : message.type === ATTENTION ? 'attention' : 'statement'
  const text = bodyOf(message)
    .toString('utf16le')
    .replace(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ')
  return `${kind} ${text.slice(0, 200).trim()}`
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32)

/** A batch's text. */
export const textOf = (message: TdsMessage): string => text(bodyOf(message))

/** Small enough for every server. */
const PACKET_BYTES = 4096

/** The message in packets as they are sent. */
export function packetsOf({ type, payload }: TdsMessage): Buffer {
  const most = PACKET_BYTES - HEADER_BYTES
  const count = Math.max(1, Math.ceil(payload.length / most))
  return Buffer.concat(
    Array.from({ length: count }, (_, at) =>
      packet(type, at === count - 1 ? END_OF_MESSAGE : 0, payload.subarray(at * most, (at + 1) * most)),
    ),
  )
}

function packet(type: number, status: number, payload: Buffer): Buffer {
  const header = Buffer.from([type, status, 0, 0, 0, 0, 1, 0])
  header.writeUInt16BE(HEADER_BYTES + payload.length, 2)
  return Buffer.concat([header, payload])
}

/** DONE (2.2.7.6), with its error bit or without. */
const done = (status: number): Buffer => Buffer.concat([Buffer.from([0xfd]), int16(status), int16(0), Buffer.alloc(8)])

/** A reply that says that it is done. */
export const doneReply = (): Buffer => packet(REPLY, END_OF_MESSAGE, done(0))

/** A reply that says that the login is taken (2.2.7.14), by a server that speaks TDS 7.4 and has no name. */
export function loginReply(): Buffer {
  const body = Buffer.concat([Buffer.from([1, 0x74, 0, 0, 4]), bVarchar(''), Buffer.alloc(4)])
  return packet(REPLY, END_OF_MESSAGE, Buffer.concat([Buffer.from([0xad]), int16(body.length), body, done(0)]))
}

/** A PRELOGIN answer (2.2.6.5) with a version, of a server that has no encryption. */
export const plainPrelogin = (): Buffer =>
  packet(REPLY, END_OF_MESSAGE, Buffer.from([0x00, 0, 11, 0, 6, 0x01, 0, 17, 0, 1, 0xff, 16, 0, 4, 0x43, 0, 0, 2]))

/** A reply that holds one error (2.2.7.10), and DONE with its error bit. */
export function errorReply(message: string, number = 50_000): Buffer {
  const text = message.slice(0, 2000)
  const body = Buffer.concat([
    int32(number),
    Buffer.from([1, 16]),
    usVarchar(text),
    bVarchar('recording'),
    bVarchar(''),
    int32(1),
  ])
  const token = Buffer.concat([Buffer.from([0xaa]), int16(body.length), body])
  return packet(REPLY, END_OF_MESSAGE, Buffer.concat([token, done(2)]))
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const usVarchar = (text: string): Buffer => Buffer.concat([int16(text.length), Buffer.from(text, 'utf16le')])
const bVarchar = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'utf16le')])
