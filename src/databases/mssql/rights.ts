import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { RightsPurpose } from '../port.ts'
import { catalogColumns, mayHere } from './catalog.ts'
import { quoteName, quoteTable, quoteText } from './names.ts'
import type { Session } from './session.ts'

/** What writing needs on the whole database, and why; ALTER implies every CREATE ("Permissions (Database Engine)"). */
const NEEDS: readonly (readonly [permission: string, why: string])[] = [
  ['ALTER', 'create schemas, types, tables, views and procedures, and set identities'],
  ['SELECT', 'read rows back'],
  ['INSERT', 'load rows'],
  ['UPDATE', 'carry changed rows'],
  ['DELETE', 'carry deleted rows'],
  ['REFERENCES', 'add foreign keys'],
]

/** DBCC CHECKIDENT asks for a role, whatever was granted ("DBCC CHECKIDENT (Transact-SQL)", permissions). */
const RESEEDING_ROLES = ['db_owner', 'db_ddladmin']

const permissionRow = z.object({ user: z.string(), permission: z.string(), granted: z.number().nullable() })

/** HAS_PERMS_BY_NAME: 1, 0, or null for a permission that this server doesn't know. */
const PERMISSIONS_SQL = `SELECT CONVERT(nvarchar(128), USER_NAME()) AS [user], v.permission AS [permission],
  ${mayHere('v.permission')} AS [granted]
FROM (VALUES ${['VIEW DEFINITION', ...NEEDS.map(([permission]) => permission)].map((each) => `(${quoteText(each)})`).join(', ')}) AS v(permission)`

/** What the account lacks, each with the statement that grants it. Read-only. */
export async function missingRights(session: Session, purpose: RightsPurpose): Promise<readonly Finding[]> {
  const rows = await session.ask(permissionRow, PERMISSIONS_SQL)
  const user = rows[0]?.user ?? ''
  if (purpose === 'identities') return user === 'dbo' ? [] : await unableToReseed(session, user)
  const denied = new Set(rows.filter((row) => row.granted === 0).map((row) => row.permission))
  if (purpose === 'read')
    return [
      ...(await unreadable(session, user)),
      ...(await unreadableColumns(session, user)),
      ...unseen(session, user, denied),
      ...(await masked(session, user)),
    ]
  const missing = NEEDS.filter(([permission]) => denied.has(permission)).map(([permission, why]) =>
    lacking(
      `${session.where.label}: ${user} lacks ${permission} (to ${why}).`,
      `GRANT ${permission} TO ${quoteName(user)}; or ALTER ROLE db_owner ADD MEMBER ${quoteName(user)};`,
    ),
  )
  // The owner is in every role.
  return denied.has('ALTER') || user === 'dbo' ? missing : [...missing, ...(await unableToReseed(session, user))]
}

const lacking = (message: string, hint: string): Finding => ({ severity: 'error', code: 'database-right-missing', message, hint })

/**
 * DBCC CHECKIDENT wants one of these roles ("DBCC CHECKIDENT (Transact-SQL)", Permissions); ALTER SEQUENCE wants ALTER on the sequence
 * ("ALTER SEQUENCE (Transact-SQL)", Security), which they have too.
 */
async function unableToReseed(session: Session, user: string): Promise<readonly Finding[]> {
  const [row] = await session.ask(
    z.object({ member: z.number().nullable() }),
    `SELECT MAX(IS_ROLEMEMBER(v.role)) AS [member] FROM (VALUES ${RESEEDING_ROLES.map((role) => `(${quoteText(role)})`).join(', ')}) AS v(role)`,
  )
  if (row?.member !== 0) return []
  return [
    lacking(
      `${session.where.label}: ${user} is in none of the roles ${RESEEDING_ROLES.join(', ')}, which DBCC CHECKIDENT asks for (to set identities).`,
      `ALTER ROLE db_ddladmin ADD MEMBER ${quoteName(user)};`,
    ),
  ]
}

/** Without UNMASK the server hands out masks in place of the values ("Dynamic data masking"): they would be copied as if they were. */
async function masked(session: Session, user: string): Promise<readonly Finding[]> {
  if (!(await catalogColumns(session)).has('columns.is_masked')) return []
  const [row] = await session.ask(
    z.object({ columns: z.number(), unmask: z.number().nullable() }),
    `SELECT COUNT(*) AS [columns], MAX(${mayHere("N'UNMASK'")}) AS [unmask]
FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id WHERE c.is_masked = 1`,
  )
  if (row === undefined || row.columns === 0 || row.unmask !== 0) return []
  return [
    lacking(
      `${session.where.label}: ${user} sees masks instead of the values of ${row.columns} columns.`,
      `GRANT UNMASK TO ${quoteName(user)};`,
    ),
  ]
}

/** Tables that are seen but not readable; one that the account may not even see can't be named by anyone. */
async function unreadable(session: Session, user: string): Promise<readonly Finding[]> {
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string() }),
    `SELECT s.name AS [schema], t.name AS [name] FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT') = 0
ORDER BY s.name, t.name`,
  )
  return together(
    rows.map((row) => `${row.schema}.${row.name}`),
    (tables) => `${session.where.label}: ${user} may not read ${tables}.`,
    rows.map((row) => `GRANT SELECT ON ${quoteTable(row)} TO ${quoteName(user)};`),
  )
}

/** One finding for all: a shop may have hundreds of tables. GRANT takes one at a time ("GRANT Object Permissions (Transact-SQL)"). */
const together = (names: readonly string[], message: (names: string) => string, grants: readonly string[]): readonly Finding[] =>
  names.length === 0 ? [] : [lacking(message(firstOf(names)), grants.join(' '))]

/**
 * Columns that are denied in tables which may be read: every SELECT would fail. They are named without brackets ("HAS_PERMS_BY_NAME
 * (Transact-SQL)", sub-securable).
 */
async function unreadableColumns(session: Session, user: string): Promise<readonly Finding[]> {
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string(), column: z.string() }),
    `SELECT s.name AS [schema], t.name AS [name], c.name AS [column]
FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT') = 1
  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT', c.name, N'COLUMN') = 0
ORDER BY s.name, t.name, c.column_id`,
  )
  return together(
    rows.map((row) => `${row.schema}.${row.name}.${row.column}`),
    (columns) => `${session.where.label}: ${user} may not read the column${rows.length === 1 ? '' : 's'} ${columns}.`,
    rows.map((row) => `GRANT SELECT ON ${quoteTable(row)} (${quoteName(row.column)}) TO ${quoteName(user)};`),
  )
}

/**
 * Without VIEW DEFINITION the server hides procedures, triggers and defaults, or their texts, without a word ("Metadata visibility
 * configuration"): they would be left behind. Whoever may alter the database sees them too.
 */
function unseen(session: Session, user: string, denied: ReadonlySet<string>): readonly Finding[] {
  if (!denied.has('VIEW DEFINITION') || !denied.has('ALTER')) return []
  return [
    lacking(
      `${session.where.label}: ${user} may not see definitions: views, procedures, triggers and defaults would be left behind unnoticed.`,
      `GRANT VIEW DEFINITION TO ${quoteName(user)};`,
    ),
  ]
}
