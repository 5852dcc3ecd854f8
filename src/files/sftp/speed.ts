import { createSecretKey } from 'node:crypto'
import type { Socket } from 'node:net'

/** Pieces up to this length are copied together, longer ones are handed on as they are. */
const COPIED = 4096
const GATHERED = 64 * 1024

/**
 * Lets a socket gather what is written to it during one turn of the event loop and send it in one go. ssh2 writes three small
 * pieces for every packet (length, content, tag): a system call each otherwise, the largest single cost of small requests.
 */
export function gatherWrites(socket: Socket): void {
  const write = socket.write.bind(socket)
  let held = Buffer.allocUnsafeSlow(GATHERED)
  let length = 0
  let isWaiting = false
  const flush = (): boolean => {
    if (length === 0) return true
    const bytes = held.subarray(0, length)
    held = length < GATHERED / 2 ? held.subarray(length) : Buffer.allocUnsafeSlow(GATHERED)
    length = 0
    return write(bytes)
  }
  const gather = (bytes: Uint8Array): boolean => {
    if (!isWaiting) {
      isWaiting = true
      socket.cork()
      setImmediate(() => {
        isWaiting = false
        flush()
        socket.uncork()
      })
    }
    if (bytes.length > COPIED) {
      flush()
      return write(bytes)
    }
    if (length + bytes.length > held.length) {
      flush()
      if (held.length < COPIED) held = Buffer.allocUnsafeSlow(GATHERED)
    }
    held.set(bytes, length)
    length += bytes.length
    return true
  }
  const end = socket.end.bind(socket)
  socket.write = ((chunk: unknown, ...rest: readonly unknown[]): boolean => {
    if (chunk instanceof Uint8Array && rest.length === 0) return gather(chunk)
    flush()
    return Reflect.apply(write, socket, [chunk, ...rest])
  }) as Socket['write']
  socket.end = ((...args: Parameters<Socket['end']>): Socket => {
    flush()
    return Reflect.apply(end, socket, args)
  }) as Socket['end']
}

/**
 * Prepares ssh2's AES-GCM keys once. Without its native addon ssh2 makes a cipher from the raw key for every packet, and Node then
 * prepares the key anew every time (23 instead of 3.5 microseconds, Node 24.21). The keys are ssh2's own affair: where they aren't
 * found under the names of ssh2 1.17, nothing is changed and it is only slower. Call it after every key exchange (`handshake`).
 */
export function prepareKeys(connection: object): void {
  const protocol: unknown = Reflect.get(connection, '_protocol')
  prepareKey(member(protocol, '_cipher'), '_encKey')
  prepareKey(member(protocol, '_decipher'), '_decipherKey')
}

function prepareKey(holder: unknown, name: string): void {
  const key = member(holder, name)
  if (typeof holder === 'object' && holder !== null && Buffer.isBuffer(key)) Reflect.set(holder, name, createSecretKey(key))
}

const member = (holder: unknown, name: string): unknown =>
  typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined

/** Bytes that a host may send on a channel before it hears that some were taken: a round trip of 100 ms at 160 MB/s. */
const WINDOW = 16 * 1024 * 1024
/** ssh2 tells the host by itself only when half of its own 2 MiB are left, which then never happens. */
const TOLD_EVERY = 1024 * 1024

/**
 * Widens the window of a channel. It is ssh2's own affair (1.17: Channel.js, client.js): where a channel isn't made as it was there, it keeps
 * its 2 MiB, and is only slower on long ways.
 */
export function widen(channel: object): void {
  const incoming = member(channel, 'incoming')
  const id = member(member(channel, 'outgoing'), 'id')
  const protocol = member(channel, '_protocol') ?? member(member(channel, '_client'), '_protocol')
  const push = member(channel, 'push')
  const adjust = member(protocol, 'channelWindowAdjust')
  if (typeof incoming !== 'object' || incoming === null || typeof push !== 'function' || typeof adjust !== 'function') return
  if (typeof member(incoming, 'window') !== 'number' || typeof id !== 'number') return
  const grant = (): void => {
    const missing = WINDOW - Number(Reflect.get(incoming, 'window'))
    if (missing < TOLD_EVERY || member(member(channel, 'outgoing'), 'state') === 'closed') return
    Reflect.set(incoming, 'window', WINDOW)
    Reflect.apply(adjust, protocol, [id, missing])
  }
  Reflect.set(channel, 'push', (bytes: Buffer | null): unknown => {
    const goesOn: unknown = Reflect.apply(push, channel, [bytes])
    // False: the reader doesn't keep up, and the host is to wait.
    if (bytes !== null && goesOn !== false) grant()
    return goesOn
  })
  grant()
}

/** The largest content of an SSH packet that every server takes (RFC 4253, section 6.1). */
const PACKET = 32 * 1024

/**
 * Lets an SFTP session send what it asks during one turn of the event loop in as few packets as possible: each is encrypted by
 * itself, which costs more than the request. ssh2's own affair too: a session that isn't made as in 1.17 goes on as before.
 */
export function gatherRequests(session: object): void {
  const protocol = member(session, '_protocol')
  const send = member(protocol, 'channelData')
  if (typeof protocol !== 'object' || protocol === null || typeof send !== 'function') return
  const id = member(member(session, 'outgoing'), 'id')
  const most = Math.min(PACKET, Number(member(member(session, 'outgoing'), 'packetSize')))
  let held: Buffer[] = []
  let length = 0
  const flush = (): void => {
    if (length === 0) return
    const [only] = held
    const bytes = held.length === 1 ? only : Buffer.concat(held, length)
    held = []
    length = 0
    Reflect.apply(send, protocol, [id, bytes])
  }
  const gathering = Object.create(protocol, {
    channelData: {
      value: (channel: unknown, bytes: Buffer): void => {
        if (channel !== id) {
          Reflect.apply(send, protocol, [channel, bytes])
          return
        }
        if (length + bytes.length > most) flush()
        if (length === 0) setImmediate(flush)
        held.push(bytes)
        length += bytes.length
        if (length >= most) flush()
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
}
