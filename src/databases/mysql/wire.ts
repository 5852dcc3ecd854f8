import { Socket } from 'node:net'
import { MigrateError } from '../../base/errors.ts'
import { WireSocket } from '../wire-socket.ts'

/**
 * Rows taken from the connection as the server sends them. The driver makes an array, a string for each value and an event for
 * each row; here a row is a place in the buffer that came in, and is turned into what is wanted of it right there.
 *
 * Packets: a length of 3 bytes, a sequence number, the payload; a payload of 0xffffff bytes goes on in the next packet ("MySQL
 * Packets"). A result set is a column count, that many column definitions, an EOF packet, rows, and an EOF or ERR packet ("Text
 * Resultset", in "MySQL Internals / Client-Server Protocol"). The driver gets all of it but the rows: to it the result is empty.
 */
const LONGEST = 0xffffff
const EOF = 0xfe
const ERR = 0xff
const OK = 0x00
const LOCAL_INFILE = 0xfb
const EOF_BYTES = 9
/** The length of "def", with which each column definition begins. */
const DEFINITION = 3
/**
 * A column definition ends in 12 bytes, the character set first ("Column Definition"). The driver would read the column's name by it,
 * and gives up on one that it doesn't know (swe7, dec8, …).
 */
const CHARSET_FROM_END = 12
const BINARY = 63

/** Takes rows, of whose bytes it must keep none. */
export interface RowSink {
  /** The payload of one row: `packet` from `start` to `end`. */
  row(packet: Buffer, start: number, end: number): void
  /** A row of more bytes than this comes in parts. */
  readonly wholeBytes: number
  /** Some of a row's payload as it comes in, so that memory doesn't grow with it. */
  part(bytes: Buffer, start: number, end: number, isLast: boolean): void
}

/** The driver's socket, of which the rows are taken. Throws where the driver isn't what it was. */
export function socketOf(connection: object): Socket {
  const stream: unknown = Reflect.get(connection, 'stream')
  if (stream instanceof Socket && stream.listenerCount('data') === 1) return stream
  throw new MigrateError('fault', 'This version of mysql2 keeps its socket elsewhere, so that no rows can be read.', {
    hint: 'Install the version that package.json names.',
  })
}

type DataListener = (chunk: Buffer) => void

const HEADER_BYTES = 4
/** Up to here the room for a packet that comes in pieces is kept for the next one. */
const KEPT_BYTES = 64 * 1024

/** Stands between socket and driver while one statement runs. */
export class RowTap {
  readonly #socket: Socket
  readonly #driver: DataListener
  readonly #sink: RowSink
  readonly #afterChunk: () => void
  readonly #mine: DataListener
  #phase: 'header' | 'columns' | 'rows' | 'ended' = 'header'
  /** The beginning of a packet whose rest is still to come. */
  #cut: Buffer = Buffer.alloc(0)
  #cutBytes = 0
  #sequence = 0
  /** Bytes that are still to come of a packet whose row comes in parts. */
  #left = 0
  /** True when that row goes on in the next packet. */
  #goesOn = false

