import { z } from 'zod'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'

/**
 * A standby takes no rows ("Recovery Information Functions"), nor does a session whose transactions are read-only by default: of the
 * settings for accounts and databases the most particular one holds ("ALTER ROLE", notes). That of this session is migrate's own.
 */
const REFUSAL = `SELECT pg_is_in_recovery() AS standby,
  coalesce((SELECT substr(o, length('default_transaction_read_only=') + 1)::boolean
    FROM pg_db_role_setting s, unnest(s.setconfig) o
    WHERE o LIKE 'default\\_transaction\\_read\\_only=%' AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
    ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1), false) AS "readOnly"`

const refusalRow = z.object({ standby: z.boolean(), readOnly: z.boolean() })

export async function refusesRows(session: Session): Promise<string | undefined> {
  const [row] = await ask(session, refusalRow, REFUSAL)
  if (row?.standby === true) return 'it is a standby, which takes no rows'
  return row?.readOnly === true ? 'its transactions are read-only by default (default_transaction_read_only)' : undefined
}
