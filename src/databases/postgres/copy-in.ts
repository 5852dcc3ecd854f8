import type { Connection } from 'pg'

/** Message types of the protocol (PostgreSQL documentation, "Message Formats"). */
export const COPY_DATA = 0x64
export const COPY_DONE = 0x63
const COPY_FAIL = 0x66
/** Type byte and length, which counts itself. */
const HEADER_BYTES = 5
const LENGTH_BYTES = 4

/**
 * COPY … FROM STDIN. A block is handed to the socket as it is; when it has been taken, its buffer may be used again
 * ("Message Flow", "COPY Operations").
 */
export class CopyIn {
  readonly #sql: string
  readonly #begun = Promise.withResolvers<Connection>()
  readonly #ended = Promise.withResolvers<void>()
  #failure: { readonly error: unknown } | undefined
  /** Tells whoever waits of a failure. */
  #refuse: ((error: unknown) => void) | undefined
  #rows = 0

  constructor(sql: string) {
    this.#sql = sql
    // Whoever waits for them sees what they fail with; until then it is nobody's.
    this.#begun.promise.catch(() => undefined)
    this.#ended.promise.catch(() => undefined)
  }

  /** Waits for a thing, one at a time, unless the copy fails meanwhile: then it throws why. */
  async unlessFailed<T>(thing: Promise<T>): Promise<T> {
    // Not by a race against the copy's end: that would hold every block until then.
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#refuse = reject
        if (this.#failure !== undefined) reject(this.#failure.error)
        thing.then(resolve, reject)
      })
    } finally {
      this.#refuse = undefined
    }
  }

  /** Sends whole rows. Resolves when the socket has done with the buffer. Throws the driver's errors. */
  async write(bytes: Buffer): Promise<void> {
    const { stream } = await this.#begun.promise
    const taken = new Promise<void>((resolve) => {
      stream.cork()
      stream.write(header(COPY_DATA, bytes.length))
      // A socket that fails is told of by the driver, with what the server said last.
      stream.write(bytes, (error) => {
        if (!error) resolve()
      })
      stream.uncork()
    })
    await this.unlessFailed(taken)
  }

  /** Tells that all rows were sent; returns how many the server took. Throws the driver's errors. */
  async finish(): Promise<number> {
    const { stream } = await this.#begun.promise
    stream.write(header(COPY_DONE, 0))
    await this.#ended.promise
    return this.#rows
  }

  /** Gives up: the server ends the statement with an error, which is what was asked for. Never throws. */
  async abandon(): Promise<void> {
    try {
      const { stream } = await this.#begun.promise
      const words = Buffer.from('there are no more rows\0')
      stream.write(Buffer.concat([header(COPY_FAIL, words.length), words]))
      await this.#ended.promise
    } catch {
      // That is how it ends.
    }
  }

  /** Called by the driver when its turn has come. */
  submit(connection: Connection): void {
    connection.query(this.#sql)
  }

  /** Called by the driver: the server waits for rows. */
  handleCopyInResponse(connection: Connection): void {
    this.#begun.resolve(connection)
  }

  /** Called by the driver: the server's refusal, or the end of the connection. */
  handleError(error: unknown): void {
    this.#failure ??= { error }
    this.#begun.reject(error)
    this.#ended.reject(error)
    this.#refuse?.(error)
  }

  /** Called by the driver with the statement's tag ("COPY 1000"). */
  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#rows = Number(/^COPY (\d+)/.exec(text)?.[1] ?? 0)
  }

  handleReadyForQuery(): void {
    this.#ended.resolve()
  }
}

/** What stands before a message of so many bytes. */
export function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt8(type)
  bytes.writeUInt32BE(length + LENGTH_BYTES, 1)
  return bytes
}
