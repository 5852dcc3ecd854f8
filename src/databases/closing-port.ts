import type { Finding } from '../base/errors.ts'

/** How a database stands towards writers, and what would close it. */
export interface ClosingState {
  /** Whoever connects can't write; that nobody can who was connected before, `close` alone sees to. */
  readonly closed: boolean
  /** How it stood, for `open`; opaque. */
  readonly before: string
  /** The statements that `close` runs, for people: the first of many, and what the others are. */
  readonly statement: string
}

/**
 * Closes a database to everybody who writes, and opens it again. Reading goes on, migrate's own too. The contract, kept by every adapter,
 * is tested by test/contract/database-closing.ts.
 */
export interface ClosingPower {
  /** What this account may not do that closing and opening need, each with the statement that grants it. Read-only. */
  missing(): Promise<readonly Finding[]>
  /** Read-only. */
  look(): Promise<ClosingState>
  /**
   * When it returns, no row of the shop's tables can be written by anybody. Work that was begun may be ended for `graceMs`; then it is
   * rolled back. Idempotent, also after it was cut off. Throws `database-busy` (retrySafe) where work that goes on keeps it from closing,
   * `database-permission-denied` with the GRANT; what was closed until then stays closed.
   */
  close(graceMs: number): Promise<void>
  /** Gives back what `look` saw before it was closed. Idempotent. */
  open(before: string): Promise<void>
}
