import type { Finding } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import { copyTime } from './estimate.ts'

/** About a minute's copy: what is open for less holds nothing up. */
const LONG_BYTES = 600 * 2 ** 20

/** Whether so many readers see one instant, for which each keeps a transaction open. Read-only. */
export const isOneInstant = (database: Database, connections: number): Promise<boolean> =>
  database.read(connections, async (readers) => readers.every((reader) => reader.consistent))

/** Says beforehand that saving so many bytes keeps a transaction open for long, and what that costs the old host. */
export async function longTransaction(database: Database, connections: number, bytes: number): Promise<readonly Finding[]> {
  if (bytes < LONG_BYTES || !(await isOneInstant(database, connections))) return []
  return [
    {
      severity: 'warning',
      code: 'snapshot-transaction-long',
      message: `While the rows are saved, a transaction stays open on the old host, so that they are all of one moment (${copyTime(bytes)}). Until it ends, the server keeps every old version of the rows that customers change: PostgreSQL's VACUUM removes none, SQL Server's version store in tempdb grows. Nobody waits for it.`,
      hint: 'Nothing to do on a host with room on its disk; otherwise save at a quiet hour.',
    },
  ]
}
