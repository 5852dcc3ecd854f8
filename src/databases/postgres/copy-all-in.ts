import type { Connection } from 'pg'
import { COPY_DATA, COPY_DONE, header } from './copy-in.ts'

interface Copy {
  readonly sql: string
  readonly bytes: Buffer
}

/**
 * Several COPY … FROM STDIN as one question, with all that they are given right behind it: a server that ends one of them with an error
 * leaves the others undone, and drops what comes for them ("Message Flow", "COPY Operations").
 */
export class CopyAllIn {
  readonly #copies: readonly Copy[]
  readonly #taken = Promise.withResolvers<readonly number[]>()
  readonly #rows: number[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(copies: readonly Copy[]) {
    this.#copies = copies
    // Whoever waits for it sees what it fails with; until then it is nobody's.
    this.#taken.promise.catch(() => undefined)
  }

  /** The rows that the server took of each. Rejects with the driver's errors. */
  get taken(): Promise<readonly number[]> {
    return this.#taken.promise
  }

  /** The first that isn't done. */
  get atWork(): string {
    return this.#copies[this.#rows.length]?.sql ?? ''
  }

  /** Called by the driver when its turn has come. */
  submit(connection: Connection): void {
    const { stream } = connection
    stream.cork()
    connection.query(this.#copies.map(({ sql }) => sql).join('; '))
    for (const { bytes } of this.#copies) {
      stream.write(Buffer.concat([header(COPY_DATA, bytes.length), bytes, header(COPY_DONE, 0)]))
    }
    stream.uncork()
  }

  /** Called by the driver for each of them: the rows are on their way. */
  handleCopyInResponse(): void {
    // Nothing is learnt from it.
  }

  /** Called by the driver: the server's refusal, or the end of the connection. */
  handleError(error: unknown): void {
    this.#failure ??= { error }
    this.#taken.reject(error)
  }

  /** Called by the driver with each statement's tag ("COPY 1000"). */
  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#rows.push(Number(/^COPY (\d+)/.exec(text)?.[1] ?? 0))
  }

  handleReadyForQuery(): void {
    this.#taken.resolve(this.#rows)
  }
}
