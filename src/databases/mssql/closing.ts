import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import type { ClosingPower } from '../closing-port.ts'
import { mayHere, THIS_DATABASE } from './catalog.ts'
import { quoteName } from './names.ts'
import type { Session } from './session.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

const READ_WRITE = 'READ_WRITE'
const READ_ONLY = 'READ_ONLY'

/**
 * Closes by ALTER DATABASE … SET READ_ONLY ("ALTER DATABASE SET options (Transact-SQL)", db_update_option). The server needs the database
 * for itself meanwhile: after the grace it rolls back what isn't ended and ends the other sessions, migrate's too, which connect anew.
 */
export const mssqlClosing = (use: Use): ClosingPower => ({
  missing: () => use(missing),
  look: () =>
    use(async (session) => {
      const { database, readOnly } = await stateOf(session)
      return { closed: readOnly, before: readOnly ? READ_ONLY : READ_WRITE, statement: closeSql(database, 10_000) }
    }),
  close: (graceMs) =>
    use(async (session) => {
      const { database, readOnly } = await stateOf(session)
      if (!readOnly) await session.batch(closeSql(database, graceMs))
    }),
  open: (before) =>
    use(async (session) => {
      const { database, readOnly } = await stateOf(session)
      if (readOnly && before !== READ_ONLY) await session.batch(openSql(database))
    }),
})

/** Pure: the statements. Neither may run in a transaction. */
export const closeSql = (database: string, graceMs: number): string =>
  `ALTER DATABASE ${quoteName(database)} SET READ_ONLY WITH ROLLBACK AFTER ${Math.max(1, Math.ceil(graceMs / 1000))} SECONDS`
/** Readers alone are there now: nothing of theirs is lost when they are ended. */
export const openSql = (database: string): string =>
  `ALTER DATABASE ${quoteName(database)} SET READ_WRITE WITH ROLLBACK IMMEDIATE`

const stateRow = z.object({ database: z.string(), user: z.string(), readOnly: z.boolean(), may: z.number().nullable() })

const STATE = `SELECT CONVERT(nvarchar(128), DB_NAME()) AS [database], CONVERT(nvarchar(128), USER_NAME()) AS [user], d.is_read_only AS [readOnly],
  ${mayHere("N'ALTER'")} AS [may]
FROM sys.databases d WHERE ${THIS_DATABASE}`

async function stateOf(session: Session): Promise<z.infer<typeof stateRow>> {
  const rows = await session.ask(stateRow, STATE)
  return stateRow.parse(rows[0])
}

async function missing(session: Session): Promise<readonly Finding[]> {
  const { database, user, may } = await stateOf(session)
  if (may === 1) return []
  return [
    {
      severity: 'error',
      code: 'right-to-close',
      message: `${session.where.label}: ${user} lacks ALTER on the database (to make it read-only).`,
      hint: `GRANT ALTER ON DATABASE::${quoteName(database)} TO ${quoteName(user)}; or ALTER ROLE db_owner ADD MEMBER ${quoteName(user)};`,
    },
  ]
}
