import { MigrateError } from '../../base/errors.ts'
import { LEDGER_PAGE, type LedgerPage, ledgerPage } from '../ledger.ts'
import type { KeyCells, LedgerEntry, OrphanRule, Row, Transaction } from '../port.ts'
import { type Column, type ForeignKey, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { find, insertNumbered, printOf, removeCopies } from './find.ts'
import { inSomeOrder, insertRows, write } from './insert.ts'
import { readColumns } from './introspect-columns.ts'
import { chunks, hasEnumError, keyColumns, keyCondition, keysOf, withKeys } from './keys.ts'
import { makeOwnTable, type OwnTable, withoutTable } from './marks.ts'
import { countPrints, printedByKey } from './prints.ts'
import { rowsByKey } from './read.ts'
import { NO_ROWS, type Session } from './session.ts'
import { inTransaction } from './transaction.ts'
import type { Guards } from './triggers.ts'
import { compareExpression, isComparedExactly, quoteName, quoteTable, quoteText, writeExpression } from './values.ts'

const LEDGER: OwnTable = 'migrate_ledger'
/** Rows that a lookup or a deletion names at once. */
const AT_ONCE = 200

/** See the port. */
export async function applyTransaction<T>(
  session: Session,
  guards: Guards,
  tables: readonly Table[],
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  await makeOwnTable(session, LEDGER)
  return await guards.silently(session, tables, () => inTransaction(session, () => work(transactionOn(session)), false))
}

const transactionOn = (session: Session): Transaction => ({
  lock: (table, keys) => rowsByKey(session, table, keys, ' FOR UPDATE'),
  insert: (table, rows) => inSomeOrder(session, rows, (some) => insertRows(session, table, some)),
  update: (table, row) => update(session, table, row),
  delete: (table, keys) => inSomeOrder(session, keys, (some) => deleteRows(session, table, some)),
  referenced: (foreignKey, parents) => referenced(session, foreignKey, parents),
  lockPrinted: (table, printing, keys) => printedByKey(session, table, printing, keys, ' FOR UPDATE'),
  find: (table, columns, values) => find(session, table, columns, values),
  insertNumbered: (table, row, column) => insertNumbered(session, table, row, column),
  removeCopies: (table, row, count) => removeCopies(session, table, row, count),
  countPrints: (table, printing, prints) => countPrints(session, table, printing, prints),
  printOf: (table, printing, row) => printOf(session, table, printing, row),
  ledger: (entries) => writeLedger(session, entries),
  carried: (run, table, keys) => carried(session, run, table, keys),
})

async function update(session: Session, table: Table, row: Row): Promise<void> {
  const columns = readableColumns(table)
  const positions = keyPositions(table)
  const key = positions.map((at) => row[at] ?? null)
  const sets = columns.flatMap((column, at) =>
    table.key.includes(column.name) || column.identity !== null
      ? []
      : [`${quoteName(column.name)} = ${writeExpression(column, row[at] ?? null)}`],
  )
  if (sets.length === 0 || !keyColumns(table).every(isComparedExactly)) {
    const found = await rowsByKey(session, keysOf(table), [key], ' FOR UPDATE')
    if (found.length === 0) throw missingRow(session, table, key)
  }
  if (sets.length === 0) return
  const sql = `UPDATE ${quoteTable(table.name)} SET ${sets.join(', ')} WHERE ${keyCondition(keyColumns(table), [key])}`
  // Rows found are counted, changed or not (CLIENT_FOUND_ROWS, which the driver sets).
  const { count } = await write(session, table, sql, hasEnumError(columns, row))
  if (count === 0) throw missingRow(session, table, key)
}

const missingRow = (session: Session, table: Table, key: KeyCells): MigrateError =>
  new MigrateError(
    'row-missing',
    `The row ${JSON.stringify(key)} of ${fullName(table.name)} on the ${session.label} was to be updated but isn't there. Nothing of this batch was kept.`,
    { hint: 'It was deleted in the meantime. Run again: the row is looked at anew.' },
  )

/** Only rows whose key has exactly these cells: to the server 'Ann' may be 'ANN'. */
async function deleteRows(session: Session, table: Table, keys: readonly KeyCells[]): Promise<void> {
  const only = keysOf(table)
  const positions = keyPositions(only)
  for (const chunk of chunks(keys, AT_ONCE)) {
    const found = withKeys(only, await rowsByKey(session, only, chunk, ' FOR UPDATE'), chunk)
    const exact = found.map((row) => positions.map((at) => row[at] ?? null))
    if (exact.length > 0)
      await session.query(`DELETE FROM ${quoteTable(table.name)} WHERE ${keyCondition(keyColumns(table), exact)}`)
  }
}

/** Children are looked up as they are now, and none can come or go until the transaction ends (LOCK IN SHARE MODE). */
async function referenced(session: Session, key: ForeignKey, parents: readonly Row[]): Promise<readonly Row[]> {
  if (parents.length === 0) return []
  const columns = await columnsOf(session, key)
  const found: Row[] = []
  for (const chunk of chunks(parents, AT_ONCE)) {
    const questions = chunk.map((parent, place) => {
      const same = columns.map(
        (column, at) => `${quoteName(key.columns[at] ?? '')} = ${compareExpression(column, parent[at] ?? null)}`,
      )
      return `(SELECT ${place} FROM ${quoteTable(key.table)} WHERE ${same.join(' AND ')} LIMIT 1 LOCK IN SHARE MODE)`
    })
    const { rows } = await session.query(questions.join(' UNION ALL '))
    for (const [place] of rows) {
      const parent = chunk[Number(place)]
      if (parent !== undefined) found.push(parent)
    }
  }
  return found
}

/** The parent's columns, which the cells are of; the child's may differ (int and bigint). */
async function columnsOf(session: Session, key: ForeignKey): Promise<readonly Column[]> {
  const columns = (await readColumns(session, [key.parent.name])).get(key.parent.name) ?? []
  return key.parentColumns.map((name) => {
    const column = columns.find((each) => each.name === name)
    if (column !== undefined) return column
    throw new MigrateError('fault', `${fullName(key.parent)} on the ${session.label} has no column ${name}.`)
  })
}

async function writeLedger(session: Session, entries: readonly LedgerEntry[]): Promise<void> {
  for (const chunk of chunks(entries, AT_ONCE)) {
    const rows = chunk.map(({ run, table, sourceKey, targetKey, action, sourceState, targetState, at }) =>
      [run, table, sourceKey, targetKey, action, sourceState, targetState, at].map(quoteText).join(', '),
    )
    await session.query(
      `INSERT INTO ${LEDGER} (run, table_name, source_key, target_key, action, source_state, target_state, at) VALUES (${rows.join('), (')})`,
    )
  }
}

/** Of a run's entries for a table those for which `more` holds, as `ledgerPage` takes them. */
const ledgerSql = (run: string, table: string, more: string): string =>
  `SELECT id, source_key, target_key, action, source_state, target_state, at FROM ${LEDGER}
   WHERE run = ${quoteText(run)} AND table_name = ${quoteText(table)} AND ${more}`

/** See the port: what a plain SELECT reads here may be older than the transaction's first lock (REPEATABLE READ). */
async function carried(session: Session, run: string, table: string, keys: readonly string[]): Promise<readonly LedgerEntry[]> {
  if (keys.length === 0) return []
  const among = ledgerSql(run, table, `source_key IN (${keys.map(quoteText).join(', ')})`)
  const { rows } = await session.query(`${among} ORDER BY id LOCK IN SHARE MODE`)
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
  const of = (more: string): string => ledgerSql(run, table, more)
  const among = keys?.map(quoteText).join(', ')
  // Either key has an index of its own, and a condition on both at once would use neither.
  const sql =
    among === undefined
      ? `${of(`id > ${BigInt(after)}`)} ORDER BY id LIMIT ${LEDGER_PAGE}`
      : `${of(`source_key IN (${among})`)} UNION ${of(`target_key IN (${among})`)} ORDER BY id`
  const { rows } = keys?.length === 0 ? NO_ROWS : await withoutTable(async () => session.query(sql), NO_ROWS)
  return ledgerPage(rows, run, table, session.label)
}

/** See the port. Repeated until nothing is found: in a table that refers to itself a deletion may leave further orphans. */
export async function deleteOrphans(session: Session, guards: Guards, rule: OrphanRule): Promise<number> {
  const present = rule.columns.map((name) => `c.${quoteName(name)} IS NOT NULL`).join(' AND ')
  const match = rule.columns
    .map((name, at) => `p.${quoteName(rule.parentColumns[at] ?? '')} = c.${quoteName(name)}`)
    .join(' AND ')
  const [first = ''] = rule.parentColumns
  const sql = `DELETE c FROM ${quoteTable(rule.child)} AS c LEFT JOIN ${quoteTable(rule.parent)} AS p ON ${match}
    WHERE ${present} AND p.${quoteName(first)} IS NULL`
  return await guards.silently(session, [{ name: rule.child }], () =>
    inTransaction(
      session,
      async () => {
        let total = 0
        for (let deleted = -1; deleted !== 0; ) {
          deleted = (await session.query(sql)).count
          total += deleted
        }
        return total
      },
      true,
    ),
  )
}
