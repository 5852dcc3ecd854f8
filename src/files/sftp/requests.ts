import { copyTo } from '../lent.ts'
import { member } from './insides.ts'

/** The largest content of an SSH packet that every server takes (RFC 4253, section 6.1). */
const PACKET = 32 * 1024

/** Sessions whose requests are gathered. */
const gathered = new WeakSet<object>()

/**
 * Lets an SFTP session send what it asks during one turn of the event loop in as few packets as possible: each is encrypted by
 * itself, which costs more than the request. ssh2's own affair: a session that isn't made as in 1.17 goes on as before.
 */
export function gatherRequests(session: object): void {
  const protocol = member(session, '_protocol')
  const send = member(protocol, 'channelData')
  if (typeof protocol !== 'object' || protocol === null || typeof send !== 'function') return
  const id = member(member(session, 'outgoing'), 'id')
  const most = Math.min(PACKET, Number(member(member(session, 'outgoing'), 'packetSize')))
  let held: Buffer[] = []
  let length = 0
  // ssh2 copies what it sends, at once, in a way that takes ten times as long for memory that threads share.
  let place: Buffer | undefined
  const flush = (): void => {
    if (length === 0) return
    let [bytes] = held
    if (held.length > 1 || bytes?.buffer instanceof SharedArrayBuffer) {
      place ??= Buffer.allocUnsafeSlow(most)
      let filled = 0
      for (const piece of held) {
        copyTo(place, filled, piece)
        filled += piece.length
      }
      bytes = place.subarray(0, filled)
    }
    held = []
    length = 0
    Reflect.apply(send, protocol, [id, bytes])
  }
  const gather = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; ) {
      if (length === 0) setImmediate(flush)
      const piece = bytes.subarray(at, at + most - length)
      held.push(piece)
      length += piece.length
      at += piece.length
      if (length === most) flush()
    }
  }
  const gathering = Object.create(protocol, {
    channelData: {
      value: (channel: unknown, bytes: Buffer): void => {
        if (channel === id) gather(bytes)
        else Reflect.apply(send, protocol, [channel, bytes])
      },
    },
    channelClose: {
      value: (channel: unknown): void => {
        flush()
        const close = member(protocol, 'channelClose')
        if (typeof close === 'function') Reflect.apply(close, protocol, [channel])
      },
    },
  })
  Reflect.set(session, '_protocol', gathering)
  gathered.add(session)
}

/** A request to write (draft-ietf-secsh-filexfer-02, section 6.4): its length, its type, its number, the handle, the place, the content. */
const WRITE = 6

type Answer<T> = (error: Error | null | undefined, value?: T) => void

/**
 * Sends a content without ssh2's copy of it; `bytes` are to be left as they are until the answer comes. False, and nothing is sent, where the
 * session isn't one of `gatherRequests` or ssh2 isn't as in 1.17 (`_buffer` waits for room in the channel's window, `_chunkcb` is called when
 * there is some).
 */
export function sendContent(
  session: object,
  handle: Buffer,
  bytes: Buffer,
  position: number,
  answer: Answer<undefined>,
): boolean {
  return sendOwn(session, { cb: answer }, (id) => [headerOf(id, handle, bytes.length, position), bytes])
}

/** An extended request (draft-ietf-secsh-filexfer-02, section 8). */
const EXTENDED = 200

/** Sends a request that ssh2 doesn't know; its answer is what follows the header of the reply. False as above. */
export function sendExtended(session: object, name: string, body: Buffer, answer: Answer<Buffer>): boolean {
  return sendOwn(session, { cb: answer, isOwn: true }, (id) => {
    const header = Buffer.alloc(13)
    header.writeUInt32BE(header.length - 4 + name.length + body.length, 0)
    header[4] = EXTENDED
    header.writeInt32BE(id, 5)
    header.writeUInt32BE(name.length, 9)
    return [Buffer.concat([header, Buffer.from(name, 'latin1'), body])]
  })
}

function sendOwn(session: object, request: object, packet: (id: number) => readonly Buffer[]): boolean {
  const outgoing = member(session, 'outgoing')
  const waiting: unknown = member(session, '_buffer')
  const requests = member(session, '_requests')
  const last = member(session, '_writeReqid')
  if (!gathered.has(session) || typeof outgoing !== 'object' || outgoing === null || !Array.isArray(waiting)) return false
  if (typeof requests !== 'object' || requests === null || typeof last !== 'number') return false
  if (member(outgoing, 'state') !== 'open' || typeof member(outgoing, 'window') !== 'number') return false
  const id = (last + 1) | 0
  Reflect.set(session, '_writeReqid', id)
  Reflect.set(requests, id, request)
  waiting.push(...packet(id))
  if (Number(member(outgoing, 'window')) > 0) sendWaiting(session, outgoing)
  return true
}

function headerOf(id: number, handle: Buffer, length: number, position: number): Buffer {
  const header = Buffer.allocUnsafe(25 + handle.length)
  header.writeUInt32BE(header.length - 4 + length, 0)
  header[4] = WRITE
  header.writeInt32BE(id, 5)
  header.writeUInt32BE(handle.length, 9)
  header.set(handle, 13)
  header.writeBigUInt64BE(BigInt(position), 13 + handle.length)
  header.writeUInt32BE(length, 21 + handle.length)
  return header
}

/** What waits goes out as far as the window has room; the rest when the server makes more. */
function sendWaiting(session: object, outgoing: object): void {
  Reflect.set(session, '_chunkcb', undefined)
  const waiting: unknown = Reflect.get(session, '_buffer')
  const protocol = member(session, '_protocol')
  const send = member(protocol, 'channelData')
  if (!Array.isArray(waiting) || typeof send !== 'function') return
  let sent = 0
  for (let room = Number(Reflect.get(outgoing, 'window')); sent < waiting.length && room > 0; ) {
    const payload: unknown = waiting[sent]
    if (!Buffer.isBuffer(payload)) return
    const piece = payload.subarray(0, room)
    room -= piece.length
    Reflect.set(outgoing, 'window', room)
    Reflect.apply(send, protocol, [Reflect.get(outgoing, 'id'), piece])
    if (piece.length === payload.length) sent += 1
    else waiting[sent] = payload.subarray(piece.length)
  }
  Reflect.set(session, '_buffer', waiting.slice(sent))
  if (Number(Reflect.get(outgoing, 'window')) > 0) return
  Reflect.set(session, '_waitWindow', true)
  Reflect.set(session, '_chunkcb', () => sendWaiting(session, outgoing))
}
