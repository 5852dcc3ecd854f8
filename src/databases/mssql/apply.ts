import { createHash } from 'node:crypto'
import { MigrateError } from '../../base/errors.ts'
import { LEDGER_START } from '../ledger.ts'
import type { KeyCells, LedgerEntry, OrphanRule, Row, Transaction } from '../port.ts'
import { type Column, type ForeignKey, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { printOf, removeCopies } from './copies.ts'
import { findRows } from './find.ts'
import { columnAliases, insertTogether, miscount } from './insert.ts'
import { columnOf, readColumns } from './introspect-columns.ts'
import { chunks, columnsNamed, keyColumns, keyCondition, keyParameters, parameterOf, rowsPerStatement } from './keys.ts'
import { ledgerPageOf, writeLedger } from './marks.ts'
import { quoteName, quoteNames, quoteTable } from './names.ts'
import { LOCKED } from './paging.ts'
import type { Parameter } from './parameters.ts'
import { countPrints, printedByKey } from './prints.ts'
import { rowsByKey } from './read.ts'
import { LOCK_TIMEOUT_MS, type Session } from './session.ts'
import { withoutTriggers } from './triggers.ts'
import { compareExpression, writeExpression } from './values.ts'
import { arriving, arrivingRow } from './variants.ts'

const keyOf = (table: Table, row: Row): KeyCells => keyPositions(table).map((at) => row[at] ?? null)

/** Parameters: first the columns that are set, then the key. `null` when the table has nothing but its key. */
export function updateSql(table: Table, row: Row): { readonly sql: string; readonly columns: readonly Column[] } | null {
  const keys = keyColumns(table)
  const all = readableColumns(table)
  const columns = all.filter((column) => column.identity === null && !table.key.includes(column.name))
  if (columns.length === 0) return null
  const set = columns.map((column, index) => {
    const value = arriving(column, `@p${index}`, row[all.indexOf(column)] ?? null)
    return `${quoteName(column.name)} = ${writeExpression(column, value)}`
  })
  const sql = `UPDATE ${quoteTable(table.name)} SET ${set.join(', ')} WHERE ${keyCondition(keys, [keyOf(table, row)], columns.length)};\nSELECT @@ROWCOUNT AS affected`
  return { sql, columns }
}

/** The number that `SELECT @@ROWCOUNT` gave. */
async function affected(session: Session, sql: string, parameters: readonly Parameter[]): Promise<number> {
  const { rows } = await session.query(sql, parameters)
  return Number(rows.at(-1)?.[0] ?? -1)
}

/** Runs `work` in a transaction with the user triggers of `tables` off. Sch-M locks are taken in one order, by name. */
export async function applying<T>(
  session: Session,
  ledger: string,
  tables: readonly Table[],
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return await session.transaction(false, () => withoutTriggers(session, tables, () => work(transactionOn(session, ledger))))
}

const transactionOn = (session: Session, ledger: string): Transaction => ({
  lock: (table, keys) => rowsByKey(session, table, keys, LOCKED),
  lockPrinted: (table, printing, keys) => printedByKey(session, table, printing, keys, LOCKED),
  insert: (table, rows) => insertTogether(session, [{ table, rows }]),
  update: (table, row) => updateRow(session, table, row),
  delete: (table, keys) => deleteRows(session, table, keys),
  referenced: (foreignKey, parents) => referencedParents(session, foreignKey, parents),
  find: (table, columns, values) => findRows(session, table, columns, values),
  insertNumbered: (table, row, column) => insertNumbered(session, table, row, column),
  removeCopies: (table, row, count) => removeCopies(session, table, row, count),
  countPrints: (table, printing, prints) => countPrints(session, table, printing, prints),
  printOf: (table, printing, row) => printOf(session, table, printing, row),
  ledger: (entries) => writeLedger(session, ledger, entries),
  carried: (run, table, keys) => carried(session, run, table, keys),
})

/** "sp_getapplock (Transact-SQL)": everybody may; its name holds 255 letters. */
const LEDGER_LOCK = `DECLARE @took int;
EXEC @took = sp_getapplock @Resource = @p0, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = ${LOCK_TIMEOUT_MS};
IF @took < 0 RAISERROR(N'Lock request time-out: another process of this run holds the ledger of the table.', 16, 1)`

/**
 * See the port. A row that isn't there yet can't be locked, nor can a further copy of one without a key: so whoever asks about a table waits
 * until another transaction that has asked about it ends.
 */
async function carried(session: Session, run: string, table: string, keys: readonly string[]): Promise<readonly LedgerEntry[]> {
  if (keys.length === 0) return []
  const lock = createHash('sha256')
    .update(JSON.stringify([run, table]))
    .digest('hex')
  await session.query(LEDGER_LOCK, [`migrate_ledger ${lock}`])
  const { entries } = await ledgerPageOf(session, run, table, LEDGER_START, keys)
  return entries.filter(({ sourceKey }) => keys.includes(sourceKey))
}

/**
 * Inserts one row but for the column that the server numbers, by IDENTITY or by a sequence as its default. The number comes by way of a
 * table variable: without INTO, OUTPUT isn't taken for a table with triggers ("OUTPUT clause (Transact-SQL)"), and SCOPE_IDENTITY
 * doesn't know sequences.
 */
export function insertNumberedSql(
  table: Table,
  row: Row,
  numbered: Column,
): { readonly sql: string; readonly columns: readonly Column[] } {
  const all = readableColumns(table)
  const columns = all.filter((column) => column.name !== numbered.name)
  const value = (column: Column, index: number): string =>
    writeExpression(column, arriving(column, `@p${index}`, row[all.indexOf(column)] ?? null))
  const names = columns.length === 0 ? '' : ` (${quoteNames(columns.map((column) => column.name))})`
  const values = columns.length === 0 ? 'DEFAULT VALUES' : `VALUES (${columns.map(value).join(', ')})`
  const sql = `DECLARE @numbered TABLE (number ${numbered.codec});
INSERT INTO ${quoteTable(table.name)}${names} OUTPUT inserted.${quoteName(numbered.name)} INTO @numbered ${values};
SELECT CONVERT(nvarchar(40), number) AS number FROM @numbered`
  return { sql, columns }
}

async function insertNumbered(session: Session, table: Table, row: Row, name: string): Promise<string> {
  const all = readableColumns(table)
  const [numbered] = columnsNamed(table, [name])
  if (numbered === undefined) throw new RangeError('One name was asked for, and none was found.')
  const { sql, columns } = insertNumberedSql(table, row, numbered)
  const parameters = columns.map((column) => parameterOf(column, row[all.indexOf(column)]))
  const { rows } = await session.query(sql, parameters)
  const number = rows.at(-1)?.[0]
  if (typeof number === 'string') return number
  throw miscount(session, table.name, 'inserted', 1, 0)
}

async function updateRow(session: Session, table: Table, row: Row): Promise<void> {
  const columns = readableColumns(table)
  const cellOfColumn = (column: Column): Parameter =>
    parameterOf(column, row[columns.findIndex((each) => each.name === column.name)])
  const update = updateSql(table, row)
  const keys = keyColumns(table).map(cellOfColumn)
  if (update === null) {
    const sql = `SELECT COUNT(*) AS affected FROM ${quoteTable(table.name)} WHERE ${keyCondition(keyColumns(table), [keyOf(table, row)])}`
    const count = await affected(session, sql, keys)
    if (count !== 1) throw miscount(session, table.name, 'updated', 1, count)
    return
  }
  const count = await affected(session, update.sql, [...update.columns.map(cellOfColumn), ...keys])
  if (count !== 1) throw miscount(session, table.name, 'updated', 1, count)
}

async function deleteRows(session: Session, table: Table, keys: readonly KeyCells[]): Promise<void> {
  const columns = keyColumns(table)
  for (const chunk of chunks(keys, rowsPerStatement(columns.length))) {
    await session.query(
      `DELETE FROM ${quoteTable(table.name)} WHERE ${keyCondition(columns, chunk)}`,
      keyParameters(columns, chunk),
    )
  }
}

async function referencedParents(session: Session, foreignKey: ForeignKey, parents: readonly Row[]): Promise<readonly Row[]> {
  const columns = await childColumns(session, foreignKey)
  const found: Row[] = []
  for (const chunk of chunks(parents, rowsPerStatement(columns.length))) {
    const rows = chunk.map((cells, row) => {
      const values = arrivingRow(columns, cells, row * columns.length)
      return `(${[String(row), ...values].join(', ')})`
    })
    const same = columns.map((column, index) => `k.${quoteName(column.name)} = ${compareExpression(column, `v.c${index}`)}`)
    const sql = `SELECT v.place FROM (VALUES ${rows.join(', ')}) AS v(place, ${columnAliases(columns.length)})
WHERE EXISTS (SELECT 1 FROM ${quoteTable(foreignKey.table)} AS k WITH (HOLDLOCK) WHERE ${same.join(' AND ')})`
    const result = await session.query(sql, keyParameters(columns, chunk))
    for (const [place] of result.rows) {
      const row = chunk[Number(place)]
      if (row !== undefined) found.push(row)
    }
  }
  return found
}

async function childColumns(session: Session, foreignKey: ForeignKey): Promise<readonly Column[]> {
  const columns = [...(await readColumns(session, quoteTable(foreignKey.table))).values()].flat().map(columnOf)
  return foreignKey.columns.map((name) => {
    const column = columns.find((each) => each.name.toLowerCase() === name.toLowerCase())
    if (column !== undefined) return column
    throw new MigrateError(
      'fault',
      `${fullName(foreignKey.table)} has no column ${name} on ${session.where.label}. This is a fault in migrate.`,
    )
  })
}

/** Rows without a parent; a row with a null in the foreign key has no parent to miss. */
export function orphanSql(rule: OrphanRule): string {
  const present = rule.columns.map((name) => `c.${quoteName(name)} IS NOT NULL`)
  const same = rule.parentColumns.map((name, index) => `p.${quoteName(name)} = c.${quoteName(rule.columns[index] ?? '')}`)
  return `DELETE c FROM ${quoteTable(rule.child)} AS c
WHERE ${present.join(' AND ')} AND NOT EXISTS (SELECT 1 FROM ${quoteTable(rule.parent)} AS p WHERE ${same.join(' AND ')});
SELECT @@ROWCOUNT AS affected`
}

/** In a table that refers to itself, each row deleted may orphan others. */
export async function deleteOrphans(session: Session, rule: OrphanRule): Promise<number> {
  const again = fullName(rule.child) === fullName(rule.parent)
  let total = 0
  while (true) {
    // A batch: it looks at every row, which may take longer than a question is given.
    const { rows } = await session.batch(orphanSql(rule))
    const count = Number(rows.at(-1)?.[0] ?? -1)
    total += count
    if (!again || count === 0) return total
  }
}
