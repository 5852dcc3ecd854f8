import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { quoteName, quoteTable } from './names.ts'
import type { Session } from './session.ts'

const answer = z.object({ granted: z.number().nullable() })

/** HAS_PERMS_BY_NAME: 1, 0, or null for a permission that this server doesn't know. */
async function may(session: Session, permission: string): Promise<boolean> {
  const [row] = await session.ask(answer, "SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', @p0) AS [granted]", [permission])
  return row?.granted !== 0
}

/** What `purpose` needs on the whole database, and why; ALTER implies every CREATE ("Permissions (Database Engine)"). */
const NEEDS: Readonly<Record<'read' | 'write', readonly (readonly [permission: string, why: string])[]>> = {
  read: [],
  write: [
    ['ALTER', 'create schemas, types, tables, views and procedures, and set identities'],
    ['SELECT', 'read rows back'],
    ['INSERT', 'load rows'],
    ['UPDATE', 'carry changed rows'],
    ['DELETE', 'carry deleted rows'],
    ['REFERENCES', 'add foreign keys'],
  ],
}

/** What the account lacks, each with the statement that grants it. Read-only. */
export async function missingRights(session: Session, purpose: 'read' | 'write'): Promise<readonly Finding[]> {
  const [who] = await session.ask(
    z.object({ user: z.string(), database: z.string() }),
    'SELECT CONVERT(nvarchar(128), USER_NAME()) AS [user], CONVERT(nvarchar(128), DB_NAME()) AS [database]',
  )
  const user = who?.user ?? ''
  const findings: Finding[] = []
  for (const [permission, why] of NEEDS[purpose]) {
    if (await may(session, permission)) continue
    findings.push({
      severity: 'error',
      code: 'database-right-missing',
      message: `${session.where.label}: ${user} lacks ${permission} (to ${why}).`,
      hint: `GRANT ${permission} TO ${quoteName(user)}; or ALTER ROLE db_owner ADD MEMBER ${quoteName(user)};`,
    })
  }
  return purpose === 'write' ? findings : [...(await unreadable(session, user)), ...(await unseen(session, user)), ...findings]
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
async function unseen(session: Session, user: string): Promise<readonly Finding[]> {
  if ((await may(session, 'VIEW DEFINITION')) || (await may(session, 'ALTER'))) return []
  return [
    {
      severity: 'error',
      code: 'database-right-missing',
      message: `${session.where.label}: ${user} may not see definitions: views, procedures, triggers and defaults would be left behind unnoticed.`,
      hint: `GRANT VIEW DEFINITION TO ${quoteName(user)};`,
    },
  ]
}
