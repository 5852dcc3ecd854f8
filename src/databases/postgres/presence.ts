import { z } from 'zod'
import type { PresencePower } from '../presence-port.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { inTransaction } from './transaction.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/**
 * An advisory lock is known to one server, and there to one database ("Advisory Locks"); a server's start doesn't change while a session of it
 * lasts. Servers that only speak as PostgreSQL does may know no such locks, or have several nodes.
 */
const takeLock = (sign: string): string => `SELECT pg_try_advisory_xact_lock(${sign}) AS had,
  extract(epoch FROM pg_postmaster_start_time())::text AS started,
  NOT pg_is_in_recovery() AND version() ~ '^PostgreSQL [0-9.]+(devel|beta[0-9]+|rc[0-9]+)?[ ,]' AS leads`
const holdsLock = (sign: bigint): string => `SELECT count(*) = 1 AS held FROM pg_locks
  WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
    AND classid::bigint = ${sign >> 32n} AND objid::bigint = ${sign & 0xffff_ffffn}`

const takenRow = z.object({ had: z.boolean(), started: z.string(), leads: z.boolean() })
const heldRow = z.object({ held: z.boolean() })

export const postgresPresence = (use: Use): PresencePower => ({
  hold: (sign, work) =>
    use((session) => {
      const held = async () => {
        const [taken] = await ask(session, takenRow, takeLock(sign))
        const result = await work()
        const [kept] = await ask(session, heldRow, holdsLock(BigInt(sign)))
        const had = taken?.had === true && kept?.held === true
        return { presence: { had, started: taken?.started ?? '', leads: taken?.leads ?? false }, result }
      }
      return inTransaction(session, 'read', held, true)
    }),
})
