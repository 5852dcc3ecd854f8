import { MigrateError } from '../../base/errors.ts'
import { fullName, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { quoteTable } from './values.ts'

/** Its words when a row fits into none of a table's partitions. The code, check_violation, is that of any CHECK as well. */
const NO_PARTITION = /no partition of relation .* found for row/

/**
 * Runs `work`, which writes rows into a table within the open transaction. When a row has no partition here, those that `table`
 * names and that aren't here are made, empty, and `work` is run again: the other host made them in the meantime, for later rows.
 */
export async function withPartitions<T>(session: Session, table: Table, work: () => Promise<T>): Promise<T> {
  if (table.partitions === undefined) return await work()
  await session.query('SAVEPOINT partitions')
  let result: T
  try {
    result = await work()
  } catch (error) {
    if (session.broken || !(error instanceof MigrateError) || !NO_PARTITION.test(error.message)) throw error
    await session.query('ROLLBACK TO SAVEPOINT partitions')
    if ((await addMissing(session, table)) === 0) throw partitionMissing(session, table, error)
    result = await work()
  }
  await session.query('RELEASE SAVEPOINT partitions')
  return result
}

async function addMissing(session: Session, table: Table): Promise<number> {
  let added = 0
  for (const { name, sql } of table.partitions ?? []) {
    const { rows } = await session.query('SELECT to_regclass($1)::text', [quoteTable(name)])
    if (typeof rows[0]?.[0] === 'string') continue
    await session.query(sql)
    added += 1
  }
  return added
}

const partitionMissing = (session: Session, table: Table, cause: MigrateError): MigrateError =>
  new MigrateError(
    'partition-missing',
    `${fullName(table.name)} on the ${session.label} has no partition for a row that is to be carried: ${cause.message}`,
    {
      hint: 'Nothing of this batch was kept. Create the partition there by hand (or a DEFAULT partition), then run again.',
      cause,
    },
  )
