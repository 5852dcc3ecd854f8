/** Pieces of contents on their way, and where their memory goes back to. */
const owners = new WeakMap<Buffer, Lender>()

/**
 * Memory for the pieces of large contents, lent and given back: left to the garbage collector, hundreds of mebibytes of it lie about before
 * it comes. Whoever gets such a piece may keep it; when it says that it is done (`giveBack`), the memory is used for another one.
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
    const whole = this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#bytesEach)
    const piece = length === whole.length ? whole : whole.subarray(0, length)
    owners.set(piece, this)
    return piece
  }

  /** @internal Use `giveBack`. */
  takeBack(piece: Buffer): void {
    if (this.#idle.length < this.#most) this.#idle.push(Buffer.from(piece.buffer, 0, this.#bytesEach))
  }
}

/** Says that nobody looks at a piece any more, nor writes to it. What was never lent, or was given back before, is left alone. */
export function giveBack(piece: Buffer): void {
  const owner = owners.get(piece)
  if (owner === undefined) return
  owners.delete(piece)
  owner.takeBack(piece)
}
