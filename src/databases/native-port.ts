import type { Finding } from '../base/errors.ts'
import type { Schema, TableName } from './schema.ts'

/** What an engine's own tools can do here and now, found by asking them and the server. */
export interface NativeMeans {
  /** "pg_dump 15.18", "BACKUP DATABASE": what would be used; `null` when it can't be done. */
  readonly tool: string | null
  /** What it writes or reads ("pg_dump-directory"): a snapshot is only restored where it is the same. */
  readonly format: string | null
  /** In words, without a full stop: why this tool; without one, exactly what is missing. */
  readonly reason: string
  /** What to know beforehand: locks, what isn't carried, rights that are missing, each with its GRANT. */
  readonly findings: readonly Finding[]
}

/** The circumstances of a native snapshot, as the playbook and what was saved give them. */
export interface NativeWishes {
  /** Where the server itself writes or reads the backup: a path on its own disk, or a URL that it reaches. */
  readonly server?: { readonly path: string } | { readonly url: string }
  /** Name of a file that is the snapshot already (a backup that a control panel made): nothing needs to be saved. */
  readonly from?: string
  /** What the snapshot is, and what saved it, once that is known. */
  readonly format?: string
  readonly savedBy?: string
}

interface NativeWork {
  readonly wishes: NativeWishes
  /** Folder on this machine that holds the snapshot and nothing else. */
  readonly directory: string
  readonly schema: Schema
  /** Tables whose rows stay behind; their definitions are carried. */
  readonly skip: readonly TableName[]
  /** At most so many connections to this server. */
  readonly connections: number
  /** When it aborts, every process that was started is gone within two seconds. */
  readonly signal: AbortSignal
  progress(done: number, total: number | null, unit: 'bytes' | 'changes', item?: string): void
}

/** The directory is empty. */
export type NativeSave = NativeWork

export interface NativeRestore extends NativeWork {
  /** Names the sessions that work for this run, so that `discard` finds them. */
  readonly run: string
}

export interface NativeSaved {
  /** True when all rows are of one instant. */
  readonly consistent: boolean
  /** Rows by the table's full name, as counted in what was saved; `null` when it can't be looked into. */
  readonly rows: Readonly<Record<string, number>> | null
  /** Where the snapshot lies: in the directory, or where `wishes.server` says, from where it must be fetched. */
  readonly place: 'directory' | 'server'
}

/**
 * The engine's own way of saving a database whole and restoring it. Optional power.
 *
 * Programs get passwords by environment or a file that only this account may read, never as arguments. What they write to the screen
 * is bounded, their exit codes are checked: `native-tool-failed` (with their own words), `native-tool-not-started`.
 */
export interface NativePower {
  /** True when a restore replaces the database as a whole, with all marks in it: it must be empty, and nothing of it stays. */
  readonly replaces: boolean
  /** Read-only: asks the programs for their versions and the server for its own, its edition and the account's rights. */
  tools(purpose: 'save' | 'restore', wishes: NativeWishes): Promise<NativeMeans>
  /** Saves the whole database but for migrate's own tables and the rows of `skip`. Begins anew; nothing is resumed. */
  save(work: NativeSave): Promise<NativeSaved>
  /**
   * Restores what a `save` of the same format left in the directory (or where `wishes.server` says). What of the schema is there
   * already is an error, never replaced. It isn't one transaction: cut off, it leaves a part behind, which the caller drops before
   * it begins again. Owners and grants aren't carried.
   */
  restore(work: NativeRestore): Promise<void>
  /** Ends what a restore of this run that was cut off may still do on the server, and waits until it has ended. */
  discard(run: string): Promise<void>
}
