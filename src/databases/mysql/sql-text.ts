import { quoteName } from './values.ts'

/** A piece of SQL: a quoted string, a quoted name, a comment, or anything else, one character at a time. */
const PIECE = /'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"|`(?:[^`]|``)*`|[\s\S]/g

const QUOTED = /'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`/s

/** The text with what `pattern` finds changed, but not within a quoted string or name. The pattern has no groups of its own. Pure. */
export const changedOutside = (sql: string, pattern: RegExp, change: (found: string) => string): string =>
  sql.replace(new RegExp(`(${pattern.source})|${QUOTED.source}`, `gs${pattern.flags}`), (piece: string, found?: string) =>
    found === undefined ? piece : change(found),
  )

/** The text with nothing left in its quoted strings. Pure. */
export const withoutStrings = (sql: string): string => sql.replace(/'(?:[^'\\]|''|\\.)*'/gs, "''")

/** The definitions inside the parentheses of SHOW CREATE TABLE, and what stands before and after them. */
export interface CreateTable {
  readonly head: string
  readonly items: readonly string[]
  readonly tail: string
}

/** Takes `CREATE TABLE x (…) ENGINE=…` apart. Pure. */
export function splitCreateTable(sql: string): CreateTable {
  let depth = 0
  let head = ''
  let tail = ''
  let item = ''
  const items: string[] = []
  let isOver = false
  for (const [piece] of sql.matchAll(PIECE)) {
    if (isOver) {
      tail += piece
      continue
    }
    if (piece === '(') depth += 1
    if (piece === ')') depth -= 1
    if (depth === 0 && piece !== ')') head += piece
    else if (depth === 1 && piece === '(' && item === '' && items.length === 0) head += piece
    else if (depth === 0) {
      isOver = true
      items.push(item.trim())
      tail += piece
    } else if (depth === 1 && piece === ',') {
      items.push(item.trim())
      item = ''
    } else item += piece
  }
  return { head, items, tail }
}

/** The text without the database's name in front of other names, as it must read in a database of another name. */
export function unqualified(sql: string, database: string): string {
  const name = quoteName(database)
  if (!sql.includes(name)) return sql
  const pieces = [...sql.matchAll(PIECE)].map(([piece]) => piece)
  return pieces
    .filter((piece, at) => {
      const isQualifier = piece === name && pieces[at + 1] === '.'
      const isItsDot = piece === '.' && pieces[at - 1] === name
      return !isQualifier && !isItsDot
    })
    .join('')
}

/** Names in backquotes that are followed by a dot and another name: they may be databases. */
export const qualifiers = (sql: string): ReadonlySet<string> => {
  const pieces = [...sql.matchAll(PIECE)].map(([piece]) => piece)
  return new Set(pieces.filter((piece, at) => piece.startsWith('`') && pieces[at + 1] === '.').map((piece) => plainName(piece)))
}

/** Every name in backquotes. */
export const quotedNames = (sql: string): ReadonlySet<string> =>
  new Set(
    [...sql.matchAll(PIECE)]
      .map(([piece]) => piece)
      .filter((piece) => piece.startsWith('`'))
      .map(plainName),
  )

const plainName = (quoted: string): string => quoted.slice(1, -1).replaceAll('``', '`')

/** The text without its first DEFINER clause: whoever creates the object is its definer. */
export const withoutDefiner = (sql: string): string =>
  sql.replace(/^(CREATE[^(]*?) DEFINER=(?:`(?:[^`]|``)*`@`(?:[^`]|``)*`|`(?:[^`]|``)*`)/i, '$1')
