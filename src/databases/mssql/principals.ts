import { z } from 'zod'
import type { Schema } from '../schema.ts'
import type { Session } from './session.ts'

const NOBODY = new Set(['dbo', 'guest', 'sys', 'information_schema', 'public'])

/** Users and roles with what they are granted, for the report ("sys.database_permissions", "sys.database_role_members"). */
export async function readPrincipals(session: Session): Promise<Schema['principals']> {
  const principals = await session.ask(
    z.object({ name: z.string() }),
    `SELECT name AS [name] FROM sys.database_principals
WHERE type IN ('S', 'U', 'G', 'R', 'E', 'X') AND is_fixed_role = 0 ORDER BY name`,
  )
  const grants = await session.ask(
    z.object({ name: z.string(), state: z.string(), permission: z.string(), class: z.number(), object: z.string().nullable() }),
    `SELECT p.name AS [name], d.state_desc AS [state], d.permission_name AS [permission], CONVERT(int, d.class) AS [class],
  CASE d.class WHEN 1 THEN OBJECT_SCHEMA_NAME(d.major_id) + N'.' + OBJECT_NAME(d.major_id) WHEN 3 THEN SCHEMA_NAME(d.major_id) END AS [object]
FROM sys.database_permissions d JOIN sys.database_principals p ON p.principal_id = d.grantee_principal_id
ORDER BY p.name, d.class, d.permission_name`,
  )
  const members = await session.ask(
    z.object({ name: z.string(), role: z.string() }),
    `SELECT m.name AS [name], r.name AS [role] FROM sys.database_role_members x
JOIN sys.database_principals m ON m.principal_id = x.member_principal_id
JOIN sys.database_principals r ON r.principal_id = x.role_principal_id
ORDER BY m.name, r.name`,
  )
  return principals
    .filter((principal) => !NOBODY.has(principal.name.toLowerCase()))
    .map(({ name }) => ({
      name,
      grants: [
        ...members.filter((row) => row.name === name).map((row) => `member of ${row.role}`),
        ...grants.filter((row) => row.name === name).map(grantText),
      ],
    }))
}

const grantText = (row: {
  readonly state: string
  readonly permission: string
  readonly class: number
  readonly object: string | null
}): string =>
  `${row.state} ${row.permission}${row.object === null ? '' : ` ON ${row.class === 3 ? `SCHEMA::${row.object}` : row.object}`}`
