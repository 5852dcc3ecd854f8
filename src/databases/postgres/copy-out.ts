import type { Duplex } from 'node:stream'
import type { Connection } from 'pg'
import { systemClock } from '../../base/clock.ts'
import { LENT_BYTES, lendBuffer } from '../buffers.ts'
import type { Block } from '../port.ts'
import { WireSocket } from '../wire-socket.ts'
import { BINARY_HEADER, BINARY_TRAILER } from './binary.ts'

/** Message types of the protocol (PostgreSQL documentation, "Message Formats"). */
const COPY_DATA = 0x64
const COPY_DONE = 0x63
const ERROR_RESPONSE = 0x45
const READY_FOR_QUERY = 0x5a
/** Type byte and length. */
const HEADER_BYTES = 5

/** Blocks that may wait for the consumer; the server is held back beyond that. */
const MOST_WAITING = 2
/** Up to here a loop is quicker than a call. */
const SHORT_ROW_BYTES = 40
const FIRST_BLOCK_BYTES = 8 * 1024

type DataListener = (chunk: Buffer) => void

/**
 * COPY … TO STDOUT whose rows are handed on as they lie on the wire. While it runs, it reads the socket in the driver's place: the
 * driver makes objects of every row, which costs more than all the rest of a copy. The server sends each row as one message
 * ("Message Flow", "COPY Operations"), so blocks are cut at row ends without looking into them. Of the binary format, what stands
 * before the first row and after the last is left out.
 * Other statements of the same query may stand before and after the COPY.
 */
export class CopyOut {
  readonly #sql: string
  readonly #blockBytes: number
  readonly #waiting: Block[] = []
  #stream: Duplex | undefined
  #driver: DataListener | undefined
  #wake: (() => void) | undefined
  /** Begins with a header that wasn't whole. */
  #rest: Buffer | undefined
  /** Bytes of the row at hand that are still to come. */
  #missing = 0
  #block: Buffer
  #filled = 0
  #rows = 0
  #failure: { readonly error: unknown } | undefined
  #ended = false
  #discarding = false
  #heardAt = 0
  readonly #binary: boolean
  /** Bytes that are still to come before the first row, and those among them that are in the message at hand. */
  #before: number
  #skipping = 0

  constructor(sql: string, { blockBytes, binary }: { readonly blockBytes: number; readonly binary: boolean }) {
    this.#sql = sql
    this.#blockBytes = blockBytes
    this.#binary = binary
    this.#before = binary ? BINARY_HEADER.length : 0
    this.#block = Buffer.alloc(0)
  }

  /** True when the server has done all of it, without an error. */
  get ended(): boolean {
    return this.#ended
  }

  /** True when the server, or the connection, ended it with an error. */
  get failed(): boolean {
    return this.#failure !== undefined
  }

  /** When anything last came (monotonic clock). */
  get heardAt(): number {
    return this.#heardAt
  }

