import { z } from 'zod'
import type { Table } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

const triggerRow = z.object({ name: z.string(), enabled: z.enum(['O', 'R', 'A']) })

const ENABLE = { O: 'ENABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' } as const

/**
 * Runs `work` with the user triggers of `tables` off, within the open transaction, and puts each back as it was. The triggers that
 * enforce foreign keys stay on. A table without triggers isn't touched: ALTER TABLE locks out writers until the transaction ends.
 */
export async function withoutTriggers<T>(
  session: Session,
  tables: readonly Pick<Table, 'name'>[],
  work: () => Promise<T>,
): Promise<T> {
  const enable: string[] = []
  for (const table of tables) {
    const name = quoteTable(table.name)
    const triggers = await ask(
      session,
      triggerRow,
      `SELECT tgname AS name, tgenabled AS enabled FROM pg_trigger
       WHERE tgrelid = ${quoteText(name)}::regclass AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname`,
    )
    if (triggers.length === 0) continue
    await session.query(`ALTER TABLE ${name} ${triggers.map((each) => `DISABLE TRIGGER ${quoteName(each.name)}`).join(', ')}`)
    enable.push(
      `ALTER TABLE ${name} ${triggers.map((each) => `${ENABLE[each.enabled]} TRIGGER ${quoteName(each.name)}`).join(', ')}`,
    )
  }
  const result = await work()
  // Deferred checks run now: ALTER TABLE refuses a table that still has some waiting.
  if (enable.length > 0) await session.query('SET CONSTRAINTS ALL IMMEDIATE')
  for (const sql of enable) await session.query(sql)
  return result
}
