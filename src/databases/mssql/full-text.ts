import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import { fullName } from '../schema.ts'
import type { Module } from './modules.ts'

const COMMENT_OR_TEXT = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'/g
/** "CONTAINS", "FREETEXT", "CONTAINSTABLE", "FREETEXTTABLE (Transact-SQL)"; `.contains(` is a method of xml and geometry. */
const SEARCHES = /(?<![.\w@#$\]])(?:CONTAINS|FREETEXT)(?:TABLE)?\s*\(/i

/**
 * Code that searches by a full-text index, which isn't carried: CREATE FULLTEXT INDEX runs in no transaction ("CREATE FULLTEXT INDEX
 * (Transact-SQL)", remarks), while what we make is made exactly once in one. Without it, code is refused as it is made (error 7601).
 */
export function fullTextFindings(modules: readonly Pick<Module, 'kind' | 'name' | 'definition'>[]): readonly Finding[] {
  const searching = modules.filter(({ definition }) => SEARCHES.test(definition.replaceAll(COMMENT_OR_TEXT, "''")))
  if (searching.length === 0) return []
  const names = firstOf(searching.map(({ kind, name }) => `${kind} ${fullName(name)}`))
  const [one, its, them] = searching.length === 1 ? ['searches', 'its table has', 'it'] : ['search', 'their tables have', 'them']
  return [
    {
      severity: 'warning',
      code: 'full-text-code',
      message: `${names} ${one} by CONTAINS or FREETEXT. The server may refuse ${them} until ${its} a full-text index (error 7601): restore-database then stops there, with all rows loaded.`,
      hint: 'When it does: CREATE FULLTEXT CATALOG and CREATE FULLTEXT INDEX on the new host, where the tables stand by then, and run again: it goes on from there.',
    },
  ]
}
