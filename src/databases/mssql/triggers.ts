import { z } from 'zod'
import type { Table } from '../schema.ts'
import { chunks, rowsPerStatement } from './keys.ts'
import { quoteTable } from './names.ts'
import type { Session } from './session.ts'

/**
 * Tables that were found to have no enabled trigger, so that each part of a load needn't ask again. Whoever runs a statement that may make
 * one wraps it in `forgetting`.
 */
export class Untriggered {
  readonly #names = new Set<string>()
  #changes = 0

  has(table: Table): boolean {
    return this.#names.has(quoteTable(table.name))
  }

  /** Asks which of these tables has triggers; the others are remembered, unless a statement ran meanwhile. */
  async learn(tables: readonly Table[], ask: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const before = this.#changes
    const triggers = await ask()
    if (triggers.length === 0 && before === this.#changes) for (const { name } of tables) this.#names.add(quoteTable(name))
    return triggers
  }

  async forgetting<T>(work: () => Promise<T>): Promise<T> {
    this.#forget()
    try {
      return await work()
    } finally {
      this.#forget()
    }
  }

  #forget(): void {
    this.#changes += 1
    this.#names.clear()
  }
}

/** Inside a transaction, whose end alone makes it visible: runs `work` with the user triggers of `tables` off. Those of `known` have none. */
export async function withoutTriggers<T>(
  session: Session,
  tables: readonly Table[],
  work: () => Promise<T>,
  known = new Untriggered(),
): Promise<T> {
  const asked = tables.filter((table) => !known.has(table))
  const triggers = await known.learn(asked, () => enabledTriggers(session, asked))
  const switchAll = async (verb: 'DISABLE' | 'ENABLE'): Promise<void> => {
    if (triggers.length > 0) await session.batch(triggers.map((trigger) => `${verb} TRIGGER ${trigger};`).join('\n'))
  }
  await switchAll('DISABLE')
  const result = await work()
  await switchAll('ENABLE')
  return result
}

const triggerRow = z.object({ place: z.number(), schema: z.string(), name: z.string() })

/** `[dbo].[trigger] ON [dbo].[table]` of every enabled trigger on these tables, as they are now on this server. */
async function enabledTriggers(session: Session, tables: readonly Table[]): Promise<readonly string[]> {
  const triggers: string[] = []
  for (const names of chunks(tables.map((table) => quoteTable(table.name)).toSorted(), rowsPerStatement(1))) {
    const rows = await session.ask(
      triggerRow,
      `SELECT t.place AS [place], s.name AS [schema], tr.name AS [name]
FROM (VALUES ${names.map((_, place) => `(${place}, OBJECT_ID(@p${place}))`).join(', ')}) AS t(place, id)
JOIN sys.triggers tr ON tr.parent_id = t.id
JOIN sys.objects o ON o.object_id = tr.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
WHERE tr.is_disabled = 0 AND tr.is_ms_shipped = 0 ORDER BY t.place, tr.name`,
      names,
    )
    triggers.push(...rows.map((row) => `${quoteTable(row)} ON ${names[row.place] ?? ''}`))
  }
  return triggers
}
