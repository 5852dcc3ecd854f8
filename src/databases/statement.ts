import type { TableName } from './schema.ts'

/** A DDL statement with its opposite. */
export interface Statement {
  /** Unique in the schema and stable: "table dbo.Orders", "foreign key dbo.FK_Orders_Customers". */
  readonly name: string
  /**
   * `before` the rows: schemas, types, sequences, tables. `after` the rows: keys, indexes, checks, foreign keys, and then views,
   * functions, procedures, triggers.
   */
  readonly stage: 'before' | 'after'
  readonly sql: string
  /** Takes it back; `null` when dropping the table does. */
  readonly undo: string | null
  /**
   * The one table that it changes, where nothing but that table and what stands already matters to it: it may then run beside
   * statements that name other tables. Those of one table keep their order.
   */
  readonly table?: TableName | undefined
  /** It may also run beside others of its table that say so, once those before them stand: indexes, where the server builds several at a time. */
  readonly beside?: boolean | undefined
}

/** A statement and the mark under which it is run. */
export interface MarkedStatement {
  readonly sql: string
  readonly mark: { readonly run: string; readonly name: string }
}
