import { z } from 'zod'
import { type TableName, tableNameSchema } from '../schema.ts'
import type { Session } from './connection.ts'

/** Schema for migrate's own tables where `public` can't take them. */
export const OWN_SCHEMA = 'migrate_own'
const OWN_RELATIONS: readonly string[] = ['migrate_marks', 'migrate_ledger', 'migrate_ledger_id_seq']

/** Condition that a namespace (alias `n`) is the shop's, not the system's or migrate's. */
export const SHOP_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${OWN_SCHEMA}')`

/** Condition that no extension owns the object. */
export const notOfExtension = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`

/** Condition that a relation (alias `c`, namespace `n`) is the shop's own. */
export const SHOP_RELATION = `${SHOP_SCHEMA} AND c.relname NOT IN ('${OWN_RELATIONS.join("', '")}') AND ${notOfExtension('pg_class', 'c.oid')}`

/** The two first columns of an object's row: its id and its kind (an SQL expression, or the word itself). */
export const named = (catalog: string, oid: string, kind: string): string =>
  `'${catalog} ' || ${oid} AS id, ${/^[a-z ]+$/.test(kind) ? `'${kind}'` : kind} AS kind`

/** A column that not every release's catalog has, as text; NULL where there is none. */
export const anyColumn = (alias: string, column: string): string => `(to_jsonb(${alias}) ->> '${column}')`

/**
 * Rows of a catalog query, each checked against `row`. The server sends them as JSON, so booleans, arrays and NULL keep their
 * kind; oids and 64-bit numbers must be cast to text in the query.
 */
export async function ask<T>(session: Session, row: z.ZodType<T>, sql: string): Promise<readonly T[]> {
  const { rows } = await session.query(`SELECT to_jsonb(q)::text FROM (${sql}) AS q`)
  return z.array(row).parse(rows.map(([json]) => JSON.parse(json ?? 'null')))
}

/** Something in the catalog that is created by a statement of its own. */
export interface CatalogObject {
  /** Catalog and oid: `pg_proc 16401`. Other objects depend on it by this. */
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly sql: string
  readonly undo: string | null
  /** See SchemaObject. */
  readonly table?: TableName | null | undefined
}

export const objectRow = z.object({
  id: z.string(),
  kind: z.string(),
  name: z.string(),
  sql: z.string(),
  undo: z.string().nullable(),
  table: tableNameSchema.nullish(),
})
