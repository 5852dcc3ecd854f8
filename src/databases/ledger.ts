import { MigrateError } from '../base/errors.ts'
import { type Cell, isLedgerAction, type LedgerEntry } from './row-port.ts'

/** Entries that are asked for at a time. */
export const LEDGER_PAGE = 5000

/** Entries, oldest first, and the place of the last of them: '' where none is left. */
export interface LedgerPage {
  readonly entries: readonly LedgerEntry[]
  readonly last: string
}

/** Where a ledger is read from its beginning: places are numbers from 1 on. */
export const LEDGER_START = '0'

/** A ledger page by page, each asked for by the place of the last one's last entry. */
export async function* ledgerPages(ask: (after: string) => Promise<LedgerPage>): AsyncGenerator<readonly LedgerEntry[]> {
  for (let after = LEDGER_START; after !== ''; ) {
    const { entries, last } = await ask(after)
    if (entries.length > 0) yield entries
    after = entries.length < LEDGER_PAGE ? '' : last
  }
}

/** All pages in one. */
export async function wholeLedger(pages: AsyncIterable<readonly LedgerEntry[]>): Promise<readonly LedgerEntry[]> {
  const all: LedgerEntry[] = []
  for await (const page of pages) all.push(...page)
  return all
}

/** Rows of `id, source_key, target_key, action, source_state, target_state, at`. Throws `fault` at an action that isn't known. */
export function ledgerPage(rows: readonly (readonly Cell[])[], run: string, table: string, label: string): LedgerPage {
  const entries = rows.map(([, sourceKey, targetKey, action, sourceState, targetState, at]): LedgerEntry => {
    if (!isLedgerAction(action)) throw new MigrateError('fault', `The ledger on the ${label} holds the unknown action ${action}.`)
    const keys = { sourceKey: sourceKey ?? '', targetKey: targetKey ?? '' }
    return { run, table, ...keys, action, sourceState: sourceState ?? '', targetState: targetState ?? '', at: at ?? '' }
  })
  return { entries, last: rows.at(-1)?.[0] ?? '' }
}
