import type { Database } from '../../../src/databases/port.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

export type Side = 'old' | 'new'
export const opposite = (side: Side): Side => (side === 'old' ? 'new' : 'old')

/** Values by column, as text; `null` is NULL. */
export type Values = Readonly<Record<string, string | null>>

/** The shop's database refused a row, as it may refuse a customer: nothing of it was kept. */
export class Refused extends Error {}

/** One database, from the side of the shop that writes into it. Every call is a transaction of its own; it may throw `Refused`. */
export interface ModelShop {
  /** The tables alone; then, when they hold what they begin with, their foreign keys. */
  create(schema: ModelSchema): Promise<void>
  constrain(schema: ModelSchema): Promise<void>
  /** Puts rows in as a restore does, numbers kept. */
  restore(table: ModelTable, rows: readonly Values[]): Promise<void>
  insert(table: ModelTable, values: Values): Promise<void>
  /** Changes the rows that have these values; a key, or the tag where there is none. */
  update(table: ModelTable, where: Values, values: Values): Promise<void>
  remove(table: ModelTable, where: Values): Promise<void>
  rows(table: ModelTable): Promise<readonly Values[]>
  /** Something that is the same exactly while nothing was written, where the host can tell at once. */
  version?(): unknown
  /** The adapter under test. */
  open(): Database
}

export interface ModelPair {
  readonly old: ModelShop
  readonly new: ModelShop
  close(): Promise<void>
}

/** Gives two empty databases for one history after the other. */
export interface ModelHost {
  pair(): Promise<ModelPair>
  close(): Promise<void>
}
