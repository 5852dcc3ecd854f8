import type { Socket } from 'node:net'
import type { Collector } from './rows.ts'
import { type RowSink, RowTap } from './wire.ts'

/** Rows between the socket and whoever takes them. */
export class Flow<T> {
  readonly #collector: Collector<T>
  readonly #socket: Socket
  readonly #tap: RowTap
  #wake: (() => void) | undefined
  #failure: unknown
  #isDiscarding = false
  isEnded = false

  constructor(collector: Collector<T>, socket: Socket, heard: () => void) {
    this.#collector = collector
    this.#socket = socket
    const sink: RowSink = {
      row: (packet, start, end) => this.#add(packet, start, end),
      wholeBytes: collector.wholeBytes,
      part: (bytes, start, end, isLast) => this.#addPart(bytes, start, end, isLast),
    }
    this.#tap = new RowTap(socket, sink, () => {
      heard()
      this.#afterChunk()
    })
  }

  #add(packet: Buffer, start: number, end: number): void {
    if (this.#isDiscarding) return
    try {
      this.#collector.add(packet, start, end)
    } catch (error) {
      this.#fail(error)
    }
  }

  #addPart(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.#isDiscarding) return
    try {
      this.#collector.addPart(bytes, start, end, isLast)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure = error
    this.#isDiscarding = true
  }

  #afterChunk(): void {
    if (this.#collector.ready && !this.#isDiscarding) this.#socket.pause()
    if (this.#collector.ready || this.#isDiscarding) this.#wake?.()
  }

  end(error: unknown): void {
    this.isEnded = true
    this.#failure ??= error
    this.#wake?.()
  }

  discard(): void {
    this.#isDiscarding = true
    this.#socket.resume()
  }

  release(): void {
    this.#tap.release()
  }

  async next(): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const batch = this.#collector.take(this.isEnded)
      if (batch !== undefined || this.isEnded) return batch
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        this.#socket.resume()
      })
      this.#wake = undefined
    }
  }
}
