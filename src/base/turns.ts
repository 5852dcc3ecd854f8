/** Runs what it is given one at a time, in the order in which it was asked. */
export function inTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let before: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = before.then(work)
    before = Promise.allSettled([mine])
    return mine
  }
}
