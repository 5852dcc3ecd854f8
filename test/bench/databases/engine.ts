import type { Command } from './measure.ts'

/** What is moved: one long table of small rows, one of large rows, or many small tables. */
export type Data = 'narrow' | 'wide' | 'tables'

/** How to reach one database. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
}

/** One move of one database, for a tool to do. */
export interface Job {
  readonly from: Place
  /** Empty. */
  readonly to: Place
  readonly data: Data
  readonly amount: number
  /** Empty; for what a tool keeps between saving and loading. */
  readonly folder: string
  /**
   * Runs programs, each reading what the one before it writes; gives what the last one wrote. Throws when one of them fails. `part`
   * names what they are for: its seconds are told beside the whole.
   */
  run(part: string, ...pipeline: readonly Command[]): Promise<string>
}

export interface Tool {
  readonly name: string
  /** Why it can't be used here; `null` when it can. */
  readonly missing: string | null
  /** Saves and loads everything: rows, keys, indexes. May give the seconds of its parts instead of those that `run` takes. */
  move(job: Job): Promise<Readonly<Record<string, number>> | undefined>
}

/** A database server with tools that move databases on it. */
export interface BenchEngine {
  /** "PostgreSQL 15.18". */
  readonly name: string
  /** The adapter of ours that moves it, as move.ts knows it. */
  readonly adapter: string
  readonly peers: readonly Tool[]
  /** Of the server's first process; absent where it runs elsewhere. */
  readonly pid?: number
  /** A new, empty database. */
  create(): Promise<Place>
  /** Makes the tables and their rows: `amount` rows, or `amount` tables of ten rows each. */
  fill(place: Place, data: Data, amount: number): Promise<void>
  /** Rows and a checksum over every value, by the server's own means: equal for equal content. */
  fingerprint(place: Place, data: Data, amount: number): Promise<string>
  drop(place: Place): Promise<void>
  stop(): Promise<void>
}

/** Tables of ten rows are named t1, t2, … */
export const tableNames = (data: Data, amount: number): readonly string[] =>
  data === 'tables' ? Array.from({ length: amount }, (_, at) => `t${at + 1}`) : [data]

export const PARALLEL = 4
