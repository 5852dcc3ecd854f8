import { z } from 'zod'
import type { ScratchPower } from '../scratch-port.ts'
import { quoteName, quoteText } from './names.ts'
import type { Session } from './session.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/** sysname ("Database identifiers", Transact-SQL reference). */
const LONGEST_NAME = 128

const collationRow = z.object({ collation: z.string().nullable() })
const idRow = z.object({ id: z.unknown() })

export const mssqlScratch = (use: Use): ScratchPower => {
  const exists = (name: string): Promise<boolean> =>
    use(async (session) => {
      const [row] = await session.ask(idRow, `SELECT DB_ID(${quoteText(name)}) AS id`)
      return row?.id !== null && row?.id !== undefined
    })
  return {
    longestName: LONGEST_NAME,
    exists,
    create: (name) =>
      use(async (session) => {
        const [own] = await session.ask(
          collationRow,
          `SELECT CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')) AS collation`,
        )
        const like = own?.collation && /^\w+$/.test(own.collation) ? ` COLLATE ${own.collation}` : ''
        await session.batch(`CREATE DATABASE ${quoteName(name)}${like}`)
      }),
    drop: async (name) => {
      if (!(await exists(name))) return
      await use(async (session) => {
        try {
          await session.batch(`DROP DATABASE ${quoteName(name)}`)
        } catch {
          // Somebody is connected: "DROP DATABASE (Transact-SQL)" advises to end them so. What is wrong else, the second try tells.
          await session.batch(`ALTER DATABASE ${quoteName(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE`)
          await session.batch(`DROP DATABASE ${quoteName(name)}`)
        }
      })
    },
  }
}
