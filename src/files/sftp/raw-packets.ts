import { isAscii } from 'node:buffer'
import { nameBytes, nameFrom } from '../raw-names.ts'
import { member } from './insides.ts'

/** Packets of draft-ietf-secsh-filexfer-02, section 3: their length, a type, what belongs to it. */
const HEADER = 5
/** Which attributes follow (section 5). */
const FLAG = { size: 0x1, owner: 0x2, permissions: 0x4, times: 0x8, extended: 0x80000000 } as const

/**
 * An answer that holds names, with them as UTF-8. ssh2 takes names for that, and would lose a byte that isn't: such bytes are as raw-names.ts has
 * them. The long form of a name, which nobody reads, is left out. The answer itself when it isn't as the protocol has it.
 */
export function withNames(packet: Buffer): Buffer {
  // A byte of a name becomes four at most. Put together in one place: a buffer for each piece would take most of a listing's time.
  const whole = Buffer.allocUnsafe(packet.length * 4)
  let [at, end] = [HEADER + 8, packet.copy(whole, 0, 0, HEADER + 8)]
  try {
    for (let left = packet.readUInt32BE(HEADER + 4); left > 0; left -= 1) {
      const name = stringAt(packet, at)
      const length = isAscii(name) ? name.copy(whole, end + 4) : whole.write(nameFrom(name), end + 4, 'utf8')
      end = whole.writeUInt32BE(length, end) + length
      at += 4 + name.length
      at += 4 + stringLength(packet, at)
      end = whole.writeUInt32BE(0, end)
      const attributes = attributesLength(packet, at)
      end += packet.copy(whole, end, at, at + attributes)
      at += attributes
    }
  } catch (error) {
    if (error instanceof RangeError) return packet
    throw error
  }
  end += packet.copy(whole, end, at)
  whole.writeUInt32BE(end - 4, 0)
  return whole.subarray(0, end)
}

const stringAt = (packet: Buffer, at: number): Buffer => packet.subarray(at + 4, at + 4 + stringLength(packet, at))

function stringLength(packet: Buffer, at: number): number {
  const length = packet.readUInt32BE(at)
  if (at + 4 + length > packet.length) throw new RangeError('a name that ends after its packet')
  return length
}

function attributesLength(packet: Buffer, at: number): number {
  const flags = packet.readUInt32BE(at)
  let length = 4
  if (flags & FLAG.size) length += 8
  if (flags & FLAG.owner) length += 8
  if (flags & FLAG.permissions) length += 4
  if (flags & FLAG.times) length += 8
  if ((flags & FLAG.extended) === 0) return length
  let left = packet.readUInt32BE(at + length) * 2
  for (length += 4; left > 0; left -= 1) length += 4 + stringLength(packet, at + length)
  return length
}

const counted = (bytes: Buffer): readonly Buffer[] => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return [length, bytes]
}

/**
 * Sends the one request that `send` makes with its paths as bytes. ssh2 writes them as UTF-8, each raw byte as four; the request is held
 * back, as if the host had no room, is mended, and goes its way (1.17: `outgoing.window`, `_buffer`, `_chunkcb`). Throws where ssh2 isn't so.
 */
export function sendRawNames(session: object, send: () => void): void {
  const [outgoing, waiting] = [member(session, 'outgoing'), member(session, '_buffer')]
  const room = member(outgoing, 'window')
  if (typeof outgoing !== 'object' || outgoing === null || typeof room !== 'number' || !Array.isArray(waiting)) throw notSo()
  Reflect.set(outgoing, 'window', 0)
  try {
    send()
  } finally {
    Reflect.set(outgoing, 'window', room)
  }
  const request: unknown = waiting.pop()
  if (!Buffer.isBuffer(request)) throw notSo()
  waiting.push(withBytes(request))
  const goOn = member(session, '_chunkcb')
  if (room > 0 && typeof goOn === 'function') Reflect.apply(goOn, session, [])
}

const notSo = (): Error => new Error('names that aren’t UTF-8 can’t be sent with this version of ssh2')

/** Extensions of OpenSSH (its PROTOCOL file, section 4) come as a request of this type, their name before the paths. */
const EXTENDED = 200
const PATHS: Readonly<Record<number, number>> = { 18: 2, 20: 2, [EXTENDED]: 3 }

/** A request whose first strings are paths: one of them, or as many as its type has. */
function withBytes(request: Buffer): Buffer {
  const type = request[4] ?? 0
  const pieces: Buffer[] = [request.subarray(0, HEADER + 4)]
  let at = HEADER + 4
  for (let left = PATHS[type] ?? 1; left > 0 && at < request.length; left -= 1) {
    const text = stringAt(request, at)
    pieces.push(...counted(nameBytes(text.toString('utf8'))))
    at += 4 + text.length
  }
  const whole = Buffer.concat([...pieces, request.subarray(at)])
  whole.writeUInt32BE(whole.length - 4, 0)
  return whole
}
