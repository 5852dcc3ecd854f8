import type { TableName } from '../schema.ts'

/** `a]b` → `[a]]b]`, as QUOTENAME does (Transact-SQL reference, "Database identifiers", delimited identifiers). */
export const quoteName = (name: string): string => `[${name.replaceAll(']', ']]')}]`

/** `[schema].[name]`. */
export const quoteTable = (name: TableName): string => `${quoteName(name.schema)}.${quoteName(name.name)}`

/** A Unicode string constant; the quote is its only special character ("Constants (Transact-SQL)"). */
export const quoteText = (text: string): string => `N'${text.replaceAll("'", "''")}'`

/** `[a], [b]`. */
export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/** Patterns of what stands between words, and of a name of one or several parts, quoted or not ("Database identifiers"). */
export const BLANK = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/)`
export const PART = String.raw`(?:\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*"|[\p{L}_@#$][\p{L}\p{N}_@#$]*)`
export const NAME = `${PART}(?:${BLANK}*\\.${BLANK}*${PART})*`

/** The parts of a name as NAME finds it, without their quotes. */
export const partsOf = (name: string): readonly string[] =>
  [...name.matchAll(new RegExp(`${BLANK}|(${PART})`, 'gu'))].flatMap(([, part]) => (part === undefined ? [] : [unquoted(part)]))

function unquoted(part: string): string {
  if (part.startsWith('[')) return part.slice(1, -1).replaceAll(']]', ']')
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
}

/** Names in catalogs compare by the database's collation, which as a rule ignores case. */
export const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** migrate's own tables, in the account's default schema; never part of a shop's schema. */
export const MARKS_TABLE = 'migrate_marks'
export const LEDGER_TABLE = 'migrate_ledger'
export const isOwnTable = (name: string): boolean => sameName(name, MARKS_TABLE) || sameName(name, LEDGER_TABLE)
