import { Socket } from 'node:net'

/** Enough for what the kernel holds of one connection. */
const READ_BYTES = 256 * 1024
/** Of all connections: what is in it is used before the next of them is read. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES)

type Reader = (view: Buffer) => void

/**
 * A socket that is read into one buffer which all of them share (net.Socket, `onread`), since a buffer of its own for every read keeps
 * the garbage collector as busy as the copy itself (buffers.ts). Whoever listens to `data`, as the driver does, gets a copy.
 */
export class WireSocket extends Socket {
  /** Takes what is read in place of those who listen; it may look at a view as long as it doesn't return. */
  reader: Reader | undefined

  constructor() {
    const take = (bytes: number): boolean => {
      const view = shared.subarray(0, bytes)
      if (this.reader === undefined) this.emit('data', Buffer.from(view))
      else this.reader(view)
      return true
    }
    super({ onread: { buffer: shared, callback: take } })
  }
}
