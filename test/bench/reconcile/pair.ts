import type { Place } from '../databases/engine.ts'
import type { Command } from '../databases/measure.ts'

/** What a tool found, and what it cost. */
export interface PeerRun {
  /** Programs, each reading what the one before it writes; gives what the last one wrote. */
  run(...pipeline: readonly Command[]): Promise<string>
  /** Both hosts' databases, the old one by way of a counter. */
  readonly old: Place
  readonly new: Place
  /** Empty; for what the tool keeps. */
  readonly folder: string
}

/** What people would take instead to learn where two hosts differ. */
export interface Peer {
  readonly name: string
  /** Why it can't be used here; `null` when it can. */
  readonly missing: string | null
  /** Looks for differences without mending any. Returns bytes read from the old host where the counter doesn't see them. */
  compare(run: PeerRun): Promise<number | undefined>
}

/** One customer at one connection. */
export interface Customer {
  /** One order, committed: a row is born, others are read, one is changed. */
  order(): Promise<void>
  close(): Promise<void>
}

/** Two private servers with the same table of orders on both. */
export interface BenchPair {
  /** "MariaDB 10.11.19". */
  readonly name: string
  /** The adapter of ours, as move.ts knows it. */
  readonly adapter: string
  /** The servers' first processes, the old host's and the new one's. */
  readonly pids: readonly [number, number]
  readonly old: Place
  readonly new: Place
  readonly peers: readonly Peer[]
  /** Late orders on the old host: nine of ten are new rows, one of ten is a row from anywhere in the table that was changed. */
  strays(count: number): Promise<void>
  /** Reads both tables to their end, so that whoever is measured next isn't the one to fetch them from disk. */
  warm(): Promise<void>
  /** Who orders on the new host. */
  customer(): Promise<Customer>
  /** The same count, and the same sum of the totals, on both hosts; throws when they differ. */
  alike(): Promise<void>
  stop(): Promise<void>
}
