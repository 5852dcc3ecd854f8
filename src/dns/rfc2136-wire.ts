import { isIPv4, isIPv6 } from 'node:net'

/** Resource record types and classes (RFC 1035, 3.2; RFC 2136, 2.4 and 2.5; RFC 8945, 4.2). */
export const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, TSIG: 250, ANY: 255 } as const
export const CLASSES = { IN: 1, NONE: 254, ANY: 255 } as const
const OPCODES = { query: 0, update: 5 } as const
const OPCODE_SHIFT = 11
const QR = 0x8000
const AA = 0x0400
const TC = 0x0200
const RCODE = 0x000f
const HEADER_BYTES = 12
const POINTER = 0xc0
const LONGEST_LABEL_BYTES = 63
const LONGEST_NAME_BYTES = 255

/** A record as it stands in a message: any section, any class, data as bytes. */
export interface WireRecord {
  /** ASCII, lower case, no trailing dot. */
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: Buffer
}

export interface MessageParts {
  readonly id: number
  readonly opcode: keyof typeof OPCODES
  /** The question, or the zone of an update (RFC 2136, 2.3). */
  readonly question: { readonly name: string; readonly type: number }
  /** Answers, or an update's prerequisites. */
  readonly answers?: readonly WireRecord[]
  /** Authorities, or the update itself. */
  readonly authorities?: readonly WireRecord[]
}

/** A message without TSIG. Names aren't compressed: servers take both. */
export function encodeMessage({ id, opcode, question, answers = [], authorities = [] }: MessageParts): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(OPCODES[opcode] << OPCODE_SHIFT, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authorities.length, 8)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(question.type, 0)
  tail.writeUInt16BE(CLASSES.IN, 2)
  return Buffer.concat([header, encodeName(question.name), tail, ...[...answers, ...authorities].map(encodeRecord)])
}

/** A domain name, uncompressed (RFC 1035, 3.1). `name` is one that names.ts has passed: ASCII labels between dots. */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.')
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.from([0]),
  ])
}

export function encodeRecord({ name, type, class: recordClass, ttl, data }: WireRecord): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(recordClass, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([encodeName(name), fixed, data])
}

/** The data of an A, AAAA or CNAME record. */
export function encodeData(type: 'A' | 'AAAA' | 'CNAME', content: string): Buffer {
  if (type === 'A' && isIPv4(content)) return Buffer.from(content.split('.').map(Number))
  if (type === 'AAAA' && isIPv6(content)) return encodeIpv6(content)
  return encodeName(content)
}

const IPV6_GROUPS = 8

function encodeIpv6(address: string): Buffer {
  // The URL parser writes every spelling as groups of hexadecimal digits, an IPv4 tail too.
  const plain = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = plain.split('::')
  const groups = (text: string): readonly number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const all = [...first, ...Array.from({ length: IPV6_GROUPS - first.length - last.length }, () => 0), ...last]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

export interface Message {
  readonly id: number
  readonly isResponse: boolean
  readonly isAuthoritative: boolean
  readonly isTruncated: boolean
  readonly rcode: number
  readonly question: { readonly name: string; readonly type: number } | undefined
  readonly answers: readonly PlacedRecord[]
  readonly authorities: readonly PlacedRecord[]
  readonly additionals: readonly PlacedRecord[]
}

/** A record and where it stands: names within its data may point elsewhere in the message, and TSIG's place is signed. */
export interface PlacedRecord extends WireRecord {
  readonly start: number
  readonly dataStart: number
}

/** Takes a message apart; throws RangeError for one that is cut short or makes no sense. */
export function decodeMessage(bytes: Buffer): Message {
  const flags = bytes.readUInt16BE(2)
  const reader = new Reader(bytes, HEADER_BYTES)
  const counts = [4, 6, 8, 10].map((offset) => bytes.readUInt16BE(offset))
  const questions = Array.from({ length: counts[0] ?? 0 }, () => reader.question())
  const section = (index: number): readonly PlacedRecord[] => Array.from({ length: counts[index] ?? 0 }, () => reader.record())
  return {
    id: bytes.readUInt16BE(0),
    isResponse: (flags & QR) !== 0,
    isAuthoritative: (flags & AA) !== 0,
    isTruncated: (flags & TC) !== 0,
    rcode: flags & RCODE,
    question: questions[0],
    answers: section(1),
    authorities: section(2),
    additionals: section(3),
  }
}

class Reader {
  readonly #bytes: Buffer
  #offset: number

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes
    this.#offset = offset
  }

  question(): { readonly name: string; readonly type: number } {
    const name = this.#name()
    const type = this.#bytes.readUInt16BE(this.#offset)
    this.#offset += 4
    return { name, type }
  }

  record(): PlacedRecord {
    const start = this.#offset
    const name = this.#name()
    const at = this.#offset
    const bytes = this.#bytes
    const dataStart = at + 10
    const end = dataStart + bytes.readUInt16BE(at + 8)
    if (end > bytes.length) throw new RangeError('The message ends within a record.')
    this.#offset = end
    return {
      name,
      type: bytes.readUInt16BE(at),
      class: bytes.readUInt16BE(at + 2),
      ttl: bytes.readUInt32BE(at + 4),
      data: bytes.subarray(dataStart, end),
      start,
      dataStart,
    }
  }

  #name(): string {
    const { name, end } = decodeName(this.#bytes, this.#offset)
    this.#offset = end
    return name
  }
}

/** A name, compressed or not (RFC 1035, 4.1.4), in lower case, and where the reader goes on after it. */
export function decodeName(bytes: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let offset = start
  let end: number | undefined
  let total = 0
  for (;;) {
    const length = bytes.readUInt8(offset)
    if ((length & POINTER) === POINTER) {
      const target = bytes.readUInt16BE(offset) & 0x3fff
      // Only ever backwards: otherwise a message could send the reader round in circles.
      if (target >= offset) throw new RangeError('A name in the message points forwards.')
      end ??= offset + 2
      offset = target
    } else if (length === 0) {
      return { name: labels.join('.').toLowerCase(), end: end ?? offset + 1 }
    } else {
      total += length + 1
      if (length > LONGEST_LABEL_BYTES || total > LONGEST_NAME_BYTES) throw new RangeError('A name in the message is too long.')
      if (offset + 1 + length > bytes.length) throw new RangeError('The message ends within a name.')
      labels.push(bytes.toString('latin1', offset + 1, offset + 1 + length))
      offset += length + 1
    }
  }
}

/** The content of an A, AAAA, CNAME or NS record; `undefined` for every other type. */
export function decodeData(message: Buffer, { type, data, dataStart }: PlacedRecord): string | undefined {
  if (type === TYPES.A) return [...data].join('.')
  if (type === TYPES.AAAA) return new URL(`http://[${groupsOf(data).join(':')}]/`).hostname.slice(1, -1)
  if (type === TYPES.CNAME || type === TYPES.NS) return decodeName(message, dataStart).name
  return undefined
}

const groupsOf = (data: Buffer): readonly string[] =>
  Array.from({ length: IPV6_GROUPS }, (_, index) => data.readUInt16BE(index * 2).toString(16))
