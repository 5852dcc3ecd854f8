import { z } from 'zod'
import type { ScratchPower } from '../scratch-port.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteName, quoteText } from './values.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/** NAMEDATALEN - 1 (PostgreSQL documentation, "Identifiers and Key Words"). */
const LONGEST_NAME = 63

const ownRow = z.object({ encoding: z.string(), collate: z.string(), ctype: z.string() })
const countRow = z.object({ count: z.number() })

export const postgresScratch = (use: Use): ScratchPower => ({
  longestName: LONGEST_NAME,
  exists: (name) =>
    use(async (session) => {
      const [row] = await ask(
        session,
        countRow,
        `SELECT count(*)::int AS count FROM pg_database WHERE datname = ${quoteText(name)}`,
      )
      return row?.count === 1
    }),
  create: (name) =>
    use(async (session) => {
      const [own] = await ask(
        session,
        ownRow,
        `SELECT pg_encoding_to_char(encoding)::text AS encoding, datcollate::text AS collate, datctype::text AS ctype
         FROM pg_database WHERE datname = current_database()`,
      )
      const like =
        own === undefined
          ? ''
          : ` ENCODING ${quoteText(own.encoding)} LC_COLLATE ${quoteText(own.collate)} LC_CTYPE ${quoteText(own.ctype)}`
      await session.query(`CREATE DATABASE ${quoteName(name)} TEMPLATE template0${like}`)
    }),
  drop: (name) =>
    use(async (session) => {
      // WITH (FORCE) came with PostgreSQL 13; sessions of one's own can be ended by anyone.
      await session.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = $1 AND (usename = current_user OR pg_has_role('pg_signal_backend', 'USAGE'))`,
        [name],
      )
      await session.query(`DROP DATABASE IF EXISTS ${quoteName(name)}`)
    }),
})
