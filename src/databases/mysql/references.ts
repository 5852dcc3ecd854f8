import { MigrateError } from '../../base/errors.ts'
import { ask } from './catalog.ts'
import type { Session } from './session.ts'
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

async function orphanOf(session: Session, table: string, reference: Reference): Promise<readonly (string | null)[] | undefined> {
  const { columns, parent, parentColumns } = reference
  const match = columns.map((name, at) => `p.${quoteName(parentColumns[at] ?? '')} = c.${quoteName(name)}`).join(' AND ')
  const present = columns.map((name) => `c.${quoteName(name)} IS NOT NULL`).join(' AND ')
  const { rows } = await session.query(
    `SELECT ${columns.map((name) => `CAST(c.${quoteName(name)} AS CHAR)`).join(', ')} FROM ${quoteName(table)} AS c
     LEFT JOIN ${quoteName(parent)} AS p ON ${match}
     WHERE ${present} AND p.${quoteName(parentColumns[0] ?? '')} IS NULL LIMIT 1`,
  )
  return rows[0]
}
