import { AsyncLocalStorage } from 'node:async_hooks'
import { type Clock, systemClock } from './clock.ts'

interface Stop {
  readonly signal: AbortSignal
  readonly clock: Clock
}

const stops = new AsyncLocalStorage<Stop>()

/**
 * Does `work` under a stop. A port's call takes no signal, yet each one must end soon after its step is told to stop: however deep
 * below `work` a connection is used, it finds the stop here (`stoppable`, `unlessStopped`), and no step can forget to hand it on.
 */
export const underStop = <T>(signal: AbortSignal, work: () => Promise<T>, clock: Clock = systemClock): Promise<T> =>
  stops.run({ signal, clock }, work)

/** How long a server may take to end what it was told to stop, or to be told, milliseconds; then its connection goes. */
export const ANSWER_MS = 1000

/** A connection as `stoppable` handles it. Neither may throw. */
export interface Line {
  /** Tells the server to end what it does for this connection, and begins nothing more on it. Must not wait. */
  interrupt(): void
  /** Closes the connection without a word of the server; what was running on it fails at once. */
  destroy(): void
}

/**
 * Uses a connection until the stop in force comes: then it is interrupted, and destroyed when `work` hasn't ended within a second
 * (a frozen server, a dead line). What `work` throws after the stop is the stop's reason. Without a stop it is only `work`.
 */
export async function stoppable<T>(line: Line, work: () => Promise<T>): Promise<T> {
  const stop = stops.getStore()
  if (stop === undefined) return await work()
  const { signal, clock } = stop
  signal.throwIfAborted()
  const over = new AbortController()
  const onStop = (): void => {
    line.interrupt()
    clock.sleep(ANSWER_MS, over.signal).then(
      () => line.destroy(),
      () => undefined,
    )
  }
  signal.addEventListener('abort', onStop, { once: true, signal: over.signal })
  try {
    return await work()
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    over.abort(null)
  }
}

/** Waits for a thing no longer than until the stop in force comes; a thing that comes after it is given to `late`. */
export async function unlessStopped<T>(thing: Promise<T>, late: (thing: T) => void): Promise<T> {
  const stop = stops.getStore()?.signal
  if (stop === undefined) return await thing
  const over = new AbortController()
  try {
    return await new Promise<T>((resolve, reject) => {
      const onStop = (): void => {
        reject(stop.reason)
        // Nobody waits any more: neither for the thing nor for why it didn't come.
        thing.then(late, () => undefined)
      }
      if (stop.aborted) return onStop()
      stop.addEventListener('abort', onStop, { once: true, signal: over.signal })
      thing.then(resolve, reject)
    })
  } finally {
    over.abort(null)
  }
}
