import { createSecretKey, KeyObject, randomBytes, randomFillSync } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { madeAside } from '../../base/young-generation.ts'
import { member } from './insides.ts'

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
      madeAside(bytes.length)
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
 * Prepares ssh2's AES-GCM ciphers. Without its native addon ssh2 makes a cipher from the raw key for every packet, and Node then
 * prepares the key anew every time (23 instead of 3.5 microseconds, Node 24.21): it is prepared once. A packet is put together in new memory,
 * each time, and then encrypted into other: all are put together in one place. The ciphers are ssh2's own affair: where they aren't as in
 * ssh2 1.17, nothing is changed and it is only slower. Call it after every key exchange (`handshake`), and only where what is written to the
 * socket is copied or gathered at once (`gatherWrites`).
 */
export function prepareKeys(connection: object): void {
  const protocol = member(connection, '_protocol')
  const cipher = member(protocol, '_cipher')
  if (prepareKey(cipher, '_encKey')) assembleInPlace(cipher)
  prepareKey(member(protocol, '_decipher'), '_decipherKey')
}

function prepareKey(holder: unknown, name: string): boolean {
  const key = member(holder, name)
  if (typeof holder !== 'object' || holder === null || !Buffer.isBuffer(key)) return false
  return Reflect.set(holder, name, createSecretKey(key))
}

/** More than any packet that ssh2 sends: 32 KiB of content, what belongs to it, and padding. */
const PACKET = 40 * 1024
/** Padding is random (RFC 4253, section 6); so much of it is made at a time. */
const PADDING = 4096
const BLOCK = 16

/** `cipher` encrypts a packet before the next one is asked for, and keeps nothing of it. */
function assembleInPlace(cipher: unknown): void {
  const allocate = member(cipher, 'allocPacket')
  if (typeof cipher !== 'object' || cipher === null || typeof allocate !== 'function') return
  const place = Buffer.allocUnsafeSlow(PACKET)
  const padding = randomBytes(PADDING)
  let used = 0
  Reflect.set(cipher, 'allocPacket', (length: number): Buffer => {
    // RFC 5647, section 7.2, and RFC 4253, section 6: at least four bytes, to whole blocks, the packet's own length left out.
    let padded = BLOCK - ((1 + length) % BLOCK)
    if (padded < 4) padded += BLOCK
    const whole = 5 + length + padded
    if (whole > PACKET) return Reflect.apply(allocate, cipher, [length])
    if (used + padded > PADDING) {
      randomFillSync(padding)
      used = 0
    }
    padding.copy(place, 5 + length, used, used + padded)
    used += padded
    place.writeUInt32BE(whole - 4, 0)
    place[4] = padded
    return place.subarray(0, whole)
  })
}

/** Read from a socket at once, bytes at most. Node takes 64 KiB by itself, in a new buffer each time. */
const READ = 512 * 1024

/**
 * Connects a socket that is read into one buffer, over and over, and gives what came by `data` all the same. `keepsNothing`: whether they who
 * listen keep none of what they are given at this moment; while they do, they get a copy.
 */
export function openSocket(to: { readonly host: string; readonly port: number }, keepsNothing: () => boolean): Socket {
  const callback = (count: number, buffer: Uint8Array): boolean => {
    const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, count)
    madeAside(count)
    if (socket.listenerCount('data') === 0) socket.push(Buffer.from(bytes))
    else socket.emit('data', keepsNothing() ? bytes : Buffer.from(bytes))
    return true
  }
  // Nagle's algorithm would hold back every small request until the answer to the last one came (2 instead of 100 MB/s).
  const socket: Socket = connect({ ...to, noDelay: true, onread: { buffer: Buffer.allocUnsafeSlow(READ), callback } })
  return socket
}

/** Whether a connection decrypts what comes into new buffers: AES-GCM by Node does. Known only of ssh2 1.17; false otherwise. */
export const decryptsApart = (connection: object): boolean =>
  member(member(member(connection, '_protocol'), '_decipher'), '_decipherKey') instanceof KeyObject

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
  const protocol = member(member(channel, '_client'), '_protocol')
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
