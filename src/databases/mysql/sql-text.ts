/** A name in backquotes, a comment (what a server runs of one is none), a word, or anything else, one character at a time. */
const OTHER = /`(?:[^`]|``)*`|--(?=\s|$)[^\n]*|#[^\n]*|\/\*(?!M?!)[\s\S]*?\*\/|[\w$\u0080-\uffff]+|[\s\S]/.source
/** A piece of SQL: a quoted string, or one of those. */
const PIECE = new RegExp(String.raw`'(?:[^'\\]|''|\\[\s\S])*'|"(?:[^"\\]|""|\\[\s\S])*"|${OTHER}`, 'g')
/** The same where a backslash is a character like others (NO_BACKSLASH_ESCAPES). */
const PLAIN_PIECE = new RegExp(`'(?:[^']|'')*'|"(?:[^"]|"")*"|${OTHER}`, 'g')

/** `modes`: the sql_mode under which the text was written; '' for what the server spells in our own sessions. */
const piecesOf = (sql: string, modes: string): readonly string[] =>
  [...sql.matchAll(/NO_BACKSLASH_ESCAPES/.test(modes) ? PLAIN_PIECE : PIECE)].map(([piece]) => piece)

/** The name that a piece is, quoted or not; `undefined` when it can be none. */
function nameOf(piece: string | undefined, modes: string): string | undefined {
  if (piece?.startsWith('`')) return piece.slice(1, -1).replaceAll('``', '`')
  if (piece?.startsWith('"') && /ANSI_QUOTES/.test(modes)) return piece.slice(1, -1).replaceAll('""', '"')
  return piece !== undefined && /^[\w$\u0080-\uffff]+$/.test(piece) ? piece : undefined
}

const QUOTED = /'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`/s

/** The text with what `pattern` finds changed, but not within a quoted string or name. The pattern has no groups of its own. Pure. */
export const changedOutside = (sql: string, pattern: RegExp, change: (found: string) => string): string =>
  sql.replace(new RegExp(`(${pattern.source})|${QUOTED.source}`, `gs${pattern.flags}`), (piece: string, found?: string) =>
    found === undefined ? piece : change(found),
  )

/** The text with nothing left in its quoted strings. Pure. */
export const withoutStrings = (sql: string): string => sql.replace(/'(?:[^'\\]|''|\\.)*'/gs, "''")

/** False where a backquote within a name wasn't doubled, so that a name ends too early: the next one follows at once. */
export function isWellQuoted(sql: string): boolean {
  const pieces = piecesOf(sql, '')
  return pieces.every((piece, at) => !piece.startsWith('`') || (piece !== '`' && !/^[\w$`]/.test(pieces[at + 1] ?? '')))
}

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
  for (const piece of piecesOf(sql, '')) {
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

/** A database, and what is in it: tables, views, sequences and routines by their names in lower case. */
export interface OwnNames {
  readonly database: string
  readonly objects: ReadonlySet<string>
}

/**
 * The text without the database's name in front of other names, as it must read in a database of another name. A table or an alias may
 * be called as the database is: what follows then is a column. With `own` alone that can't be, all that follows is in the database.
 */
export function unqualified(sql: string, own: string | OwnNames, modes = ''): string {
  const database = typeof own === 'string' ? own : own.database
  if (!sql.includes(database.replaceAll('`', '``'))) return sql
  const pieces = piecesOf(sql, modes)
  const isQualifier = (at: number): boolean => {
    const piece = pieces[at] ?? ''
    // The row of a trigger.
    if (nameOf(piece, modes) !== database || pieces[at + 1] !== '.' || /^(?:new|old)$/i.test(piece)) return false
    if (pieces[at - 1] === '.' || pieces[at - 1] === '@') return false
    const next = nameOf(pieces[at + 2], modes)
    if (next === undefined) return false
    return typeof own === 'string' || pieces[at + 3] === '.' || own.objects.has(next.toLowerCase())
  }
  return pieces.filter((_piece, at) => !isQualifier(at) && !(at > 0 && isQualifier(at - 1))).join('')
}

/** Names that are followed by a dot and another name: they may be databases. */
export function qualifiers(sql: string, modes: string): ReadonlySet<string> {
  const pieces = piecesOf(sql, modes)
  return new Set(pieces.flatMap((piece, at) => (pieces[at + 1] === '.' ? (nameOf(piece, modes) ?? []) : [])))
}

/**
 * Databases of the tables that a view reads, as the server spells it: `from `x`.`t``, `join `x`.`t``. What `extract(year from `x`.`t`)` names
 * is a column.
 */
export function databasesRead(view: string): ReadonlySet<string> {
  const pieces = piecesOf(view, '').filter((piece) => piece.trim() !== '')
  const isRead = (at: number): boolean => {
    let before = at - 1
    while (pieces[before] === '(') before -= 1
    return /^(?:from|join)$/i.test(pieces[before] ?? '') && pieces[at + 1] === '.' && pieces[at + 3] !== ')'
  }
  return new Set(pieces.flatMap((piece, at) => (isRead(at) ? (nameOf(piece, '') ?? []) : [])))
}

/** True when a quoted text has the name with a dot behind it: a statement that is put together, perhaps. */
export function namesInText(sql: string, name: string, modes: string): boolean {
  const named = new RegExp(`(?<![\\w$.])\`?${name.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')}\`?\\s*\\.`)
  return piecesOf(sql, modes).some((piece) => /^['"]/.test(piece) && nameOf(piece, modes) === undefined && named.test(piece))
}

/** Every name in backquotes. */
export const quotedNames = (sql: string): ReadonlySet<string> =>
  new Set(piecesOf(sql, '').flatMap((piece) => (piece.startsWith('`') ? (nameOf(piece, '') ?? []) : [])))

/** An account's name or host, as it is quoted under either sql_mode. */
const QUOTED_NAME = '(?:`(?:[^`]|``)*`|"(?:[^"]|"")*")'
const DEFINER = new RegExp(`^(CREATE[^(]*?) DEFINER=${QUOTED_NAME}(?:@${QUOTED_NAME})?`, 'i')

/** The text without its first DEFINER clause: whoever creates the object is its definer. */
export const withoutDefiner = (sql: string): string => sql.replace(DEFINER, '$1')
