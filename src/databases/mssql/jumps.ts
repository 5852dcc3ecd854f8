import { z } from 'zod'
import { catalogColumns } from './catalog.ts'
import type { Session } from './session.ts'

/**
 * Values that the server keeps in memory for an identity column and loses when it is restarted without a clean shutdown, or fails
 * over: "CREATE TABLE (Transact-SQL) IDENTITY (Property)", Remarks, says that there is a gap, and servers show these (SQL Server 2012
 * and later, IDENTITY_CACHE on, its default).
 */
const IDENTITY_JUMPS: Readonly<Record<string, string>> = { tinyint: '10', smallint: '100', int: '1000' }

/** Rows that an identity column of this type may skip at a restart. */
export const identityJump = (type: string): string => IDENTITY_JUMPS[type] ?? '10000'

/** The setting's row as the catalog has it; [] where it has none. */
export const cacheOf = (rows: readonly { readonly value: string | null }[]): boolean => rows[0]?.value !== '0'

/**
 * Whether this database's identity columns hand out values of a cache ("ALTER DATABASE SCOPED CONFIGURATION", IDENTITY_CACHE, since 2017;
 * on by default, and always on before, but for servers that run under trace flag 272, which an ordinary account may not ask for).
 */
export async function hasIdentityCache(session: Session): Promise<boolean> {
  const known = await catalogColumns(session)
  if (!known.has('database_scoped_configurations.value')) return true
  const rows = await session.ask(
    z.object({ value: z.string().nullable() }),
    `SELECT CONVERT(nvarchar(20), value) AS [value] FROM sys.database_scoped_configurations WHERE name = N'IDENTITY_CACHE'`,
  )
  return cacheOf(rows)
}

/** Microsoft promises no size for CACHE without one ("CREATE SEQUENCE (Transact-SQL)"); servers take 50. */
const CACHE_WITHOUT_SIZE = 50

/** Rows that a sequence may skip at a restart: what is left of its cache. */
export const sequenceJump = ({ cached, cache }: { readonly cached: boolean; readonly cache: number | null }): string =>
  cached ? String(cache ?? CACHE_WITHOUT_SIZE) : '0'
