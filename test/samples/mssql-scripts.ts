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

/** Without what makes a database of the script's own, goes into it and tends it: whole batches, and lines that say USE before others. */
export const ownDatabaseLeftOut = (batches: readonly string[]): readonly string[] =>
  batches
    .map((batch) => batch.replaceAll(/^\s*USE\s+\S+\s*;?\s*$/gim, ''))
    .filter((batch) => {
      const bare = withoutComments(batch)
      return (
        bare.trim() !== '' &&
        !/^\s*(?:IF\s+db_name\(\)|CHECKPOINT|UPDATE\s+STATISTICS|(?:IF\b[\s\S]*)?(?:DROP|CREATE|ALTER)\s+DATABASE\b)/i.test(bare)
      )
    })

const withoutComments = (sql: string): string => sql.replaceAll(/\/\*[\s\S]*?\*\/|--[^\n]*/g, '')

/** `execute sp_addtype id, 'varchar(11)', 'NOT NULL'` as it is said since 2005. */
export const withCreateType = (batch: string): string =>
  batch.replaceAll(
    /^\s*exec(?:ute)?\s+sp_addtype\s+'?(\w+)'?\s*,\s*'([^']+)'\s*(?:,\s*'([^']+)')?\s*;?\s*$/gim,
    (_all, name: string, type: string, nulls: string | undefined) => `CREATE TYPE ${name} FROM ${type} ${nulls ?? 'NULL'};`,
  )

/**
 * A batch for the stand-in of SQL Server: checked constraints, which it knows without the words for it; times of day, which it doesn't read
 * as bytes or with thousandths after a colon; nothing of what switches a constraint. '' where nothing is left.
 */
export const forStandIn = (batch: string): string =>
  batch
    .replaceAll(/\bWITH\s+(?:NO)?CHECK\s+ADD\b/gi, 'ADD')
    .replaceAll(/^\s*ALTER TABLE \S+\s+(?:NO)?CHECK CONSTRAINT \[\w+\]\s*;?\s*$/gim, '')
    .replaceAll(/\bNOT FOR REPLICATION\b/gi, '')
    .replaceAll(/CAST\(0x([0-9a-f]{16}) AS DateTime\)/gi, (_all, bytes: string) => `CAST('${dateOf(bytes)}' AS DateTime)`)
    .replaceAll(/'(\w{3} +\d+ \d{4} +\d+:\d+:\d+):000([AP]M)'/g, "'$1 $2'")

/** A datetime's eight bytes: days since 1900 and 300ths of a second since midnight. */
function dateOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  const day = Date.UTC(1900, 0, 1 + bytes.readInt32BE(0))
  return new Date(day + Math.round((bytes.readInt32BE(4) * 10) / 3)).toISOString().replace('T', ' ').replace('Z', '')
}
