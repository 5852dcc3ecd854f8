import type { Readable } from 'node:stream'

/**
 * Has a signal end a stream, for as long as the stream lasts. The signal of a step goes on for all of its files: a listener that stayed would
 * hold each of their streams till then.
 */
export function endedBy<S extends Readable>(stream: S, signal: AbortSignal | undefined): S {
  if (signal === undefined) return stream
  const end = (): void => void stream.destroy(signal.reason)
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  stream.once('close', () => signal.removeEventListener('abort', end))
  return stream
}
