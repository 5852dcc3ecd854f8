/**
 * Makes and drops databases beside the connected one, with its encoding and collation: a rehearsal's own. The contract, kept by every
 * adapter, is tested by test/contract/database-scratch.ts.
 */
export interface ScratchPower {
  /** The longest name that the server takes, characters. */
  readonly longestName: number
  /** Whether a database of this name is there. Read-only. */
  exists(name: string): Promise<boolean>
  /** Makes an empty database. Throws `database-permission-denied` where the account may not. */
  create(name: string): Promise<void>
  /** Drops it with all that is in it, ending whoever is connected. No error when it isn't there. */
  drop(name: string): Promise<void>
}
