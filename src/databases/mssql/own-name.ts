import type { Finding } from '../../base/errors.ts'
import { fullName, type Table } from '../schema.ts'
import type { Module } from './modules.ts'
import { BLANK, PART, partsOf, quoteName, sameName } from './names.ts'

const DOT = String.raw`${BLANK}*\.${BLANK}*`
const IN_THREE_PARTS = new RegExp(`^(${PART})\\.(${PART})?\\.(${PART})$`, 'u')

/**
 * The target of a synonym without the name of its own database, which the new one need not have: `[shop].[dbo].[Orders]` →
 * `[dbo].[Orders]`. What is elsewhere stays as it is.
 */
export function withoutDatabase(target: string, database: string): string {
  const [, first, schema, object = ''] = IN_THREE_PARTS.exec(target) ?? []
  if (first === undefined || !sameName(partsOf(first)[0] ?? '', database)) return target
  return schema === undefined ? object : `${schema}.${object}`
}

/** Whether SQL text names something of this database by three parts, also in a text that it makes a statement of. */
export const namesDatabase = (sql: string, database: string): boolean => inThreeParts(database).test(sql)

/** What is found in a text that names something of a database so. */
function inThreeParts(database: string): RegExp {
  const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
  const quoted = [quoteName(database), `"${database.replaceAll('"', '""')}"`].map(escaped)
  const bare = /^[\p{L}_#][\p{L}\p{N}_@#$]*$/u.test(database) ? [escaped(database)] : []
  const name = `(?<![\\p{L}\\p{N}_@#$./\\]"])(?:${[...quoted, ...bare].join('|')})`
  return new RegExp(`${name}${DOT}(?:${PART})?${DOT}${PART}`, 'iu')
}

/**
 * Code that names its own database in full, while on shared hosts each gives databases names of its own. `tables`: where one of them is in a
 * schema called as the database is, three parts may as well be a column's.
 */
export function ownNameFindings(
  modules: readonly Pick<Module, 'kind' | 'name' | 'definition'>[],
  tables: readonly Pick<Table, 'name'>[],
  database: string,
): readonly Finding[] {
  if (tables.some(({ name }) => sameName(name.schema, database))) return []
  const own = inThreeParts(database)
  return modules
    .filter(({ definition }) => own.test(definition))
    .map(({ kind, name }) => ({
      severity: 'warning',
      code: 'own-database-named',
      message: `The ${kind} ${fullName(name)} names its own database (${database}) in full: where the new one has another name, it fails there.`,
      hint: `Nothing to do where the new database is called ${database} too. Otherwise take the name out on the old host before the snapshot: dbo.Orders instead of ${database}.dbo.Orders.`,
    }))
}
