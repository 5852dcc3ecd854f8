import { z } from 'zod'
import type { Session } from './session.ts'
import { quoteText } from './values.ts'

/** The object that a statement makes, by which the server can be asked whether the statement was done. */
export const probeSchema = z.object({
  kind: z.enum(['table', 'view', 'function', 'procedure', 'trigger', 'event', 'index', 'foreign key', 'engine', 'unknown']),
  /** For an engine, the engine's name. */
  name: z.string(),
  /** The table that it belongs to; '' for what stands alone. */
  table: z.string(),
})
export type Probe = z.infer<typeof probeSchema>

const NAME = '`((?:[^`]|``)+)`'
/** A program's own name stands in double quotes where it was made under ANSI_QUOTES. */
const PROGRAM = `(?:${NAME}|"((?:[^"]|"")+)")`
const plain = (name: string | undefined): string => (name ?? '').replaceAll('``', '`')

const PATTERNS: readonly (readonly [Probe['kind'], RegExp])[] = [
  ['table', new RegExp(`^CREATE (?:TABLE|SEQUENCE) (?:IF NOT EXISTS )?${NAME}`, 'i')],
  ['view', new RegExp(`^CREATE [^\`]*?VIEW ${NAME}`, 'i')],
  ['function', new RegExp(`^CREATE [^\`"]*?FUNCTION ${PROGRAM}`, 'i')],
  ['procedure', new RegExp(`^CREATE [^\`"]*?PROCEDURE ${PROGRAM}`, 'i')],
  ['trigger', new RegExp(`^CREATE [^\`"]*?TRIGGER ${PROGRAM}`, 'i')],
  ['event', new RegExp(`^CREATE [^\`"]*?EVENT ${PROGRAM}`, 'i')],
]
const OF_TABLE: readonly (readonly [Probe['kind'], RegExp])[] = [
  ['foreign key', new RegExp(`^ALTER TABLE ${NAME}\\s+ADD CONSTRAINT ${NAME} FOREIGN KEY`, 'i')],
  ['index', new RegExp(`^ALTER TABLE ${NAME}\\s+ADD (?:UNIQUE |FULLTEXT |SPATIAL )?(?:KEY|INDEX) ${NAME}`, 'i')],
  ['engine', new RegExp(`^ALTER TABLE ${NAME}\\s+ENGINE ?= ?(\\w+)`, 'i')],
]

/** What a statement of ours makes (of several things the first: ALTER TABLE does all or nothing). */
export function probeOfStatement(sql: string): Probe {
  for (const [kind, pattern] of PATTERNS) {
    const match = pattern.exec(sql)
    if (match !== null) return { kind, name: match[2]?.replaceAll('""', '"') ?? plain(match[1]), table: '' }
  }
  for (const [kind, pattern] of OF_TABLE) {
    const match = pattern.exec(sql)
    if (match !== null) return { kind, name: plain(match[2]), table: plain(match[1]) }
  }
  return { kind: 'unknown', name: '', table: '' }
}

/** Where each kind is found, in information_schema. */
const WHERE: Readonly<Record<Exclude<Probe['kind'], 'unknown'>, (name: string, table: string) => string>> = {
  table: (name) => `TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${name}`,
  view: (name) => `VIEWS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${name}`,
  function: (name) => `ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_NAME = ${name}`,
  procedure: (name) => `ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE = 'PROCEDURE' AND ROUTINE_NAME = ${name}`,
  trigger: (name) => `TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND TRIGGER_NAME = ${name}`,
  event: (name) => `EVENTS WHERE EVENT_SCHEMA = DATABASE() AND EVENT_NAME = ${name}`,
  index: (name, table) => `STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table} AND INDEX_NAME = ${name}`,
  'foreign key': (name, table) =>
    `TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table} AND CONSTRAINT_NAME = ${name}
     AND CONSTRAINT_TYPE = 'FOREIGN KEY'`,
  engine: (name, table) => `TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table} AND ENGINE = ${name}`,
}

/** True when the object is on the server. What can't be asked for is not. */
export async function isStanding(session: Session, probe: Probe): Promise<boolean> {
  if (probe.kind === 'unknown') return false
  const where = WHERE[probe.kind](quoteText(probe.name), quoteText(probe.table))
  return (await session.query(`SELECT 1 FROM information_schema.${where} LIMIT 1`)).rows.length > 0
}
