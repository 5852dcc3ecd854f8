import type { Column } from '../schema.ts'

/**
 * Collations that SHOW CREATE TABLE leaves out, since they are their character set's default on that server: utf8mb4 means
 * utf8mb4_general_ci in MySQL 5.7, utf8mb4_0900_ai_ci in 8.0 and utf8mb4_uca1400_ai_ci in MariaDB 11.5 ("Changes in MySQL 8.0"), so
 * that text would be compared otherwise on the new host, and with it what a unique key takes for the same.
 */

/** What follows a table's columns, with its collation. Pure. */
export const withTableCollation = (options: string, collation: string | null): string =>
  collation === null ? options : options.replace(/^([^']*? DEFAULT CHARSET=\w+)(?!\w| COLLATE=)/i, `$1 COLLATE=${collation}`)

/** `name` and type, with whatever members it has. */
const TYPED = String.raw`\x60(?:[^\x60]|\x60\x60)+\x60 \w+(?:\((?:[^')]|'(?:[^'\\]|''|\\.)*')*\))?`
const WITH_CHARSET = new RegExp(`^(${TYPED} CHARACTER SET \\w+)(?!\\w| COLLATE )`, 'is')

const WITHOUT_CHARSET = new RegExp(`^(${TYPED}) COLLATE ((\\w+?)_\\w+)`, 'is')

/**
 * A column's definition, with its collation. MySQL leaves the character set out beside a collation that a column has from its table,
 * and tells both once a statement has named it: here it is named everywhere, so that both hosts tell the same. Pure.
 */
export function withColumnCollation(definition: string, columns: readonly Column[]): string {
  if (WITHOUT_CHARSET.test(definition)) return definition.replace(WITHOUT_CHARSET, '$1 CHARACTER SET $3 COLLATE $2')
  const name = /^`((?:[^`]|``)+)`/.exec(definition)?.[1]?.replaceAll('``', '`')
  const collation = columns.find((column) => column.name === name)?.collation ?? null
  return collation === null ? definition : definition.replace(WITH_CHARSET, (typed) => `${typed} COLLATE ${collation}`)
}
