import { z } from 'zod'
import type { Table } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

const triggerRow = z.object({ place: z.number(), name: z.string(), enabled: z.enum(['O', 'R', 'A']) })

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
  const names = [...new Set(tables.map((table) => quoteTable(table.name)))]
  const all =
    names.length === 0
      ? []
      : await ask(
          session,
          triggerRow,
          `SELECT t.place, tgname AS name, tgenabled AS enabled
           FROM unnest(ARRAY[${names.map(quoteText).join(', ')}]::regclass[]) WITH ORDINALITY AS t(oid, place)
           JOIN pg_trigger ON tgrelid = t.oid WHERE NOT tgisinternal AND tgenabled <> 'D' ORDER BY t.place, tgname`,
        )
  const enable: string[] = []
  for (const [at, name] of names.entries()) {
    const triggers = all.filter((each) => each.place === at + 1)
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
