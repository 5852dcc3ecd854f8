/** What may be done around every call: throw to fail it, before it has an effect or after. Batches of rows count as `rows`. */
export type CallHook = (operation: string, when: 'before' | 'after') => void | Promise<void>

export interface MemoryDatabaseOptions {
  /** Taken for likeness; memory needs none. */
  readonly connections?: number
  readonly label?: string
  /** An account without the right to write. */
  readonly readOnly?: boolean
  readonly onCall?: CallHook
  /** Every call fails so. */
  readonly fault?: 'database-login-failed' | 'database-unreachable' | 'database-missing'
}
