import { systemClock } from '../../base/clock.ts'
import { type Finding, MigrateError } from '../../base/errors.ts'
import { firstOf, formatDuration } from '../../base/units.ts'
import { type ForeignKey, fullName, type Schema } from '../schema.ts'
import { ask } from './catalog.ts'
import { type Session, timedSql } from './session.ts'
import { quoteName, quoteText } from './values.ts'

interface Reference {
  readonly name: string
  readonly columns: readonly string[]
  readonly parent: string
  readonly parentColumns: readonly string[]
}

async function referencesOf(session: Session, table: string): Promise<readonly Reference[]> {
  const rows = await ask(
    session,
    ['name', 'column', 'parent', 'parentColumn'] as const,
    `SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${quoteText(table)} AND REFERENCED_TABLE_NAME IS NOT NULL
     ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION`,
  )
  return [...Map.groupBy(rows, (row) => row.name ?? '')].map(([name, parts]) => ({
    name,
    columns: parts.map((part) => part.column ?? ''),
    parent: parts[0]?.parent ?? '',
    parentColumns: parts.map((part) => part.parentColumn ?? ''),
  }))
}

/**
 * Looks every row of a table up in its parents, after its foreign keys were added without that: the server would build the whole table
 * anew to look, where one pass over two indexes does ("Online DDL Operations", Adding a foreign key constraint). New rows are looked
 * at by the server already. Throws, with the table's foreign keys gone again, when a row has no parent.
 */
export async function proveReferences(session: Session, table: string, sql: string): Promise<void> {
  const references = await referencesOf(session, table)
  for (const reference of references) {
    const orphan = await orphanOf(session, table, reference)
    if (orphan === undefined) continue
    await session.query(
      `ALTER TABLE ${quoteName(table)} ${references.map(({ name }) => `DROP FOREIGN KEY ${quoteName(name)}`).join(', ')}`,
    )
    const { parent, parentColumns, columns, name } = reference
    throw new MigrateError(
      'database-statement-failed',
      `The ${session.label} can't have the foreign key ${name}: ${table} (${columns.join(', ')}) holds ${JSON.stringify(orphan)}, which no row of ${parent} (${parentColumns.join(', ')}) has.\nStatement: ${sql.slice(0, 160)}`,
      {
        hint: 'Remove such rows on the old host, or give them a parent there, and run again.',
        cause: Object.assign(new Error('a row without a parent'), { errno: NO_PARENT }),
      },
    )
  }
}

/** ER_NO_REFERENCED_ROW_2, as the server itself would have said it. */
const NO_PARENT = 1452

/** Children beside their parents, as far as they have any; `c` and `p`. */
function childrenSql(table: string, { columns, parent, parentColumns }: Omit<Reference, 'name'>): string {
  const match = columns.map((name, at) => `p.${quoteName(parentColumns[at] ?? '')} = c.${quoteName(name)}`).join(' AND ')
  const present = columns.map((name) => `c.${quoteName(name)} IS NOT NULL`).join(' AND ')
  return `FROM ${quoteName(table)} AS c LEFT JOIN ${quoteName(parent)} AS p ON ${match} WHERE ${present} AND p.${quoteName(parentColumns[0] ?? '')} IS NULL`
}

const orphanSql = (table: string, reference: Omit<Reference, 'name'>): string =>
  `SELECT ${reference.columns.map((name) => `CAST(c.${quoteName(name)} AS CHAR)`).join(', ')} ${childrenSql(table, reference)} LIMIT 1`

const orphanOf = async (session: Session, table: string, reference: Reference): Promise<readonly (string | null)[] | undefined> =>
  (await session.query(orphanSql(table, reference))).rows[0]

/** The old host serves customers meanwhile: so long one foreign key is looked at, and so long all of them together. */
const PATIENCE_MS = 20_000
const PATIENCE_WITH_ALL_MS = 60_000

/** See the port: rows that a shop wrote while foreign_key_checks was off, and that the new host's foreign key won't take. */
export async function orphans(session: Session, schema: Pick<Schema, 'tables' | 'foreignKeys'>): Promise<readonly Finding[]> {
  const there = new Set(schema.tables.map(({ name }) => fullName(name)))
  const findings: Finding[] = []
  const unknown: ForeignKey[] = []
  const end = systemClock.monotonic() + PATIENCE_WITH_ALL_MS
  for (const key of schema.foreignKeys) {
    if (!there.has(fullName(key.table)) || !there.has(fullName(key.parent))) continue
    const left = Math.min(PATIENCE_MS, end - systemClock.monotonic())
    const orphan = left <= 0 ? 'unknown' : await orphanWithin(session, key, left)
    if (orphan === 'unknown') unknown.push(key)
    else if (orphan !== undefined) findings.push(orphanFinding(key, orphan))
  }
  return unknown.length === 0 ? findings : [...findings, unknownFinding(unknown)]
}

const referenceOf = ({ columns, parent, parentColumns }: ForeignKey): Omit<Reference, 'name'> => ({
  columns,
  parent: parent.name,
  parentColumns,
})

async function orphanWithin(
  session: Session,
  key: ForeignKey,
  ms: number,
): Promise<readonly (string | null)[] | 'unknown' | undefined> {
  try {
    return (await session.query(timedSql(orphanSql(key.table.name, referenceOf(key)), session.kind, ms))).rows[0]
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'database-timeout') return 'unknown'
    throw error
  }
}

const orphanFinding = (key: ForeignKey, orphan: readonly (string | null)[]): Finding => ({
  severity: 'error',
  code: 'rows-without-parent',
  message: `${fullName(key.table)} has rows without a parent on the old host, written while foreign_key_checks was off: ${key.columns.join(', ')} holds ${orphan.join(', ')}, which no row of ${fullName(key.parent)} (${key.parentColumns.join(', ')}) has. The new server refuses the foreign key ${key.name} then.`,
  hint: `This lists them: SELECT c.* ${childrenSql(key.table.name, referenceOf(key))}; Give them a parent there, remove them, or drop the foreign key.`,
})

const unknownFinding = (keys: readonly ForeignKey[]): Finding => ({
  severity: 'info',
  code: 'rows-without-parent-unknown',
  message: `Whether all rows have a parent couldn't be found out in time (${formatDuration(PATIENCE_MS)} each) for ${firstOf(keys.map(({ name, table }) => `${name} of ${fullName(table)}`))}.`,
  hint: 'If some have none, restore-database ends at that foreign key and names one; nothing is lost.',
})