  /** The next block; `undefined` after the last, when the server is ready for another statement. Throws the driver's errors. */
  async next(): Promise<Block | undefined> {
    for (;;) {
      const block = this.#waiting.shift()
      if (block !== undefined) {
        if (this.#waiting.length < MOST_WAITING) this.#stream?.resume()
        return block
      }
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Throws away what is still to come; resolves when the server has ended it. An error is what a cancelled copy ends with. */
  async discard(): Promise<void> {
    this.#discarding = true
    this.#waiting.length = 0
    this.#stream?.resume()
    while (!this.#ended && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Called by the driver when its turn has come. */
  submit(connection: Connection): void {
    const { stream } = connection
    this.#stream = stream
    if (stream instanceof WireSocket) {
      stream.reader = this.#onData
      connection.query(this.#sql)
      return
    }
    const [listener] = stream.listeners('data')
    if (listener === undefined) {
      this.handleError(new Error('The driver does not read its socket as this copy expects.'))
      return
    }
    this.#driver = listener as DataListener
    stream.removeListener('data', this.#driver)
    stream.on('data', this.#onData)
    connection.query(this.#sql)
  }

  /** Called by the driver: the server's refusal, or the end of the connection. */
  handleError(error: unknown): void {
    this.#failure ??= { error }
    this.#detach()
    this.#stir()
  }

  /** Called by the driver for each statement; what they did is known from the rows. */
  handleCommandComplete(): void {
    // Nothing is learnt from it.
  }

  /** Called by the driver after an empty statement. */
  handleEmptyQuery(): void {
    // Nothing is learnt from it.
  }

  handleReadyForQuery(): void {
    this.#emit()
    this.#ended = true
    this.#stir()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#heardAt = systemClock.monotonic()
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    const handedBack = this.#read(bytes)
    if (handedBack !== undefined) {
      const stream = this.#stream
      this.#detach()
      // A view of what is read into again: the driver may keep some of it.
      if (handedBack.length > 0) stream?.emit('data', Buffer.from(handedBack))
      stream?.resume()
    } else if (this.#waiting.length >= MOST_WAITING && !this.#discarding) this.#stream?.pause()
  }

  /** Takes rows from a chunk. Returns what is the driver's again, when the copy has ended. */
  #read(chunk: Buffer): Buffer | undefined {
    let at = 0
    while (at < chunk.length) {
      if (this.#skipping > 0) {
        const skip = Math.min(this.#skipping, chunk.length - at)
        at += skip
        this.#skipping -= skip
        continue
      }
      if (this.#missing > 0) {
        const take = Math.min(this.#missing, chunk.length - at)
        this.#append(chunk, at, take)
        at += take
        this.#missing -= take
        continue
      }
      if (chunk.length - at < HEADER_BYTES) break
      const type = chunk[at]
      if (type === ERROR_RESPONSE || type === READY_FOR_QUERY) return chunk.subarray(at)
      const length = chunk.readUInt32BE(at + 1) - 4
      if (type === COPY_DATA) {
        this.#skipping = Math.min(this.#before, length)
        this.#before -= this.#skipping
        this.#missing = length - this.#skipping
        if (this.#missing > 0 || !this.#binary) this.#beginRow(this.#missing)
        at += HEADER_BYTES
        continue
      }
      if (chunk.length - at < HEADER_BYTES + length) break
      at += HEADER_BYTES + length
      if (type === COPY_DONE) {
        if (this.#binary) this.#dropTrailer()
        return chunk.subarray(at)
      }
    }
    if (at < chunk.length) this.#rest = Buffer.from(chunk.subarray(at))
    return undefined
  }

  #beginRow(length: number): void {
    if (this.#filled + length > this.#block.length) {
      // Small tables take little memory: only a copy that goes on gets whole blocks.
      const size = Math.min(this.#blockBytes, Math.max(FIRST_BLOCK_BYTES, this.#block.length * 8))
      this.#emit()
      this.#block = size === LENT_BYTES && length <= size ? lendBuffer() : Buffer.allocUnsafeSlow(Math.max(size, length))
    }
    this.#rows += 1
  }

  #append(chunk: Buffer, from: number, length: number): void {
    const block = this.#block
    const to = this.#filled
    if (length <= SHORT_ROW_BYTES) for (let at = 0; at < length; at += 1) block[to + at] = chunk[from + at] ?? 0
    else block.set(new Uint8Array(chunk.buffer, chunk.byteOffset + from, length), to)
    this.#filled += length
  }

  /** The end of the binary format is a message like those of rows. */
  #dropTrailer(): void {
    const from = this.#filled - BINARY_TRAILER.length
    if (this.#before > 0 || from < 0 || !this.#block.subarray(from, this.#filled).equals(BINARY_TRAILER)) {
      this.#failure ??= { error: new Error('The server ended a binary copy otherwise than its format says.') }
      return
    }
    this.#filled = from
    this.#rows -= 1
  }

  #emit(): void {
    if (this.#rows > 0 && !this.#discarding) {
      this.#waiting.push({ rows: this.#rows, bytes: this.#block.subarray(0, this.#filled) })
      this.#stir()
    }
    this.#filled = 0
    this.#rows = 0
  }

  #detach(): void {
    if (this.#stream instanceof WireSocket) this.#stream.reader = undefined
    if (this.#stream === undefined || this.#driver === undefined) return
    this.#stream.removeListener('data', this.#onData)
    this.#stream.on('data', this.#driver)
    this.#driver = undefined
  }

  #stir(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
