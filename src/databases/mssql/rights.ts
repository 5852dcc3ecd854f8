import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import type { RightsPurpose } from '../port.ts'
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

const permissionRow = z.object({ user: z.string(), permission: z.string(), granted: z.number().nullable() })

/** HAS_PERMS_BY_NAME: 1, 0, or null for a permission that this server doesn't know. */
const PERMISSIONS_SQL = `SELECT CONVERT(nvarchar(128), USER_NAME()) AS [user], v.permission AS [permission],
  HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', v.permission) AS [granted]
FROM (VALUES ${['VIEW DEFINITION', ...NEEDS.map(([permission]) => permission)].map((each) => `(${quoteText(each)})`).join(', ')}) AS v(permission)`

/** What the account lacks, each with the statement that grants it. Read-only. */
export async function missingRights(session: Session, purpose: RightsPurpose): Promise<readonly Finding[]> {
  if (purpose === 'identities') return await unnumbering(session)
  const rows = await session.ask(permissionRow, PERMISSIONS_SQL)
  const user = rows[0]?.user ?? ''
  const denied = new Set(rows.filter((row) => row.granted === 0).map((row) => row.permission))
  if (purpose === 'read') return [...(await unreadable(session, user)), ...unseen(session, user, denied)]
  return NEEDS.filter(([permission]) => denied.has(permission)).map(([permission, why]) => ({
    severity: 'error',
    code: 'database-right-missing',
    message: `${session.where.label}: ${user} lacks ${permission} (to ${why}).`,
    hint: `GRANT ${permission} TO ${quoteName(user)}; or ALTER ROLE db_owner ADD MEMBER ${quoteName(user)};`,
  }))
}

/** Tables that are seen but not readable; one that the account may not even see can't be named by anyone. */
async function unreadable(session: Session, user: string): Promise<readonly Finding[]> {
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string() }),
    `SELECT s.name AS [schema], t.name AS [name] FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT') = 0
ORDER BY s.name, t.name`,
  )
  return rows.map((row) => ({
    severity: 'error',
    code: 'database-right-missing',
    message: `${session.where.label}: ${user} may not read ${row.schema}.${row.name}.`,
    hint: `GRANT SELECT ON ${quoteTable(row)} TO ${quoteName(user)};`,
  }))
}

/**
 * Without VIEW DEFINITION the server hides procedures, triggers and defaults, or their texts, without a word ("Metadata visibility
 * configuration"): they would be left behind. Whoever may alter the database sees them too.
 */
function unseen(session: Session, user: string, denied: ReadonlySet<string>): readonly Finding[] {
  if (!denied.has('VIEW DEFINITION') || !denied.has('ALTER')) return []
  return [
    {
      severity: 'error',
      code: 'database-right-missing',
      message: `${session.where.label}: ${user} may not see definitions: views, procedures, triggers and defaults would be left behind unnoticed.`,
      hint: `GRANT VIEW DEFINITION TO ${quoteName(user)};`,
    },
  ]
}

/**
 * DBCC CHECKIDENT wants the owner of the table's schema, or db_owner, db_ddladmin or sysadmin ("DBCC CHECKIDENT (Transact-SQL)",
 * Permissions); ALTER SEQUENCE wants ALTER on the sequence ("ALTER SEQUENCE (Transact-SQL)", Security), which db_ddladmin has.
 */
const NUMBERING_SQL = `SELECT CONVERT(nvarchar(128), USER_NAME()) AS [user],
  CASE WHEN IS_MEMBER(N'db_owner') = 1 OR IS_MEMBER(N'db_ddladmin') = 1 OR IS_SRVROLEMEMBER(N'sysadmin') = 1 THEN 1 ELSE 0 END AS [granted]`

async function unnumbering(session: Session): Promise<readonly Finding[]> {
  const [row] = await session.ask(z.object({ user: z.string(), granted: z.number() }), NUMBERING_SQL)
  if (row === undefined || row.granted === 1) return []
  return [
    {
      severity: 'error',
      code: 'database-right-missing',
      message: `${session.where.label}: ${row.user} may not move identities.`,
      hint: `ALTER ROLE db_ddladmin ADD MEMBER ${quoteName(row.user)};`,
    },
  ]
}
