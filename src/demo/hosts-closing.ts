/** What was started, to be stopped in the opposite order. */
export interface Closing {
  add(stop: () => Promise<unknown>): void
  /** Stops everything, also when something doesn't stop as it should; then throws what went wrong. A second call does nothing. */
  close(): Promise<void>
}

export function closing(): Closing {
  const stops: (() => Promise<unknown>)[] = []
  return {
    add: (stop) => {
      stops.push(stop)
    },
    close: async () => {
      const failures: unknown[] = []
      for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) {
        try {
          await stop()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw new AggregateError(failures)
    },
  }
}
