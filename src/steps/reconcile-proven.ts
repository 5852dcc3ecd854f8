import type { Database, LedgerEntry } from '../databases/port.ts'
import { keyLabel } from '../reconcile/fingerprint.ts'
import type { ParkedRow } from '../reconcile/parked.ts'
import type { Proof } from '../reconcile/proof.ts'
import { isNowhere } from '../reconcile/remap-index.ts'
import { LISTED, type Proven } from '../report/proof.ts'

/** Rows that have another key on the host they were carried to, as far as the report lists them, and how many there are. */
export type Moved = Pick<Proven, 'remapped' | 'remappedRows' | 'merged' | 'mergedRows'>

/** Reads from the ledger which numbers changed. Read-only; tables of which nothing was remapped or merged aren't asked for. */
export async function movedRows(proof: Proof, target: Database, run: string): Promise<Moved> {
  const moved = {
    remapped: [] as Proven['remapped'][number][],
    remappedRows: 0,
    merged: [] as Proven['merged'][number][],
    mergedRows: 0,
  }
  // Parents first: a customer's number is what is asked for, not that of what came with it.
  for (const [table, tally] of [...proof.tables].reverse()) {
    if (tally.remapped === 0 && tally.merged === 0) continue
    for (const { last, isMerged } of (await movedBySource(target.ledgerPages(run, table))).values()) {
      if (last.sourceKey === last.targetKey || !isThere(last)) continue
      const pair = { table, from: keyLabel(last.sourceKey), to: keyLabel(last.targetKey) }
      const into = isMerged ? moved.merged : moved.remapped
      if (into === moved.merged) moved.mergedRows += 1
      else moved.remappedRows += 1
      if (into.length < LISTED) into.push(pair)
    }
  }
  return moved
}

const isThere = ({ action, targetKey }: MovedRow['last']): boolean =>
  action !== 'deleted' && action !== 'skipped' && !isNowhere(targetKey)

interface MovedRow {
  readonly last: Pick<LedgerEntry, 'sourceKey' | 'targetKey' | 'action'>
  readonly isMerged: boolean
}

/** The last entry of each row that ever had another key there, or was merged; of the many others nothing is kept. */
async function movedBySource(pages: AsyncIterable<readonly LedgerEntry[]>): Promise<ReadonlyMap<string, MovedRow>> {
  const rows = new Map<string, MovedRow>()
  for await (const entries of pages) {
    for (const { sourceKey, targetKey, action } of entries) {
      const before = rows.get(sourceKey)
      const isMerged = action === 'merged' || before?.isMerged === true
      if (before !== undefined || isMerged || sourceKey !== targetKey)
        rows.set(sourceKey, { last: { sourceKey, targetKey, action }, isMerged })
    }
  }
  return rows
}

/** What the run remembers of a pass, for the report. */
export const provenOf = (
  { pass, source, parkedFile }: Pick<Proven, 'pass' | 'source' | 'parkedFile'>,
  proof: Proof,
  moved: Moved,
  parked: readonly ParkedRow[],
): Proven => ({
  pass,
  source,
  ...proof.totals,
  tables: Object.fromEntries(proof.tables),
  ...moved,
  parked: parked.slice(0, LISTED).map(({ table, key, reason }) => ({ table, key: keyLabel(key), reason })),
  parkedRows: parked.length,
  parkedFile,
})
