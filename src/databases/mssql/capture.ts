import { z } from 'zod'
import { THIS_DATABASE } from './catalog.ts'
import { sameName } from './names.ts'
import type { Session } from './session.ts'

/**
 * Change data capture has the schema and user of this name for itself, and isn't switched on where somebody else made one; its tables and
 * functions stand there ("Enable and disable change data capture"). They are the server's, and made anew by sys.sp_cdc_enable_db.
 */
const SCHEMA = 'cdc'

/** Tells of the name of a schema or user whether it is change data capture's in this database. */
export async function captured(session: Session): Promise<(name: string) => boolean> {
  const [database] = await session.ask(
    z.object({ capturing: z.number().nullable() }),
    `SELECT CONVERT(int, d.is_cdc_enabled) AS [capturing] FROM sys.databases d WHERE ${THIS_DATABASE}`,
  )
  return (name) => database?.capturing === 1 && sameName(name, SCHEMA)
}
