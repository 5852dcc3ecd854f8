/** A piece that is lent: whose it is, whether it was given back, and how many still look at it. */
interface Lent {
  readonly owner: Lender
  isGivenBack: boolean
  lookers: number
}

/** Pieces of contents on their way, and where their memory goes back to. */
const lent = new WeakMap<Buffer, Lent>()

/**
 * Memory for the pieces of large contents, lent and given back: left to the garbage collector, hundreds of mebibytes of it lie about before
 * it comes. Whoever gets such a piece may keep it; when it says that it is done (`giveBack`), the memory is used for another one. Other threads
 * may look at it as it is, too.
 */
export class Lender {
  readonly #bytesEach: number
  readonly #most: number
  readonly #idle: Buffer[] = []

  /** `most`: so many pieces are kept for later, idle. */
  constructor(bytesEach: number, most: number) {
    this.#bytesEach = bytesEach
    this.#most = most
  }

  /** A piece of so many bytes, with whatever is in it; one much shorter than those that are kept, or longer, is made for the purpose. */
  lend(length: number): Buffer {
    if (length > this.#bytesEach || length < this.#bytesEach / 2) return Buffer.allocUnsafeSlow(length)
    const whole = this.#idle.pop() ?? Buffer.from(new SharedArrayBuffer(this.#bytesEach))
    const piece = length === whole.length ? whole : whole.subarray(0, length)
    lent.set(piece, { owner: this, isGivenBack: false, lookers: 0 })
    return piece
  }

  /** @internal Use `giveBack`. */
  takeBack(piece: Buffer): void {
    if (this.#idle.length < this.#most) this.#idle.push(Buffer.from(piece.buffer, 0, this.#bytesEach))
  }
}

/** Says that nobody writes to a piece any more, nor looks at it but by `lookAt`. What was never lent, or was given back before, is left alone. */
export function giveBack(piece: Buffer): void {
  const its = lent.get(piece)
  if (its === undefined) return
  its.isGivenBack = true
  end(piece, its)
}

/** Keeps a piece as it is until `done` is called, once, even when it is given back meanwhile. */
export function lookAt(piece: Buffer): { done(): void } {
  const its = lent.get(piece)
  if (its !== undefined) its.lookers += 1
  return {
    done: () => {
      if (its === undefined) return
      its.lookers -= 1
      end(piece, its)
    },
  }
}

function end(piece: Buffer, its: Lent): void {
  if (!its.isGivenBack || its.lookers > 0) return
  lent.delete(piece)
  its.owner.takeBack(piece)
}

/**
 * Copies bytes, at least one, to a place in a buffer. `copy` and `set` take ten times as long to or from memory that threads share (V8 does it
 * word by word; Node 22.18 and 24.21), `fill` doesn't.
 */
export function copyTo(buffer: Buffer, at: number, bytes: Uint8Array): void {
  buffer.fill(bytes, at, at + bytes.length)
}
