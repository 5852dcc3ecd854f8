import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Database, LedgerEntry } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { MIXED, stateOf, stateText } from './difference.ts'
import { keyDigest } from './fingerprint.ts'
import { isNowhere } from './remap-index.ts'

/** Both hosts' tables of one name. */
export interface TablePair {
  readonly sourceTable: Table
  readonly targetTable: Table
}

/** The other way round: as the run saw it that carried rows the other way. */
function swapped(entry: LedgerEntry): LedgerEntry {
  const { sourceKey, targetKey, sourceState } = entry
  const turned = { ...entry, sourceKey: targetKey, targetKey: sourceKey, targetState: sourceState }
  // Deleted where it would have been carried to, and left so by a rule: on the way back the deletion is what this host did since.
  if (isKeptDeletion(entry)) return { ...turned, action: 'updated', sourceState }
  return { ...turned, sourceState: seenBack(entry) }
}

/** What a person decided to leave on one host alone is nowhere on the other. */
const isKeptDeletion = ({ action, targetKey, sourceState, targetState }: LedgerEntry): boolean =>
  action === 'skipped' && targetState === '' && sourceState !== '' && !isNowhere(targetKey)

/** A row that was made of both hosts' isn't on the host that it would now be carried to: as if it had changed since. */
function seenBack({ sourceState, targetState }: LedgerEntry): string {
  // Copies of a row without a key are a mere number.
  if (!targetState.startsWith('[')) return targetState
  const state = stateOf(targetState)
  if (state?.mixed === undefined) return targetState
  // Where it is the other host's in all columns but those apart, the rest is what both have in common.
  const rest = state.mixed === 'apart' ? state.rest : MIXED
  return stateText({ print: MIXED, rest, apart: stateOf(sourceState)?.apart ?? [] })
}

/**
 * What passes in both directions carried of a table, seen from the present source. Each host keeps the entries of what it received;
 * those of the present source were written when it was the target.
 */
export async function* carriedEntries(
  run: string,
  source: Database,
  target: Database,
  { sourceTable, targetTable }: TablePair,
): AsyncGenerator<readonly LedgerEntry[]> {
  for await (const page of source.ledgerPages(run, fullName(sourceTable.name))) yield page.map(swapped)
  yield* target.ledgerPages(run, fullName(targetTable.name))
}

/** The scratch table `ledger`: the newest entry of each row of the source. */
export function makeLedger(scratch: DatabaseSync): void {
  scratch.exec(`
    CREATE TABLE ledger (
      source_digest TEXT PRIMARY KEY, source_key TEXT NOT NULL, target_digest TEXT NOT NULL, target_key TEXT NOT NULL,
      action TEXT NOT NULL, source_state TEXT NOT NULL, target_state TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX ledger_target ON ledger (target_digest);
  `)
}

/** Puts these entries into it, in place of those that were there; false where there are none: then nobody need look. */
export async function keepLedger(scratch: DatabaseSync, pages: Pages): Promise<boolean> {
  let insert: StatementSync | undefined
  scratch.exec('DELETE FROM ledger')
  for await (const entries of pages) {
    for (const { sourceKey, targetKey, action, sourceState, targetState, at } of entries) {
      const source = keyDigest(sourceKey)
      const target = targetKey === sourceKey ? source : keyDigest(targetKey)
      insert ??= scratch.prepare(INSERT)
      insert.run(source, sourceKey, target, targetKey, action, sourceState, targetState, at)
    }
  }
  return insert !== undefined
}

const INSERT = `
    INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (source_digest) DO UPDATE SET
      target_digest = excluded.target_digest, target_key = excluded.target_key, action = excluded.action,
      source_state = excluded.source_state, target_state = excluded.target_state, at = excluded.at
    WHERE excluded.at >= at`

type Pages = AsyncIterable<readonly Carried[]> | Iterable<readonly Carried[]>
type Carried = Omit<LedgerEntry, 'run' | 'table'>
