import { Connection, Request } from 'tedious'
import { MigrateError } from '../../base/errors.ts'
import { giveBack } from '../buffers.ts'
import { type RawBatch, RowSplitter } from './tds-rows.ts'

type Parser = Connection['createTokenStreamParser']
type Message = Parameters<Parser>[0]

/** A connection of the driver that can give the rows of an answer as bytes, before anything is made of them. */
export class RowConnection extends Connection {
  /** For the next answer. */
  #raw: RawRows | undefined

  /** As execSql, but that the rows go where `raw` has them. */
  execRaw(raw: RawRows): void {
    this.#raw = raw
    this.execSql(raw.request)
  }

  override createTokenStreamParser(...[message, handler]: Parameters<Parser>): ReturnType<Parser> {
    const raw = this.#raw
    this.#raw = undefined
    if (raw !== undefined) divert(message, raw)
    return super.createTokenStreamParser(message, handler)
  }
}

/** The parser iterates over the message: what it gets lacks the rows. */
function divert(message: Message, raw: RawRows): void {
  const chunks = message[Symbol.asyncIterator]()
  Object.defineProperty(message, Symbol.asyncIterator, { value: () => raw.without(chunks) })
}

/** With the names of the columns' code pages as the driver tells them ("CP1252"). */
export interface CodedBatch extends RawBatch {
  readonly codePages: readonly (string | undefined)[]
}

/** Rows of a running request until they are taken. While enough are waiting no more are read, and so the server waits. */
export class RawRows {
  readonly request: Request
  readonly #splitter: RowSplitter
  #codePages: CodedBatch['codePages'] = []
  #strayed = false
  #end: { readonly error: unknown } | undefined
  #dropping = false
  #wake = (): void => undefined
  #room = (): void => undefined

  /** `flagged`: see RowSplitter. */
  constructor(sql: string, flagged: boolean) {
    this.#splitter = new RowSplitter(flagged)
    this.request = new Request(sql, (error) => {
      this.#end = { error: error ?? (this.#strayed ? strayed() : undefined) }
      this.#wake()
    })
    // The splitter passed it on, which it only does behind a token that it doesn't know: what is left out is never left out in silence.
    this.request.on('row', () => {
      this.#strayed = true
    })
    // The answer is read to its end then, whoever took its rows.
    this.request.on('cancel', () => {
      this.#dropping = true
      this.#room()
    })
    this.request.on('columnMetadata', (columns) => {
      if (Array.isArray(columns)) this.#codePages = columns.map(({ collation }) => collation?.codepage)
    })
  }

  get end(): { readonly error: unknown } | undefined {
    return this.#end
  }

  get holds(): boolean {
    return this.#splitter.holds
  }

  /** Waits until there is enough to take, or the request has ended. */
  async filled(): Promise<void> {
    while (this.#end === undefined && !this.#splitter.isFull) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  take(): CodedBatch | undefined {
    const batch = this.#splitter.take()
    return batch && { ...batch, codePages: this.#codePages }
  }

  resume(): void {
    this.#room()
  }

  /** Lets go of what wasn't taken: cancels the request, or reads it to its end. Resolves when the connection is free again. */
  async drop(cancel: boolean): Promise<void> {
    this.#dropping = true
    if (this.#end === undefined && cancel) this.request.cancel()
    this.#room()
    while (this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#discard()
  }

  /** What an answer holds besides its rows. */
  async *without(chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      this.#splitter.add(next.value)
      for (let rest = this.#splitter.next(); rest !== undefined; rest = this.#splitter.next()) {
        if (rest !== 'full') yield rest
        else if (this.#dropping) this.#discard()
        else await this.#taken()
      }
    }
  }

  #discard(): void {
    const batch = this.#splitter.take()
    if (batch !== undefined) giveBack(batch.bytes)
  }

  async #taken(): Promise<void> {
    const room = new Promise<void>((resolve) => {
      this.#room = resolve
    })
    this.#wake()
    await room
  }
}

const strayed = (): MigrateError =>
  new MigrateError(
    'fault',
    'Rows came behind a token of the answer that migrate doesn’t know, and could not be taken. This is a fault in migrate.',
  )
