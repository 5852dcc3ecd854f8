import { BLOCK, paddingOf, readHeader } from '../tar.ts'

export interface Found {
  readonly name: Buffer
  /** `null` for what is no plain file, or is larger than was allowed. */
  readonly bytes: Buffer | null
}

const LONG_NAME = 'L'
const PLAIN = '0'
/** Small contents are cut from pieces of this size: a buffer of its own for each costs more than the copying. */
const SLAB = 256 * 1024
/** The longest name that is taken in, bytes: PATH_MAX of Linux. */
const MOST_NAME = 4096

/** Takes an archive apart while it comes, in pieces of any length. Contents larger than `most` bytes are passed over. */
export class TarMembers {
  readonly #most: number
  readonly #found: (member: Found) => void
  readonly #block = Buffer.alloc(BLOCK)
  #slab = Buffer.alloc(0)
  #filled = 0
  #content: Buffer | null = null
  #got = 0
  #size = 0
  #padding = 0
  #type = ''
  #name: Buffer | null = null
  #longName: Buffer | null = null

  constructor(most: number, found: (member: Found) => void) {
    this.#most = most
    this.#found = found
  }

  /** Throws when it isn't an archive. */
  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#name !== null) at += this.#takeContent(bytes, at)
      else if (this.#padding > 0) {
        const passed = Math.min(this.#padding, bytes.length - at)
        this.#padding -= passed
        at += passed
      } else {
        const taken = bytes.copy(this.#block, this.#filled, at, at + BLOCK - this.#filled)
        this.#filled += taken
        at += taken
        if (this.#filled === BLOCK) this.#begin()
      }
    }
  }

  #begin(): void {
    this.#filled = 0
    const header = readHeader(this.#block)
    if (header === undefined) throw new Error('this is no tar archive')
    if (header === null) return
    const { name, size, type } = header
    const isTaken = type === LONG_NAME ? size <= MOST_NAME : type === PLAIN && size <= this.#most
    this.#type = type
    this.#name = type === LONG_NAME ? name : (this.#longName ?? name)
    this.#content = isTaken ? this.#room(size) : null
    this.#size = size
    this.#got = 0
    this.#padding = paddingOf(size)
    if (size === 0) this.#end(this.#name)
  }

  #room(size: number): Buffer {
    if (size > SLAB / 8) return Buffer.allocUnsafeSlow(size)
    if (this.#slab.length < size) this.#slab = Buffer.allocUnsafeSlow(SLAB)
    const room = this.#slab.subarray(0, size)
    this.#slab = this.#slab.subarray(size)
    return room
  }

  #takeContent(bytes: Buffer, at: number): number {
    const length = Math.min(this.#size - this.#got, bytes.length - at)
    if (this.#content !== null) bytes.copy(this.#content, this.#got, at, at + length)
    this.#got += length
    if (this.#got === this.#size && this.#name !== null) this.#end(this.#name)
    return length
  }

  #end(name: Buffer): void {
    const content = this.#content
    this.#name = null
    this.#content = null
    if (this.#type === LONG_NAME) {
      this.#longName = content === null ? null : content.subarray(0, Math.max(0, content.indexOf(0)))
      return
    }
    this.#longName = null
    this.#found({ name, bytes: this.#type === PLAIN ? content : null })
  }
}
