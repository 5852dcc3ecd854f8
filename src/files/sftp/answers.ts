import { copyTo } from '../lent.ts'
import { member } from './insides.ts'
import { withNames } from './raw-packets.ts'

/** Answers (draft-ietf-secsh-filexfer-02, section 7): length, type, the request's number; after it, of a content, its length and itself. */
const [DATA, NAME, EXTENDED_REPLY] = [103, 104, 201]
const TYPED = 5
const DATA_HEADER = 13

/** A request that ssh2 doesn't know (requests.ts): it would not pass on what is answered. */
interface Own {
  readonly isOwn: true
  readonly cb: (error: undefined, reply: Buffer) => void
}

/** A request to read as ssh2 keeps it (1.17): where its answer goes. */
interface Reading {
  readonly buffer: Buffer
  readonly cb: (error: undefined, into: Buffer, count: number) => void
}

/**
 * Has the answers that a session is sent before ssh2 sees them. Contents are led straight to where their reader wants them: ssh2 gathers each in
 * a new buffer first and copies it from there, a quarter of a mebibyte twice over for every request. Names get their bytes that aren't UTF-8 as
 * raw-names.ts has them: ssh2 would lose them. Its own affair (1.17: a session gets its packets by `push`, its requests stand in `_requests`):
 * what isn't as expected there is passed on as it came.
 */
export function receiveAnswers(session: object): void {
  const push = member(session, 'push')
  if (typeof push !== 'function') return
  const answers = new Answers(session)
  Reflect.set(session, 'push', (bytes: Buffer | null): unknown => {
    if (bytes === null) return Reflect.apply(push, session, [null])
    let goesOn: unknown
    for (const piece of answers.pass(bytes)) goesOn = Reflect.apply(push, session, [piece])
    return goesOn
  })
}

interface Filling {
  readonly id: number
  readonly reading: Reading
  readonly length: number
  filled: number
}

class Answers {
  readonly #session: object
  /** Of the packet under way: bytes still to come of one that is passed on as it is, or the content that is being taken in. */
  #passing = 0
  #filling: Filling | undefined
  /** The beginning of a packet of which too little has come. */
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
        const begun = this.#begin(bytes, at, pieces)
        if (begun === undefined) {
          this.#held = Buffer.from(bytes.subarray(at))
          break
        }
        at += begun
      }
    }
    return pieces
  }

  /** Looks at a packet's beginning; bytes of it that are dealt with. `undefined`: too little has come. */
  #begin(bytes: Buffer, at: number, pieces: Buffer[]): number | undefined {
    const come = bytes.length - at
    if (come < TYPED) return undefined
    const length = 4 + bytes.readUInt32BE(at)
    const type = bytes[at + 4]
    if (type === NAME) {
      if (come < length) return undefined
      pieces.push(withNames(bytes.subarray(at, at + length)))
      return length
    }
    if (type === EXTENDED_REPLY) {
      if (come < TYPED + 4) return undefined
      const own = this.#ownOf(bytes.readUInt32BE(at + TYPED))
      if (own !== undefined && come < length) return undefined
      if (own !== undefined) {
        own(Buffer.from(bytes.subarray(at + TYPED + 4, at + length)))
        return length
      }
    }
    if (type === DATA) {
      if (come < DATA_HEADER) return undefined
      const id = bytes.readUInt32BE(at + TYPED)
      const content = bytes.readUInt32BE(at + TYPED + 4)
      const reading = this.#readingOf(id)
      if (reading !== undefined && content > 0 && content <= reading.buffer.length && length === DATA_HEADER + content) {
        this.#filling = { id, reading, length: content, filled: 0 }
        return DATA_HEADER
      }
    }
    this.#passing = length
    return 0
  }

  #fill(filling: Filling, bytes: Buffer, at: number): number {
    const { id, reading, length } = filling
    const taken = Math.min(bytes.length - at, length - filling.filled)
    copyTo(reading.buffer, filling.filled, at === 0 && taken === bytes.length ? bytes : bytes.subarray(at, at + taken))
    filling.filled += taken
    if (filling.filled < length) return taken
    this.#filling = undefined
    const requests = member(this.#session, '_requests')
    // Given up meanwhile: whoever asked was told.
    if (typeof requests !== 'object' || requests === null || Reflect.get(requests, id) !== reading) return taken
    Reflect.deleteProperty(requests, id)
    reading.cb(undefined, reading.buffer, length)
    return taken
  }

  /** Takes a request of our own out of those that wait, with its answer. */
  #ownOf(id: number): ((reply: Buffer) => void) | undefined {
    const requests = member(this.#session, '_requests')
    const request = member(requests, `${id}`)
    if (!isOwn(request)) return undefined
    return (reply) => {
      if (typeof requests === 'object' && requests !== null) Reflect.deleteProperty(requests, id)
      request.cb(undefined, reply)
    }
  }

  #readingOf(id: number): Reading | undefined {
    const request = member(member(this.#session, '_requests'), `${id}`)
    return isReading(request) ? request : undefined
  }
}

const isOwn = (request: unknown): request is Own =>
  member(request, 'isOwn') === true && typeof member(request, 'cb') === 'function'

const isReading = (request: unknown): request is Reading =>
  Buffer.isBuffer(member(request, 'buffer')) && typeof member(request, 'cb') === 'function'
