import type { TableName } from '../schema.ts'

/** `a]b` → `[a]]b]`, as QUOTENAME does (Transact-SQL reference, "Database identifiers", delimited identifiers). */
export const quoteName = (name: string): string => `[${name.replaceAll(']', ']]')}]`

/** `[schema].[name]`. */
export const quoteTable = (name: TableName): string => `${quoteName(name.schema)}.${quoteName(name.name)}`

/** A Unicode string constant; the quote is its only special character ("Constants (Transact-SQL)"). */
export const quoteText = (text: string): string => `N'${text.replaceAll("'", "''")}'`

/** `[a], [b]`. */
export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/** Names in catalogs compare by the database's collation, which as a rule ignores case. */
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** migrate's own tables, in the account's default schema; never part of a shop's schema. */
export const MARKS_TABLE = 'migrate_marks'
export const LEDGER_TABLE = 'migrate_ledger'
export const isOwnTable = (name: string): boolean => sameName(name, MARKS_TABLE) || sameName(name, LEDGER_TABLE)
