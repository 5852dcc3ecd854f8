import type { ScratchPower } from '../scratch-port.ts'
import { ask } from './catalog.ts'
import type { Session } from './session.ts'
import { quoteName, quoteText } from './values.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/** MySQL Reference Manual, "Identifier Length Limits". */
const LONGEST_NAME = 64

export const mysqlScratch = (use: Use): ScratchPower => ({
  longestName: LONGEST_NAME,
  exists: (name) =>
    use(async (session) => {
      const rows = await ask(
        session,
        ['name'] as const,
        `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(name)}`,
      )
      return rows.length > 0
    }),
  create: (name) =>
    use(async (session) => {
      const [own] = await ask(session, ['charset', 'collation'] as const, 'SELECT @@character_set_database, @@collation_database')
      const like = own?.charset && own.collation ? ` CHARACTER SET ${own.charset} COLLATE ${own.collation}` : ''
      await session.query(`CREATE DATABASE ${quoteName(name)}${like}`)
    }),
  drop: (name) => use(async (session) => void (await session.query(`DROP DATABASE IF EXISTS ${quoteName(name)}`))),
})
