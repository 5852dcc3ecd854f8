/**
 * The batches of a script for sqlcmd: what stands between lines that say GO, with a count or without ("SQL Server Utilities
 * Statements - GO"). GO within a comment of several lines or a string counts as text there and here.
 */
export function batchesOf(script: string): readonly string[] {
  const batches: string[] = []
  let lines: string[] = []
  let open: 'comment' | 'string' | undefined
  for (const line of script.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const go = open === undefined ? /^\s*GO(?:\s+(\d+))?\s*;?\s*$/i.exec(line) : null
    if (go === null) {
      lines.push(line)
      open = stateAfter(line, open)
      continue
    }
    const batch = lines.join('\n')
    lines = []
    if (batch.trim() !== '') for (let times = Number(go[1] ?? 1); times > 0; times -= 1) batches.push(batch)
  }
  const rest = lines.join('\n')
  return rest.trim() === '' ? batches : [...batches, rest]
}

/** Whether a comment or a string goes on after the line. */
function stateAfter(line: string, before: 'comment' | 'string' | undefined): 'comment' | 'string' | undefined {
  let open = before
  for (let at = 0; at < line.length; at += 1) {
    const two = line.slice(at, at + 2)
    if (open === 'comment') {
      if (two !== '*/') continue
      open = undefined
      at += 1
    } else if (open === 'string') {
      if (line[at] === "'") open = undefined
    } else if (two === '--') {
      return undefined
    } else if (two === '/*') {
      open = 'comment'
      at += 1
    } else if (line[at] === "'") {
      open = 'string'
    }
  }
  return open
}

/** Without the batches that make a database of the script's own, and go into it. */
export const ownDatabaseLeftOut = (batches: readonly string[]): readonly string[] =>
  batches.filter(
    (batch) =>
      !/^\s*(?:USE\s|IF\s+db_name\(\)|CHECKPOINT|(?:IF\b[\s\S]*)?(?:DROP|CREATE|ALTER)\s+DATABASE\b)/i.test(
        withoutComments(batch),
      ),
  )

const withoutComments = (sql: string): string => sql.replaceAll(/\/\*[\s\S]*?\*\/|--[^\n]*/g, '')
