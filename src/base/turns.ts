/** Runs what it is given one at a time, in the order in which it was asked. */
export function inTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let before: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = before.then(work)
    before = Promise.allSettled([mine])
    return mine
  }
}

/**
 * Does a thing with each of them at once. The first that fails has the others stopped, by the signal that they are given; its error is thrown
 * when all have ended, since each may hold a connection until then.
 */
export async function allAtOnce<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const ends = await Promise.allSettled(
    items.map(async (item) => {
      try {
        await work(item, either)
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }),
  )
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw stop.signal.reason ?? failed.reason
}
