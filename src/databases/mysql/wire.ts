import { Socket } from 'node:net'
import { MigrateError } from '../../base/errors.ts'

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

/** Takes the payload of one row: `packet` from `start` to `end`. It must keep no part of it. */
export type RowSink = (packet: Buffer, start: number, end: number) => void

/** The driver's socket, of which the rows are taken. Throws where the driver isn't what it was. */
export function socketOf(connection: object): Socket {
  const stream: unknown = Reflect.get(connection, 'stream')
  if (stream instanceof Socket && stream.listenerCount('data') === 1) return stream
  throw new MigrateError('fault', 'This version of mysql2 keeps its socket elsewhere, so that no rows can be read.', {
    hint: 'Install the version that package.json names.',
  })
}

type DataListener = (chunk: Buffer) => void

/** Stands between socket and driver while one statement runs. */
export class RowTap {
  readonly #socket: Socket
  readonly #driver: DataListener
  readonly #sink: RowSink
  readonly #afterChunk: () => void
  readonly #mine: DataListener
  #phase: 'header' | 'columns' | 'rows' | 'ended' = 'header'
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #needed = 0
  #large: Buffer[] = []
  #sequence = 0

  /** `afterChunk` is called when all rows of what came in were handed to `sink`. */
  constructor(socket: Socket, sink: RowSink, afterChunk: () => void) {
    this.#socket = socket
    this.#sink = sink
    this.#afterChunk = afterChunk
    this.#driver = socket.listeners('data')[0] as DataListener
    this.#mine = (chunk) => this.#take(chunk)
    socket.removeAllListeners('data')
    socket.on('data', this.#mine)
  }

  /** Gives the socket back to the driver. */
  release(): void {
    this.#socket.off('data', this.#mine)
    if (!this.#socket.listeners('data').includes(this.#driver)) this.#socket.on('data', this.#driver)
    this.#socket.resume()
  }

  #take(chunk: Buffer): void {
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes < this.#needed) return
    const buffer = this.#waiting.length === 1 ? chunk : Buffer.concat(this.#waiting)
    const used = this.#packets(buffer)
    const rest = used === buffer.length ? [] : [buffer.subarray(used)]
    this.#waiting = rest
    this.#waitingBytes = buffer.length - used
    this.#afterChunk()
  }

  /** Handles every whole packet; returns where the first cut one begins. */
  #packets(buffer: Buffer): number {
    let at = 0
    while (buffer.length - at >= 4) {
      const length = (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16)
      const end = at + 4 + length
      if (end > buffer.length) {
        this.#needed = 4 + length
        return at
      }
      if (this.#phase === 'rows') this.#rowPacket(buffer, at, end)
      else this.#otherPacket(buffer, at, end)
      at = end
    }
    this.#needed = 4
    return at
  }

  #otherPacket(buffer: Buffer, at: number, end: number): void {
    const first = buffer[at + 4] ?? 0
    this.#sequence = buffer[at + 3] ?? 0
    if (this.#phase === 'header') {
      this.#phase = first === OK || first === ERR || first === LOCAL_INFILE ? 'ended' : 'columns'
    } else if (this.#phase === 'columns' && first === EOF && end - at - 4 < EOF_BYTES) this.#phase = 'rows'
    this.#driver(buffer.subarray(at, end))
  }

  #rowPacket(buffer: Buffer, at: number, end: number): void {
    const length = end - at - 4
    if (length === LONGEST || this.#large.length > 0) {
      this.#large.push(Buffer.from(buffer.subarray(at + 4, end)))
      if (length === LONGEST) return
      const whole = Buffer.concat(this.#large)
      this.#large = []
      this.#sink(whole, 0, whole.length)
      return
    }
    const first = buffer[at + 4] ?? 0
    if (first !== ERR && !(first === EOF && length < EOF_BYTES)) {
      this.#sink(buffer, at + 4, end)
      return
    }
    this.#phase = 'ended'
    const last = Buffer.from(buffer.subarray(at, end))
    last[3] = (this.#sequence + 1) & 0xff
    this.#driver(last)
  }
}

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
