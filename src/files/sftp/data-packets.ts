/** An answer to a read (draft-ietf-secsh-filexfer-02, section 7): its length, its type, the request's number, the content's length, the content. */
const DATA = 103
const TYPED = 5
const HEADER = 13

/** A request to read as ssh2 keeps it (1.17): where its answer goes. */
interface Reading {
  readonly buffer: Buffer
  readonly cb: (error: undefined, into: Buffer, count: number) => void
}

/**
 * Leads the contents that a session is sent straight to where their reader wants them. ssh2 gathers each answer in a new buffer first and
 * copies it from there: a quarter of a mebibyte twice over for every request. Its own affair (1.17: a session gets its packets by `push`, its
 * requests stand in `_requests`): what isn't as expected there is passed on as it came.
 */
export function receiveInPlace(session: object): void {
  const push: unknown = Reflect.get(session, 'push')
  if (typeof push !== 'function') return
  const packets = new DataPackets(session)
  Reflect.set(session, 'push', (bytes: Buffer | null): unknown => {
    if (bytes === null) return Reflect.apply(push, session, [null])
    let goesOn: unknown
    for (const piece of packets.pass(bytes)) goesOn = Reflect.apply(push, session, [piece])
    return goesOn
  })
}

interface Filling {
  readonly id: number
  readonly reading: Reading
  readonly length: number
  filled: number
}

class DataPackets {
  readonly #session: object
  /** Of the packet under way: bytes still to come of one that is passed on as it is, or the content that is being taken in. */
  #passing = 0
  #filling: Filling | undefined
  /** The beginning of a packet of which too little has come to tell. */
  #held: Buffer = Buffer.alloc(0)

  constructor(session: object) {
    this.#session = session
  }

  /** Takes in what has a place; the rest is to be handed on. */
  pass(given: Buffer): readonly Buffer[] {
    const bytes = this.#held.length === 0 ? given : Buffer.concat([this.#held, given])
    this.#held = Buffer.alloc(0)
    const pieces: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      if (this.#filling !== undefined) {
        at += this.#fill(this.#filling, bytes, at)
      } else if (this.#passing > 0) {
        const end = Math.min(bytes.length, at + this.#passing)
        pieces.push(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
        this.#passing -= end - at
        at = end
      } else {
        const begun = this.#begin(bytes, at)
        if (begun === undefined) {
          this.#held = Buffer.from(bytes.subarray(at))
          break
        }
        at += begun
      }
    }
    return pieces
  }

  /** Looks at a packet's beginning; bytes of it that nobody needs any more. `undefined`: too little has come to tell. */
  #begin(bytes: Buffer, at: number): number | undefined {
    const come = bytes.length - at
    if (come < TYPED) return undefined
    const length = bytes.readUInt32BE(at)
    if (bytes[at + 4] === DATA) {
      if (come < HEADER) return undefined
      const id = bytes.readUInt32BE(at + TYPED)
      const content = bytes.readUInt32BE(at + TYPED + 4)
      const reading = this.#readingOf(id)
      if (reading !== undefined && content > 0 && content <= reading.buffer.length && length === content + HEADER - 4) {
        this.#filling = { id, reading, length: content, filled: 0 }
        return HEADER
      }
    }
    this.#passing = length + 4
    return 0
  }

  #fill(filling: Filling, bytes: Buffer, at: number): number {
    const { id, reading, length } = filling
    const taken = bytes.copy(reading.buffer, filling.filled, at, Math.min(bytes.length, at + length - filling.filled))
    filling.filled += taken
    if (filling.filled < length) return taken
    this.#filling = undefined
    const requests = this.#requests()
    // Given up meanwhile: whoever asked was told.
    if (requests === undefined || Reflect.get(requests, id) !== reading) return taken
    Reflect.deleteProperty(requests, id)
    reading.cb(undefined, reading.buffer, length)
    return taken
  }

  #readingOf(id: number): Reading | undefined {
    const requests = this.#requests()
    const request: unknown = requests === undefined ? undefined : Reflect.get(requests, id)
    return isReading(request) ? request : undefined
  }

  #requests(): object | undefined {
    const requests: unknown = Reflect.get(this.#session, '_requests')
    return typeof requests === 'object' && requests !== null ? requests : undefined
  }
}

function isReading(request: unknown): request is Reading {
  if (typeof request !== 'object' || request === null) return false
  return Buffer.isBuffer(Reflect.get(request, 'buffer')) && typeof Reflect.get(request, 'cb') === 'function'
}
