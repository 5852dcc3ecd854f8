import { Request } from 'tedious'

/** A row as the driver gives it, in the order of the select list. */
export type Values = readonly unknown[]

/** Rows that are held before the server is asked to wait. */
const BATCH_ROWS = 1000
const BATCH_BYTES = 4 * 1024 * 1024

interface Column {
  readonly value: unknown
}

/** Rows of a running request until they are taken. While enough are waiting the request is paused, and so the server. */
export class RowBuffer {
  readonly request: Request
  #rows: Values[] = []
  #bytes = 0
  #end: { readonly error: unknown } | undefined
  #dropping = false
  #wake = (): void => undefined

  constructor(sql: string) {
    this.request = new Request(sql, (error) => {
      this.#end = { error }
      this.#wake()
    })
    this.request.on('row', (columns: readonly Column[]) => this.#add(columns.map((column) => column.value)))
  }

  /** Set when the request has ended, with its error if it failed. */
  get end(): { readonly error: unknown } | undefined {
    return this.#end
  }

  get holds(): boolean {
    return this.#rows.length > 0
  }

  /** Waits until there is enough to take, or the request has ended. */
  async filled(): Promise<void> {
    while (this.#end === undefined && !this.#isFull()) await this.#woken()
  }

  /** Undefined when there is nothing. */
  take(): readonly Values[] | undefined {
    if (this.#rows.length === 0) return undefined
    const rows = this.#rows
    this.#rows = []
    this.#bytes = 0
    return rows
  }

  resume(): void {
    this.request.resume()
  }

  /** Lets go of what wasn't taken: cancels the request, or reads it to its end. Resolves when the connection is free again. */
  async drop(cancel: boolean): Promise<void> {
    this.#dropping = true
    if (this.#end === undefined) {
      if (cancel) this.request.cancel()
      else this.request.resume()
    }
    while (this.#end === undefined) await this.#woken()
  }

  #add(values: Values): void {
    if (this.#dropping) return
    this.#rows.push(values)
    this.#bytes += sizeOf(values)
    if (!this.#isFull()) return
    this.request.pause()
    this.#wake()
  }

  #isFull(): boolean {
    return this.#rows.length >= BATCH_ROWS || this.#bytes >= BATCH_BYTES
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

const sizeOf = (values: Values): number =>
  values.reduce<number>((sum, value) => {
    if (typeof value === 'string') return sum + 2 * value.length
    return sum + (Buffer.isBuffer(value) ? value.length : 8)
  }, 16)
