/** How a server stood while a lock was asked of it. */
export interface Presence {
  /** The lock was had, and still held when the work under it had ended. */
  readonly had: boolean
  /** When the server was started, as it says. */
  readonly started: string
  /** It takes writes of its own: it isn't a standby, which repeats what another one writes. */
  readonly leads: boolean
}

/**
 * Tells two databases apart that have one fingerprint, since their servers are copies of one folder, or shows that they are one: on one
 * database only one of two sessions has a lock. Writes nothing. Tested by test/databases/postgres-presence.test.ts.
 */
export interface PresencePower {
  /**
   * Runs `work` in a transaction that asks for the lock `sign` (a number below 2^63 that nobody else uses) and waits for nothing. The
   * transaction keeps its session, whatever pools sessions on the way.
   */
  hold<T>(sign: string, work: () => Promise<T>): Promise<{ readonly presence: Presence; readonly result: T }>
}
