import { MigrateError } from '../../base/errors.ts'
import { LEDGER_PAGE, type LedgerPage, ledgerPage } from '../ledger.ts'
import type { Cell, LedgerEntry, OrphanRule, Row, Transaction } from '../port.ts'
import { type ForeignKey, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { find, insertNumbered, printOf, removeCopies } from './finding.ts'
import { castOf, equals, keyArrays, keyJoin, rowsByKey } from './keys.ts'
import { isLargeObjects, removeLargeObjects, rewriteLargeObject } from './large-objects.ts'
import { copyIn } from './load.ts'
import { findOwnTable, ownTable } from './marks.ts'
import { withPartitions } from './partitions.ts'
import { countPrints, printedByKey } from './prints.ts'
import { ownRows } from './relation.ts'
import { comparisonsOf } from './signs.ts'
import { inTransaction } from './transaction.ts'
import { withoutTriggers } from './triggers.ts'
import { quoteName, quoteTable } from './values.ts'

/** See the port. */
export async function applyTransaction<T>(
  session: Session,
  tables: readonly Table[],
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const ledger = await ownTable(session, 'migrate_ledger')
  return await inTransaction(
    session,
    'write',
    async () => {
      await session.query('SET CONSTRAINTS ALL DEFERRED')
      return await withoutTriggers(session, tables, () => work(transactionOf(session, ledger)))
    },
    false,
  )
}

const transactionOf = (session: Session, ledger: string): Transaction => ({
  lock: (table, keys) => rowsByKey(session, table, keys, true),
  insert: async (table, rows) => {
    if (rows.length > 0) await withPartitions(session, table, () => copyIn(session, table, once(rows)))
  },
  update: (table, row) => update(session, table, row),
  delete: async (table, keys) => {
    if (keys.length === 0) return
    if (isLargeObjects(table)) return removeLargeObjects(session, keys)
    const { values, condition } = keyJoin(table)
    await session.query(`DELETE FROM ${ownRows(table)} AS t USING ${values} WHERE ${condition}`, keyArrays(table, keys))
  },
  referenced: (foreignKey, parents) => referenced(session, foreignKey, parents),
  lockPrinted: (table, printing, keys) => printedByKey(session, table, printing, keys, true),
  find: (table, columns, values) => find(session, table, columns, values),
  insertNumbered: (table, row, column) => insertNumbered(session, table, row, column),
  removeCopies: (table, row, count) => removeCopies(session, table, row, count),
  countPrints: (table, printing, prints) => countPrints(session, table, printing, prints),
  printOf: (table, printing, row) => printOf(session, table, printing, row),
  ledger: (entries) => writeLedger(session, ledger, entries),
  carried: (run, table, keys) => carried(session, ledger, run, table, keys),
})

async function* once(rows: readonly Row[]): AsyncGenerator<readonly Row[]> {
  yield rows
}

async function update(session: Session, table: Table, row: Row): Promise<void> {
  const columns = readableColumns(table)
  const key = new Set(table.key)
  const values: Cell[] = []
  const assign = (name: string, at: number): string => {
    values.push(row[at] ?? null)
    return `${quoteName(name)} = $${values.length}`
  }
  const sets = columns.flatMap((column, at) =>
    key.has(column.name) || column.identity !== null ? [] : [assign(column.name, at)],
  )
  const positions = keyPositions(table)
  const finds = (name: string, at: number): string => {
    values.push(row[at] ?? null)
    return `${quoteName(name)} ${equals(table, name)} $${values.length}::${castOf(table, name)}`
  }
  const where = table.key.map((name, at) => finds(name, positions[at] ?? -1)).join(' AND ')
  const name = ownRows(table)
  const sql = sets.length === 0 ? `SELECT 1 FROM ${name} WHERE ${where}` : `UPDATE ${name} SET ${sets.join(', ')} WHERE ${where}`
  const { count } = isLargeObjects(table) ? await rewriteLargeObject(session, row) : await session.query(sql, values)
  if (count === 1) return
  const shown = JSON.stringify(table.key.map((_name, at) => row[positions[at] ?? -1] ?? null))
  throw new MigrateError(
    'row-missing',
    `The row ${shown} of ${fullName(table.name)} on the ${session.label} was to be updated but isn't there. Nothing of this batch was kept.`,
    {
      hint: 'It was deleted in the meantime. Run again: the row is looked at anew.',
    },
  )
}

async function referenced(session: Session, key: ForeignKey, parents: readonly Row[]): Promise<readonly Row[]> {
  if (parents.length === 0) return []
  // The cells are of the parent's columns; the child's types may differ (integer and bigint).
  const comparisons = await comparisonsOf(session, key.parent, key.parentColumns)
  const arrays = key.columns.map((_name, at) => parents.map((parent) => parent[at] ?? null))
  const names = key.columns.map((_name, at) => `k${at + 1}`).join(', ')
  const values = `unnest(${key.columns.map((_name, at) => `$${at + 1}::text[]`).join(', ')}) WITH ORDINALITY AS k(${names}, place)`
  const child = key.columns
    .map((name, at) => `c.${quoteName(name)} ${comparisons[at]?.equals ?? '='} k.k${at + 1}::${comparisons[at]?.type ?? 'text'}`)
    .join(' AND ')
  const { rows } = await session.query(
    `SELECT k.place FROM ${values} WHERE EXISTS (SELECT 1 FROM ${quoteTable(key.table)} AS c WHERE ${child})`,
    arrays,
  )
  return rows.flatMap(([place]) => {
    const parent = parents[Number(place) - 1]
    return parent === undefined ? [] : [parent]
  })
}

async function writeLedger(session: Session, ledger: string, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return
  const fields = ['run', 'table', 'sourceKey', 'targetKey', 'action', 'sourceState', 'targetState', 'at'] as const
  await session.query(
    `INSERT INTO ${ledger} (run, table_name, source_key, target_key, action, source_state, target_state, at)
     SELECT k.a, k.b, k.c, k.d, k.e, k.f, k.g, k.h
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
     WITH ORDINALITY AS k(a, b, c, d, e, f, g, h, place) ORDER BY k.place`,
    fields.map((field) => entries.map((entry) => entry[field])),
  )
}

const entriesIn = (ledger: string): string =>
  `SELECT id, source_key, target_key, action, source_state, target_state, at FROM ${ledger} WHERE run = $1 AND table_name = $2`

/**
 * See the port. A row that isn't there yet can't be locked, nor can a further copy of one without a key: so whoever asks about a table waits
 * until another transaction that has asked about it ends ("Advisory Locks"). What that one wrote, the statement after sees.
 */
async function carried(
  session: Session,
  ledger: string,
  run: string,
  table: string,
  keys: readonly string[],
): Promise<readonly LedgerEntry[]> {
  if (keys.length === 0) return []
  await session.query(`SELECT pg_advisory_xact_lock(hashtext('migrate_ledger'), hashtext($1))`, [`${run} ${table}`])
  const { rows } = await session.query(`${entriesIn(ledger)} AND source_key = ANY ($3::text[]) ORDER BY id`, [run, table, keys])
  return ledgerPage(rows, run, table, session.label).entries
}

/** Entries of a run for a table after a place; with `keys`, only those of rows with one of them. */
export async function ledgerPageOf(
  session: Session,
  run: string,
  table: string,
  after: string,
  keys?: readonly string[],
): Promise<LedgerPage> {
  const ledger = await findOwnTable(session, 'migrate_ledger')
  const found = async (): Promise<readonly Row[]> => {
    if (ledger === undefined) return []
    const of = `${entriesIn(ledger)} AND`
    if (keys === undefined)
      return (await session.query(`${of} id > $3::bigint ORDER BY id LIMIT ${LEDGER_PAGE}`, [run, table, after])).rows
    const either = `${of} (source_key = ANY ($3::text[]) OR target_key = ANY ($3::text[])) ORDER BY id`
    return (await session.query(either, [run, table, keys])).rows
  }
  return ledgerPage(await found(), run, table, session.label)
}

/** See the port. Repeated until nothing is found: in a table that refers to itself a deletion may leave further orphans. */
export async function deleteOrphans(session: Session, rule: OrphanRule): Promise<number> {
  const comparisons = await comparisonsOf(session, rule.parent, rule.parentColumns)
  return await inTransaction(
    session,
    'write',
    () =>
      withoutTriggers(session, [{ name: rule.child }], async () => {
        const present = rule.columns.map((name) => `c.${quoteName(name)} IS NOT NULL`).join(' AND ')
        const match = rule.columns
          .map(
            (name, at) => `p.${quoteName(rule.parentColumns[at] ?? '')} ${comparisons[at]?.equals ?? '='} c.${quoteName(name)}`,
          )
          .join(' AND ')
        const sql = `DELETE FROM ${quoteTable(rule.child)} AS c WHERE ${present}
          AND NOT EXISTS (SELECT 1 FROM ${quoteTable(rule.parent)} AS p WHERE ${match})`
        let total = 0
        for (let deleted = -1; deleted !== 0; ) {
          deleted = (await session.query(sql)).count
          total += deleted
        }
        return total
      }),
    true,
  )
}
