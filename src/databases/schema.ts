import { z } from 'zod'

/** A table's name in two parts. `schema` is '' where the engine has none. */
export const tableNameSchema = z.object({ schema: z.string(), name: z.string() }).readonly()
export type TableName = z.infer<typeof tableNameSchema>

export const identitySchema = z
  .object({
    /** `column`: numbered by the table itself; `sequence`: an object of its own. */
    kind: z.enum(['column', 'sequence']),
    /** The table whose rows it numbers; for a sequence that no column uses, the sequence's own name. */
    table: tableNameSchema,
    /** The column that it numbers; '' for a sequence that no column uses. */
    column: z.string(),
    /** The sequence's own name, where it is one. */
    sequence: tableNameSchema.nullable(),
    /** Decimal text: bigint's range is larger than a JavaScript number's. */
    seed: z.string(),
    increment: z.string(),
    /** Smallest and largest value that the type or sequence allows, decimal text. */
    minimum: z.string(),
    maximum: z.string(),
    /** Numbers that the server may skip at once, in rows: what a restart or a session's cache loses. None when absent. */
    jump: z.string().optional(),
    /** Numbers that a session takes at once, and loses when it ends, however few rows it writes. One when absent. */
    batch: z.string().optional(),
    /** True for a sequence that begins anew when it reaches its end. */
    cycles: z.boolean().optional(),
  })
  .readonly()
/** An auto-numbered column or a sequence. */
export type Identity = z.infer<typeof identitySchema>

/** Where an identity stands on the server. */
export interface IdentityState {
  readonly identity: Identity
  /**
   * The last value handed out, or the largest in the column if that lies further on (smallest for a negative increment);
   * `null` when it never gave one and the column is empty.
   */
  readonly last: bigint | null
  /** The next value that an insert would get now. */
  readonly next: bigint
}

const signSchema = z.enum(['<', '<=', '=', '>=', '>'])
/** How two values stand to each other. */
export type Sign = z.infer<typeof signSchema>

export const columnSchema = z
  .object({
    name: z.string(),
    /** Exact type as DDL spells it: `nvarchar(40)`, `decimal(19,4)`, `timestamp(3) with time zone`. */
    type: z.string(),
    /** How the adapter turns values to text and back; its own business. */
    codec: z.string(),
    nullable: z.boolean(),
    collation: z.string().nullable(),
    default: z.object({ name: z.string().nullable(), sql: z.string() }).readonly().nullable(),
    /** A value that the server computes from others of the row. */
    computed: z.object({ sql: z.string(), stored: z.boolean() }).readonly().nullable(),
    /** `always`/`by-default` as the engine has it; `null` when it is no identity column. */
    identity: z.enum(['always', 'by-default']).nullable(),
    /** The engine's own spelling of each comparison, where the bare signs don't mean the order that its keys go by. */
    signs: z.record(signSchema, z.string()).readonly().optional(),
    /** The server sets it at each write (rowversion): neither copied nor compared. */
    rowversion: z.boolean(),
  })
  .readonly()
export type Column = z.infer<typeof columnSchema>

/** What an ordinary column is, beside its name and type: it may be empty, and nothing is special about it. */
export const ORDINARY = {
  nullable: true,
  collation: null,
  default: null,
  computed: null,
  identity: null,
  rowversion: false,
} as const

const keySchema = z
  .object({
    name: z.string(),
    columns: z.array(z.string()).readonly(),
    /** The whole constraint or index as the engine spells it, where it gives that. */
    sql: z.string(),
  })
  .readonly()
export type Key = z.infer<typeof keySchema>

const partitionSchema = z
  .object({
    name: tableNameSchema,
    /** Creates it as a part of its table. */
    sql: z.string(),
  })
  .readonly()

export const tableSchema = z
  .object({
    name: tableNameSchema,
    columns: z.array(columnSchema).readonly(),
    primaryKey: keySchema.nullable(),
    uniqueKeys: z.array(keySchema).readonly(),
    /** The columns that tell rows apart: the primary key's, else a unique key's without nullable columns; [] when there is none. */
    key: z.array(z.string()).readonly(),
    /** Names of user triggers, to be off while rows are carried. */
    triggers: z.array(z.string()).readonly(),
    /** Its whole creation as the engine spells it, where the columns alone don't say everything (partitioned, inheriting). */
    sql: z.string().optional(),
    /** Parts that hold its rows and are created by statements of their own; absent where it isn't made of such. */
    partitions: z.array(partitionSchema).readonly().optional(),
  })
  .readonly()
export type Table = z.infer<typeof tableSchema>

