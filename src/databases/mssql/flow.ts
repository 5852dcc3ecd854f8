import type { Request } from 'tedious'

/** A value of a bulk load: what a column of its kind takes. */
export type BulkValue = string | Buffer | null | number

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined
}

/** What comes of a running request, until it is taken. */
export interface Flow<T> {
  readonly request: Request
  /** Set when the request has ended, with its error if it failed: what can be taken then is the last. */
  readonly end: { readonly error: unknown } | undefined
  filled(): Promise<void>
  take(): T | undefined
  resume(): void
  drop(cancel: boolean): Promise<void>
}

/** Each as a row of the driver of which the first column has all. */
export async function* firstOf(batches: AsyncIterable<Buffer>): AsyncGenerator<[Buffer]> {
  for await (const batch of batches) yield [batch]
}

export const toRows = function* (rows: Iterable<readonly BulkValue[]>): Generator<BulkValue[]> {
  for (const row of rows) yield [...row]
}