  /** `afterChunk` is called when all that came in was handed to `sink`. */
  constructor(socket: Socket, sink: RowSink, afterChunk: () => void) {
    this.#socket = socket
    this.#sink = sink
    this.#afterChunk = afterChunk
    this.#driver = socket.listeners('data')[0] as DataListener
    this.#mine = (chunk) => this.#take(chunk)
    if (socket instanceof WireSocket) {
      socket.reader = this.#mine
      return
    }
    socket.removeAllListeners('data')
    socket.on('data', this.#mine)
  }

  /** Gives the socket back to the driver. */
  release(): void {
    if (this.#socket instanceof WireSocket) this.#socket.reader = undefined
    else {
      this.#socket.off('data', this.#mine)
      if (!this.#socket.listeners('data').includes(this.#driver)) this.#socket.on('data', this.#driver)
    }
    this.#socket.resume()
  }

  #take(chunk: Buffer): void {
    let at = this.#cutBytes === 0 ? 0 : this.#complete(chunk)
    for (;;) {
      if (this.#left > 0) at = this.#part(chunk, at)
      if (chunk.length - at < HEADER_BYTES || this.#left > 0) break
      if (this.#isParted(chunk, at)) {
        at = this.#beginPart(chunk, at)
        continue
      }
      const end = at + HEADER_BYTES + lengthAt(chunk, at)
      if (end > chunk.length) break
      this.#packet(chunk, at, end)
      at = end
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length)
    this.#afterChunk()
  }

  /** True when the packet whose header stands there is of a row that comes in parts. */
  #isParted(buffer: Buffer, at: number): boolean {
    return this.#phase === 'rows' && (this.#goesOn || lengthAt(buffer, at) > this.#sink.wholeBytes)
  }

  /** Returns where the payload begins. */
  #beginPart(buffer: Buffer, at: number): number {
    this.#left = lengthAt(buffer, at)
    this.#goesOn = this.#left === LONGEST
    // A row that fills its last packet has an empty one behind it.
    if (this.#left === 0) this.#sink.part(buffer, at, at, true)
    return at + HEADER_BYTES
  }

  #part(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left)
    this.#left -= end - at
    this.#sink.part(chunk, at, end, this.#left === 0 && !this.#goesOn)
    return end
  }

  /** Adds to the packet that was cut what it lacks, and handles it when it is whole; returns where the next one begins. */
  #complete(chunk: Buffer): number {
    let at = this.#keep(chunk, 0, HEADER_BYTES - this.#cutBytes)
    if (this.#cutBytes < HEADER_BYTES) return at
    if (this.#isParted(this.#cut, 0)) {
      this.#cutBytes = 0
      this.#beginPart(this.#cut, 0)
      return at
    }
    const end = HEADER_BYTES + lengthAt(this.#cut, 0)
    at = this.#keep(chunk, at, at + end - this.#cutBytes)
    if (this.#cutBytes < end) return at
    this.#cutBytes = 0
    this.#packet(this.#cut, 0, end)
    if (end > KEPT_BYTES) this.#cut = Buffer.alloc(0)
    return at
  }

  /** Copies a part of what came in behind what is kept; returns where it ends. */
  #keep(chunk: Buffer, from: number, to: number): number {
    const end = Math.max(from, Math.min(to, chunk.length))
    const needed = this.#cutBytes + end - from
    if (needed > this.#cut.length) {
      const whole = this.#cutBytes < HEADER_BYTES ? 0 : HEADER_BYTES + lengthAt(this.#cut, 0)
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, whole, KEPT_BYTES))
      this.#cut.copy(larger, 0, 0, this.#cutBytes)
      this.#cut = larger
    }
    chunk.copy(this.#cut, this.#cutBytes, from, end)
    this.#cutBytes = needed
    return end
  }

  #packet(buffer: Buffer, at: number, end: number): void {
    if (this.#phase === 'rows') this.#rowPacket(buffer, at, end)
    else this.#otherPacket(buffer, at, end)
  }

  #otherPacket(buffer: Buffer, at: number, end: number): void {
    const first = buffer[at + HEADER_BYTES] ?? 0
    this.#sequence = buffer[at + 3] ?? 0
    // The driver may keep it.
    const copy = Buffer.from(buffer.subarray(at, end))
    if (this.#phase === 'header') {
      this.#phase = first === OK || first === ERR || first === LOCAL_INFILE ? 'ended' : 'columns'
    } else if (this.#phase === 'columns') {
      if (first === EOF && end - at - HEADER_BYTES < EOF_BYTES) this.#phase = 'rows'
      else if (first === DEFINITION) copy.writeUInt16LE(BINARY, copy.length - CHARSET_FROM_END)
    }
    this.#driver(copy)
  }

  #rowPacket(buffer: Buffer, at: number, end: number): void {
    const length = end - at - HEADER_BYTES
    const first = buffer[at + HEADER_BYTES] ?? 0
    if (first !== ERR && !(first === EOF && length < EOF_BYTES)) {
      this.#sink.row(buffer, at + HEADER_BYTES, end)
      return
    }
    this.#phase = 'ended'
    const last = Buffer.from(buffer.subarray(at, end))
    last[3] = (this.#sequence + 1) & 0xff
    this.#driver(last)
  }
}

/** A packet's length, in the first three bytes of its header. */
const lengthAt = (buffer: Buffer, at: number): number =>
  (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16)

/**
 * Reads one length-encoded value ("Length-Encoded String"): where it begins and ends; `start` is -1 for NULL. One object is filled
 * again and again.
 */
export class Field {
  start = 0
  end = 0

  /** Sets `start` and `end` to the value that begins at `at`; the next one begins at `end`, or after the NULL byte. */
  read(packet: Buffer, at: number): number {
    const first = packet[at] ?? 0
    if (first < 0xfb) {
      this.start = at + 1
      this.end = at + 1 + first
      return this.end
    }
    if (first === 0xfb) {
      this.start = -1
      return at + 1
    }
    const bytes = first === 0xfc ? 2 : first === 0xfd ? 3 : 6
    this.start = at + 1 + (first === 0xfe ? 8 : bytes)
    this.end = this.start + packet.readUIntLE(at + 1, bytes)
    return this.end
  }
}