const foreignKeySchema = z
  .object({
    name: z.string(),
    table: tableNameSchema,
    columns: z.array(z.string()).readonly(),
    parent: tableNameSchema,
    parentColumns: z.array(z.string()).readonly(),
    enforced: z.boolean(),
    /** `false` where rows may stand that break it, which the engine was told not to mind: they are no orphans of the copy. */
    trusted: z.boolean().optional(),
    /** The constraint as the engine spells it; '' when no statement of its own creates it. */
    sql: z.string(),
  })
  .readonly()
export type ForeignKey = z.infer<typeof foreignKeySchema>

const schemaObjectSchema = z
  .object({
    /** `index`, `check`, `view`, `function`, `procedure`, `trigger`, `type`, `extension`, `schema`, … as the engine calls it. */
    kind: z.string(),
    name: z.string(),
    stage: z.enum(['before', 'after']),
    /** Creates it, whole. */
    sql: z.string(),
    undo: z.string().nullable(),
    /** The table that it belongs to, where it may be created beside what belongs to other tables (`Statement.table`). */
    table: tableNameSchema.optional(),
  })
  .readonly()
/** Whatever is created by its own statement and that nothing outside the adapter looks into. In creation order. */
export type SchemaObject = z.infer<typeof schemaObjectSchema>

export const schemaSchema = z
  .object({
    tables: z.array(tableSchema).readonly(),
    foreignKeys: z.array(foreignKeySchema).readonly(),
    identities: z.array(identitySchema).readonly(),
    objects: z.array(schemaObjectSchema).readonly(),
    /** Users, roles and what they are granted: listed in the report, not copied. */
    principals: z.array(z.object({ name: z.string(), grants: z.array(z.string()).readonly() }).readonly()).readonly(),
    /** What exists and can't be carried, by name. */
    findings: z
      .array(
        z
          .object({
            severity: z.enum(['error', 'warning', 'info']),
            code: z.string(),
            message: z.string(),
            hint: z.string().optional(),
            /** Full name of the table that it is about: a table that the playbook leaves out stops nothing. */
            table: z.string().optional(),
          })
          .readonly(),
      )
      .readonly(),
  })
  .readonly()
export type Schema = z.infer<typeof schemaSchema>

/** What of a schema says how rows lie, which belong to which, and what numbers them. */
export type Layout = Pick<Schema, 'tables' | 'foreignKeys' | 'identities'>

/** Columns whose values are read, compared and hashed: all but the computed and the rowversion ones. */
export const readableColumns = (table: Table): readonly Column[] =>
  table.columns.filter((column) => column.computed === null && !column.rowversion)

/** `schema.name`, or the name alone where there is no schema. For people, and as a map's key. */
export const fullName = (name: TableName): string => (name.schema === '' ? name.name : `${name.schema}.${name.name}`)

/** Positions of the key's columns among `readableColumns(table)`. */
export const keyPositions = (table: Table): readonly number[] => {
  const columns = readableColumns(table)
  return table.key.map((name) => columns.findIndex((column) => column.name === name))
}

/** Where a name stands among others that may differ in case alone: spelled so, else in any case of letters; -1 when it isn't there. */
export function placeOf(names: readonly string[], name: string): number {
  const exact = names.indexOf(name)
  return exact === -1 ? names.findIndex((each) => each.toLowerCase() === name.toLowerCase()) : exact
}

/**
 * Finds what has a name: spelled so, else the only one that has it in any case of letters. Hosts may spell a name differently, and
 * one host may have two names that differ in nothing else (Orders and orders).
 */
export function byName<T>(items: readonly T[], nameOf: (item: T) => string): (name: string) => T | undefined {
  const exact = new Map(items.map((item) => [nameOf(item), item]))
  const loose = Map.groupBy(items, (item) => nameOf(item).toLowerCase())
  return (name) => {
    const [only, ...more] = loose.get(name.toLowerCase()) ?? []
    return exact.get(name) ?? (more.length === 0 ? only : undefined)
  }
}

/**
 * The table that a playbook means by `name`: with its schema (`sales.Orders`) or without, in any case of letters; an exact match
 * wins. `undefined` when there is none, `ambiguous` when several schemas have one.
 */
export function findTable(tables: readonly Table[], name: string): Table | 'ambiguous' | undefined {
  const names = (table: Table): readonly string[] => [fullName(table.name), table.name.name]
  const exact = tables.filter((table) => names(table).includes(name))
  const loose = tables.filter((table) => names(table).some((each) => each.toLowerCase() === name.toLowerCase()))
  const matches = exact.length > 0 ? exact : loose
  return matches.length > 1 ? 'ambiguous' : matches[0]
}
