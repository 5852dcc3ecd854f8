import type { Request } from 'tedious'
import { systemClock } from '../../base/clock.ts'

/** A value of a bulk load: what a column of its kind takes. */
export type BulkValue = string | Buffer | null | number

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined
  /** See ReadOptions. Only outside a transaction, which ends with the query that is cancelled (XACT_ABORT). */
  readonly quietMs?: number | undefined
  /** True for what computes over many rows before its first answer: it has the time of a statement, not that of a question. */
  readonly long?: boolean | undefined
}

/** What comes of a running request, until it is taken. */
export interface Flow<T> {
  readonly request: Request
  /** Set when the request has ended, with its error if it failed: what can be taken then is the last. */
  readonly end: { readonly error: unknown } | undefined
  /** Whether there is something to take. */
  readonly holds: boolean
  filled(): Promise<void>
  take(): T | undefined
  resume(): void
  drop(cancel: boolean): Promise<void>
}

/** Waits until there is enough to take; true where that took longer than `ms` and nothing is there. */
export async function isQuiet(flow: Flow<unknown>, ms: number | undefined): Promise<boolean> {
  const filled = flow.filled()
  if (ms === undefined) {
    await filled
    return false
  }
  const over = new AbortController()
  const late = systemClock.sleep(ms, over.signal).then(
    () => true,
    () => false,
  )
  const isLate = await Promise.race([filled.then(() => false), late])
  over.abort()
  return isLate && !flow.holds && flow.end === undefined
}

/** Each as a row of the driver of which the first column has all. */
export async function* firstOf(batches: AsyncIterable<Buffer>): AsyncGenerator<[Buffer]> {
  for await (const batch of batches) yield [batch]
}

export const toRows = function* (rows: Iterable<readonly BulkValue[]>): Generator<BulkValue[]> {
  for (const row of rows) yield [...row]
}
