import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { Schema } from '../schema.ts'
import { sameName } from './names.ts'
import type { Session } from './session.ts'

const NOBODY = new Set(['dbo', 'guest', 'sys', 'information_schema'])

/** "Database-level roles", fixed-database roles. */
const FIXED_ROLE =
  /^db_(?:owner|accessadmin|securityadmin|ddladmin|backupoperator|datareader|datawriter|denydatareader|denydatawriter)$/i

/** Everybody is in this role ("Database-level roles", public). */
const PUBLIC = 'public'
/** What it may do in every new database, besides reading the catalog ("Always Encrypted", permissions). */
const PUBLIC_MAY = new Set(['VIEW ANY COLUMN MASTER KEY DEFINITION', 'VIEW ANY COLUMN ENCRYPTION KEY DEFINITION'])

const grantRow = z.object({
  name: z.string(),
  state: z.string(),
  permission: z.string(),
  class: z.number(),
  /** Negative for the server's own objects ("sys.database_permissions", major_id). */
  major: z.number(),
  object: z.string().nullable(),
})
type Grant = z.infer<typeof grantRow>

const isDefault = ({ name, state, permission, major }: Grant): boolean =>
  sameName(name, PUBLIC) && state === 'GRANT' && (major < 0 || PUBLIC_MAY.has(permission))

/**
 * Users and roles with what they are granted, for the report ("sys.database_permissions", "sys.database_role_members"); whoever may do something
 * is among them, of whatever kind (application roles, users of a certificate).
 */
export async function readPrincipals(session: Session): Promise<Schema['principals']> {
  const principals = await session.ask(
    z.object({ name: z.string() }),
    `SELECT name AS [name] FROM sys.database_principals
WHERE type IN ('S', 'U', 'G', 'R', 'E', 'X') AND is_fixed_role = 0 ORDER BY name`,
  )
  const grants = await session.ask(
    grantRow,
    `SELECT p.name AS [name], d.state_desc AS [state], d.permission_name AS [permission], CONVERT(int, d.class) AS [class],
  CONVERT(int, d.major_id) AS [major], CASE d.class WHEN 1 THEN OBJECT_SCHEMA_NAME(d.major_id) + N'.' + OBJECT_NAME(d.major_id) WHEN 3 THEN SCHEMA_NAME(d.major_id) END AS [object]
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
  const names = new Set([...principals, ...grants.filter((row) => !isDefault(row)), ...members].map(({ name }) => name))
  return [...names]
    .filter((name) => !NOBODY.has(name.toLowerCase()) && !FIXED_ROLE.test(name))
    .map((name) => ({
      name,
      grants: [
        ...members.filter((row) => row.name === name).map((row) => `member of ${row.role}`),
        ...grants.filter((row) => row.name === name && !isDefault(row)).map(grantText),
      ],
    }))
    .filter(({ name, grants: may }) => may.length > 0 || !sameName(name, PUBLIC))
}

const MOST_NAMED = 3
/** What every user has. */
const CONNECT = 'GRANT CONNECT'

/** Those that may do something in the old database, but for the account that migrate reads it with (`user`). */
export function principalFindings(principals: Schema['principals'], user: string): readonly Finding[] {
  const able = principals
    .map(({ name, grants }) => ({ name, grants: grants.filter((grant) => grant !== CONNECT) }))
    .filter(({ name, grants }) => grants.length > 0 && !sameName(name, user))
  if (able.length === 0) return []
  const named = able.map(({ name, grants }) => {
    const more = grants.length - MOST_NAMED
    return `${name} (${grants.slice(0, MOST_NAMED).join(', ')}${more > 0 ? `, and ${more} more` : ''})`
  })
  return [
    {
      severity: 'warning',
      code: 'grants-not-carried',
      message: `Users and roles of the old database aren't carried, nor what they may do: ${firstOf(named, MOST_NAMED)}.`,
      hint: 'Make those that the shop needs on the new host before the cutover; report.md lists them all. Nothing to do where the shop uses the account of new.database.',
    },
  ]
}

const grantText = (row: Grant): string =>
  `${row.state} ${row.permission}${row.object === null ? '' : ` ON ${row.class === 3 ? `SCHEMA::${row.object}` : row.object}`}`
