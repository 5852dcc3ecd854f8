import { MigrateError } from '../base/errors.ts'
import type { Row, Transaction } from '../databases/port.ts'
import { type ForeignKey, fullName, readableColumns } from '../databases/schema.ts'
import type { ApplyContext, Candidate } from './apply-context.ts'
import { keyCells, keyLabel } from './fingerprint.ts'
import { parentKey } from './remap-references.ts'

/**
 * Deletes rows, but none that a row on the target still refers to: that could fail, or take the other row with it. Returns those that
 * stay. Rows of a circle let go of each other first.
 */
export async function deleteRows(
  transaction: Transaction,
  doomed: readonly Candidate[],
  cyclic: boolean,
  context: ApplyContext,
): Promise<readonly Candidate[]> {
  let left: readonly Candidate[] = doomed.filter(
    ({ item, target, targetKey }) => target !== undefined && !isShared(item, targetKey, context),
  )
  const alone = new Set(left)
  const shared = doomed.filter((each) => each.target !== undefined && !alone.has(each))
  if (cyclic) for (const each of left) await letGo(transaction, each)
  // What has no children goes first; then its parents have none any more.
  for (;;) {
    const referenced = await referencedRows(transaction, left, context)
    const free = left.filter((each) => !referenced.has(each))
    if (free.length === 0) break
    for (const [table, group] of Map.groupBy(free, (each) => each.table))
      await transaction.delete(
        table.target,
        group.map((each) => keyCells(each.targetKey)),
      )
    left = left.filter((each) => referenced.has(each))
  }
  if (cyclic) {
    const staying = new Set([...shared, ...left])
    const gone = new Set(doomed.filter((each) => !staying.has(each)).map(nameOnTarget))
    for (const each of left) await takeUpAgain(transaction, each, gone)
  }
  return [...shared, ...left]
}

const nameOnTarget = ({ table, targetKey }: Candidate): string => `${table.name} ${targetKey}`

/** True when another row of the source has become one with this row of the target. */
const isShared = (
  { table, key }: { readonly table: string; readonly key: string },
  targetKey: string,
  { index }: ApplyContext,
): boolean => index.standingFor(table, targetKey).some((carried) => carried.sourceKey !== key && carried.action !== 'deleted')

const looseOf = ({ table }: Candidate): readonly number[] => table.references.flatMap((reference) => reference.loose)

async function letGo(transaction: Transaction, { table, target }: Candidate): Promise<void> {
  const loose = new Set(table.references.flatMap((reference) => reference.loose))
  if (target === undefined || ![...loose].some((at) => target.row[at] !== null)) return
  await transaction.update(
    table.target,
    target.row.map((cell, at) => (loose.has(at) ? null : cell)),
  )
}

/**
 * A row that stays refers again to what it referred to. What it had let go of may have been deleted for that alone: then everything is
 * taken back, and each half of the rows is tried by itself.
 */
async function takeUpAgain(transaction: Transaction, each: Candidate, gone: ReadonlySet<string>): Promise<void> {
  const { table, target, targetKey } = each
  if (target === undefined || looseOf(each).length === 0) return
  for (const reference of table.references) {
    const parent = parentKey(target.row, reference)
    if (parent === undefined || !gone.has(`${reference.parent} ${parent}`)) continue
    throw new MigrateError(
      'database-statement-failed',
      `${table.name} ${keyLabel(targetKey)} stays, since it is still referred to, and ${reference.parent} ${keyLabel(parent)}, which it belongs to, would go.`,
    )
  }
  await transaction.update(table.target, target.row)
}

/** Those of the rows that somebody's row still points at. */
async function referencedRows(
  transaction: Transaction,
  doomed: readonly Candidate[],
  { foreignKeys }: ApplyContext,
): Promise<ReadonlySet<Candidate>> {
  const kept = new Set<Candidate>()
  for (const foreignKey of foreignKeys) {
    const parents = doomed.filter((each) => each.table.name === fullName(foreignKey.parent))
    if (parents.length === 0) continue
    const named = parents
      .map((each) => ({ each, cells: parentCells(each, foreignKey) }))
      .filter(({ cells }) => !cells.includes(null))
    const referenced = await transaction.referenced(
      foreignKey,
      named.map(({ cells }) => cells),
    )
    const texts = new Set(referenced.map((row) => JSON.stringify(row)))
    for (const { each, cells } of named) if (texts.has(JSON.stringify(cells))) kept.add(each)
  }
  return kept
}

function parentCells({ table, target }: Candidate, { parentColumns }: ForeignKey): Row {
  const columns = readableColumns(table.target)
  return parentColumns.map((name) => target?.row[columns.findIndex((column) => column.name === name)] ?? null)
}
