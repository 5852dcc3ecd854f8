import type { Socket } from 'node:net'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'

export type Direction = 'up' | 'down'

/** A line that is long, and narrow in either direction, for all of its connections together. */
export interface Narrow {
  /** From one end to the other, of every byte; half a round trip. */
  readonly delayMs: number
  readonly bytesPerSecond: number
}

/** Bytes, from the least to the most, between one accident and the next, each time by chance: as often some thousands as some hundred thousands. */
export type Every = readonly [least: number, most: number]

export interface Weather {
  /** Every connection is reset, and new ones are taken at once. */
  readonly cut?: Every
  /** A bit is turned over; of FTP in the clear, only of its data connections. */
  readonly flip?: Every
}

/** Held back at most before the sender has to wait, milliseconds of the line's time. */
const MOST_WAITING_MS = 20

/** When what comes in at one end of a narrow line comes out at the other. */
export class NarrowWay {
  readonly #narrow: Narrow
  /** When the last byte of what was taken in is on its way, by `performance.now`. */
  readonly #freeAt = { up: 0, down: 0 }

  constructor(narrow: Narrow) {
    this.#narrow = narrow
  }

  /** Takes bytes in; returns when they are due at the other end. */
  take(bytes: number, direction: Direction): number {
    const begins = Math.max(performance.now(), this.#freeAt[direction])
    this.#freeAt[direction] = begins + (bytes * 1000) / this.#narrow.bytesPerSecond
    return this.#freeAt[direction] + this.#narrow.delayMs
  }

  /** Waits until the line has room for more. */
  async room(direction: Direction): Promise<void> {
    const ms = this.#freeAt[direction] - performance.now() - MOST_WAITING_MS
    if (ms > 0) await wait(ms)
  }
}

/** Accidents on a line, at the same bytes for the same seed and traffic. */
export class Accidents {
  readonly #random: () => number
  readonly #weather: Weather
  #toCut: number
  #toFlip: number

  constructor(seed: number, weather: Weather) {
    this.#random = randomFrom(seed)
    this.#weather = weather
    this.#toCut = this.#next(weather.cut)
    this.#toFlip = this.#next(weather.flip)
  }

  /** True when a cut falls among these bytes. */
  cuts(bytes: number): boolean {
    this.#toCut -= bytes
    if (this.#toCut > 0) return false
    this.#toCut = this.#next(this.#weather.cut)
    return true
  }

  /** Where in the next so many bytes bits are turned over. */
  flips(bytes: number): readonly number[] {
    const places: number[] = []
    for (; this.#toFlip < bytes; this.#toFlip += this.#next(this.#weather.flip)) places.push(this.#toFlip)
    this.#toFlip -= bytes
    return places
  }

  #next(every: Every | undefined): number {
    if (every === undefined) return Number.POSITIVE_INFINITY
    const [least, most] = every
    return Math.round(least * (most / least) ** this.#random())
  }
}

/** Bytes with a bit turned over at each of the places; the same when there is none. */
export function withFlips(bytes: Buffer, places: readonly number[]): Buffer {
  if (places.length === 0) return bytes
  const changed = Buffer.from(bytes)
  for (const at of places) changed[at] = (changed[at] ?? 0) ^ 0x10
  return changed
}

const [CR, LF] = [13, 10]

/** Sends bytes on in pieces of odd lengths, some of them late; whole without `random`. Returns when they are sent or nobody takes them. */
export async function deliver(to: Socket, bytes: Buffer, random: (() => number) | undefined): Promise<void> {
  for (const piece of pieces(bytes, random)) {
    if (to.destroyed) return
    if (!to.write(piece)) await drained(to)
    if (random !== undefined) await (random() < 0.02 ? wait(1 + random() * 4) : turn())
  }
}

function* pieces(bytes: Buffer, random: (() => number) | undefined): Generator<Buffer> {
  if (random === undefined) return yield bytes
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random() * Math.min(16_384, bytes.length))
    // ProFTPD waits for ever behind a command whose CR and LF come apart, which one write hardly ever is to.
    const end = bytes[at + length - 1] === CR && bytes[at + length] === LF ? at + length + 1 : at + length
    yield bytes.subarray(at, end)
    at = end
  }
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const over = (): void => {
      socket.off('drain', over).off('close', over)
      resolve()
    }
    socket.on('drain', over).on('close', over)
  })

/** Numbers from 0 to below 1, the same ones for the same seed (a linear congruential generator, Numerical Recipes' constants). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
