/** What may be done around every call: throw to fail it, before it has an effect or after. Batches of rows count as `rows`. */
export type CallHook = (operation: string, when: 'before' | 'after') => void | Promise<void>

export interface MemoryServerOptions {
  /** Readers share one snapshot. */
  readonly consistent?: boolean
  /** Readers give blocks and the bounds of ranges, and blocks can be loaded; true when absent. */
  readonly bulk?: boolean
  /** The server takes fingerprints; under a name of their own when that is given. True when absent. */
  readonly fingerprints?: boolean | string
  /** Rows in a batch. */
  readonly batchRows?: number
  readonly engine?: string
  readonly version?: readonly number[]
}

export interface MemoryDatabaseOptions {
  /** Taken for likeness; memory needs none. */
  readonly connections?: number
  readonly label?: string
  /** An account without the right to write. */
  readonly readOnly?: boolean
  /** As the server's, for this connection alone. */
  readonly fingerprints?: boolean | string
  readonly onCall?: CallHook
  /** Every call fails so. */
  readonly fault?: 'database-login-failed' | 'database-unreachable' | 'database-missing'
}
