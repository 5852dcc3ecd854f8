import { z } from 'zod'
import type { Row } from '../port.ts'
import type { Session } from './session.ts'

const OWN_TABLES: readonly string[] = ['migrate_marks', 'migrate_ledger', 'migrate_triggers']

/** True for migrate's own tables. */
export const isOwnTable = (name: string): boolean => OWN_TABLES.includes(name.toLowerCase())

/** Rows of a catalog query as objects: one name for each column of the select list, in order. */
export async function ask<K extends string>(
  session: Session,
  names: readonly K[],
  sql: string,
): Promise<readonly Readonly<Record<K, string | null>>[]> {
  const { rows } = await session.question(sql)
  const object = (row: Row): Record<string, string | null> => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null]))
  return z.array(z.record(z.enum(names), z.string().nullable())).parse(rows.map(object))
}
