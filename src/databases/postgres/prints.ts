import { hash } from 'node:crypto'
import { MigrateError } from '../../base/errors.ts'
import type {
  Cell,
  Fingerprint,
  KeyCells,
  KeyRange,
  PrintedRow,
  Printing,
  RangeSum,
  ReadOptions,
  Row,
  WholePrintedRow,
} from '../port.ts'
import { type Column, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { keyArrays, keyComparison, keyConstants, keyJoin, keyRange, lockSql } from './keys.ts'
import { ownRows } from './relation.ts'
import { inTransaction } from './transaction.ts'
import { quoteName } from './values.ts'

/**
 * Types of which a cast to text gives what `rows` gives, since it calls the type's output function itself: all but those with a
 * cast of their own (boolean, char(n), inet, xml, "char", money …), which `concat` prints as `rows` does, only slower.
 */
const CAST_TO_TEXT = new Set([
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'text',
  'character varying',
  'bytea',
  'date',
  'time without time zone',
  'time with time zone',
  'timestamp without time zone',
  'timestamp with time zone',
  'interval',
  'uuid',
  'json',
  'jsonb',
])

/** A cell's text, the same as `rows` gives, to be compared to the byte; of NULL, NULL or ''. */
export const cellText = ({ name, codec }: Column): string =>
  `(${CAST_TO_TEXT.has(codec) ? `t.${quoteName(name)}::text` : `pg_catalog.concat(t.${quoteName(name)})`} COLLATE "C")`

/** True of NULL alone: a composite value is also `IS NULL` when all of its fields are. */
export const isNull = ({ name }: Pick<Column, 'name'>): string => `t.${quoteName(name)} IS NOT DISTINCT FROM NULL`

/**
 * SQL for the 64 bits of a row's cells, of the table called `t`. Each cell's hash is the seed of the next one's, and a cell's length
 * goes into its hash: no cell runs into its neighbour. NULL, which hashes as '', has another seed. Nothing is cut off, at any length.
 * The collation "C" makes the hash one of the bytes. Neither the row's text nor the cells' are ever put together: the
 * server hashes three million narrow rows a second so, a quarter of that with md5.
 */
export function hashOf(table: Table, names: readonly string[]): string {
  const columns = new Map(readableColumns(table).map((column) => [column.name, column]))
  let sql = '0::bigint'
  for (const name of names) {
    const column = columns.get(name)
    if (column === undefined) {
      throw new MigrateError(
        'fault',
        `${fullName(table.name)} has no column ${name} to be fingerprinted. This is a fault in migrate.`,
      )
    }
    const seed = `${sql} # CASE WHEN ${isNull(column)} THEN 1 ELSE 0 END`
    sql = `hashtextextended(coalesce(${cellText(column)}, ''), ${seed})`
  }
  return sql
}

/**
 * Texts of every length up to three of the hash's steps of 12 bytes, and of more, under seeds of either sign: servers that hash these
 * alike hash alike. (The function spreads rows over hash partitions and so may not change between releases; but it goes by the
 * machine's byte order. PostgreSQL source, src/common/hashfn.c.)
 */
const TEST_VECTORS = `SELECT string_agg(hashtextextended(repeat('aZ09~', n)::text COLLATE "C", (n - 20)::bigint * 1234567890123)::text ||
  hashtextextended(left('The quick brown fox jumps over the lazy dog', n) COLLATE "C", n)::text, ',' ORDER BY n),
  getdatabaseencoding() FROM generate_series(0, 40) AS n`

/** See the port. Its name holds what the server's hash function makes of test vectors, and the encoding whose bytes it hashes. */
export async function fingerprintMethod(session: Session): Promise<string> {
  const { rows } = await session.query(TEST_VECTORS)
  const [vectors, encoding] = rows[0] ?? []
  return `postgres-chain-1:${hash('sha256', vectors ?? '').slice(0, 16)}:${encoding}`
}

/** Columns of a query's answer that make a PrintedRow: the key, the print, and where columns are apart the rest and those. */
function printColumns(table: Table, { columns, apart }: Printing): readonly string[] {
  const key = table.key.map((name) => `t.${quoteName(name)}`)
  const print = `to_hex(${hashOf(table, columns)})`
  if (apart.length === 0) return [...key, print]
  const kept = columns.filter((name) => !apart.includes(name))
  return [...key, print, `to_hex(${hashOf(table, kept)})`, ...apart.map((name) => `t.${quoteName(name)}`)]
}

/** How many columns `printColumns` gives. */
export const printWidth = (table: Table, { apart }: Printing): number =>
  table.key.length + 1 + (apart.length === 0 ? 0 : 1 + apart.length)

/** By its key, where it has one. */
export const orderOf = (table: Table): string =>
  table.key.length === 0 ? '' : ` ORDER BY ${table.key.map((name) => `t.${quoteName(name)}`).join(', ')}`

const HEX_DIGITS = 16

/** Cells of `printColumns`. */
export function printedRow(table: Table, { apart }: Printing, cells: Row): PrintedRow {
  const at = table.key.length
  const print = (cells[at] ?? '').padStart(HEX_DIGITS, '0')
  const rest = apart.length === 0 ? print : (cells[at + 1] ?? '').padStart(HEX_DIGITS, '0')
  return { key: cells.slice(0, at), print, rest, apart: apart.length === 0 ? [] : cells.slice(at + 2) }
}

export const rangeOf = (table: Table, { after, upTo }: KeyRange): string => {
  const range = keyRange(table, { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) })
  return range === undefined ? '' : ` WHERE ${range}`
}

/** SUM of bigint is kept in 128 bits by the server, so it can't overflow; its rows may be read by parallel workers. */
export const sumSql = (table: Table, { columns }: Printing, range: KeyRange): string =>
  `SELECT count(*), coalesce(sum(${hashOf(table, columns)}), 0) FROM ${ownRows(table)} AS t${rangeOf(table, range)}`

export const SUM_COLUMNS = 2

/**
 * The checksums of several ranges, each with its place among them before it: `SUMS_COLUMNS` columns. Ranges with two ends are rows of
 * one query, so that it is planned once, whatever their number.
 */
export function sumsSql(table: Table, printing: Printing, ranges: readonly KeyRange[]): string {
  const sum = `SELECT count(*), coalesce(sum(${hashOf(table, printing.columns)}), 0) FROM ${ownRows(table)} AS t`
  const queries = ranges.flatMap((range, at) =>
    isClosed(range) ? [] : [`SELECT ${at}, s.* FROM (${sumSql(table, printing, range)}) AS s`],
  )
  const closed = closedRanges(table, ranges)
  if (closed !== undefined)
    queries.push(`SELECT r.place, s.* FROM ${closed.values} CROSS JOIN LATERAL (${sum} WHERE ${closed.within}) AS s`)
  return queries.join(' UNION ALL ')
}

const isClosed = ({ after, upTo }: KeyRange): boolean => after !== undefined && upTo !== undefined

/**
 * Those of the ranges that have two ends, as the rows of a table `r`, each with its `place` among all of them, and the condition under
 * which a row of `t` is in one of them; `undefined` where there is none.
 */
function closedRanges(table: Table, ranges: readonly KeyRange[]) {
  const ends = (end: string): readonly string[] => table.key.map((_name, at) => `r.${end}${at}`)
  const rows = ranges.flatMap(({ after, upTo }, at) =>
    after === undefined || upTo === undefined
      ? []
      : [`(${[at, ...keyConstants(table, after), ...keyConstants(table, upTo)].join(', ')})`],
  )
  if (rows.length === 0) return undefined
  const names = ['place', ...[...ends('after'), ...ends('upto')].map((name) => name.slice(2))].join(', ')
  const key = table.key.map((name) => `t.${quoteName(name)}`)
  return {
    values: `(VALUES ${rows.join(', ')}) AS r (${names})`,
    within: `${keyComparison(table, key, '>', ends('after'))} AND ${keyComparison(table, key, '<=', ends('upto'))}`,
  }
}

export const SUMS_COLUMNS = 1 + SUM_COLUMNS

/** The answer of `sumSql`: signed numbers add up to the same as unsigned ones, modulo 2^64. */
export const rangeSum = ([rows, sum]: Row): RangeSum => ({ rows: Number(rows ?? 0), sum: BigInt.asUintN(64, BigInt(sum ?? 0)) })

export function printsSql(table: Table, printing: Printing, options: KeyRange & Pick<ReadOptions, 'limit'>): string {
  const { limit } = options
  const most = limit === undefined ? '' : ` LIMIT ${Math.trunc(limit)}`
  return `SELECT ${printColumns(table, printing).join(', ')} FROM ${ownRows(table)} AS t${rangeOf(table, options)}${orderOf(table)}${most}`
}

/** The same of the rows in several ranges; ranges with two ends are rows of one query, as in `sumsSql`. */
export function printsWithinSql(table: Table, printing: Printing, ranges: readonly KeyRange[]): string {
  const list = printColumns(table, printing).join(', ')
  const open = ranges.filter((range) => !isClosed(range)).map((range) => `(${printsSql(table, printing, range)})`)
  const closed = closedRanges(table, ranges)
  const together =
    closed === undefined
      ? []
      : [
          `SELECT s.* FROM ${closed.values} CROSS JOIN LATERAL (SELECT ${list} FROM ${ownRows(table)} AS t WHERE ${closed.within}) AS s`,
        ]
  return [...together, ...open].join(' UNION ALL ')
}

/** SELECT list of whole rows, each with its fingerprint, and what makes them of an answer. */
function wholeRows(table: Table, printing: Printing) {
  const columns = readableColumns(table)
  const { apart } = printing
  const rest =
    apart.length === 0
      ? []
      : [
          hashOf(
            table,
            printing.columns.filter((name) => !apart.includes(name)),
          ),
        ]
  const hashes = [hashOf(table, printing.columns), ...rest].map((each) => `to_hex(${each})`)
  const positions = keyPositions(table)
  const apartPositions = apart.map((name) => columns.findIndex((column) => column.name === name))
  const pick = (row: Row, places: readonly number[]): Row => places.map((at): Cell => row[at] ?? null)
  return {
    list: [...columns.map((column) => `t.${quoteName(column.name)}`), ...hashes].join(', '),
    of: (cells: Row): WholePrintedRow => {
      const row = cells.slice(0, columns.length)
      const [print = '', left = print] = cells.slice(columns.length).map((hex) => (hex ?? '').padStart(HEX_DIGITS, '0'))
      return { key: pick(row, positions), print, rest: left, apart: pick(row, apartPositions), row }
    },
  }
}

/** See the port's `printedByKey`, and with `lock` its `lockPrinted`: one statement either way, so row and print are of one instant. */
export async function printedByKey(
  session: Session,
  table: Table,
  printing: Printing,
  keys: readonly KeyCells[],
  lock: boolean,
): Promise<readonly WholePrintedRow[]> {
  if (keys.length === 0) return []
  const { values, condition } = keyJoin(table)
  const { list, of } = wholeRows(table, printing)
  const sql = `SELECT ${list} FROM ${ownRows(table)} AS t JOIN ${values} ON ${condition}`
  const { rows } = await session.query(lock ? sql + lockSql(table) : sql, keyArrays(table, keys))
  return rows.map(of)
}

/** A row's fingerprint as the port spells it. */
export const printText = (table: Table, { columns }: Printing): string =>
  `lpad(to_hex(${hashOf(table, columns)}), ${HEX_DIGITS}, '0')`

const signed = (print: Fingerprint): string => String(BigInt.asIntN(64, BigInt(`0x${print}`)))

/** See the port. */
export async function countPrints(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<ReadonlyMap<Fingerprint, number>> {
  if (prints.length === 0) return new Map()
  const { rows } = await session.query(
    `SELECT ${printText(table, printing)}, count(*) FROM ${ownRows(table)} AS t
     WHERE ${hashOf(table, printing.columns)} = ANY ($1::bigint[]) GROUP BY 1`,
    [[...new Set(prints)].map(signed)],
  )
  return new Map(rows.map(([print, count]) => [print ?? '', Number(count ?? 0)]))
}

/** See the port. Reads the whole table, however long that takes. */
export async function printedByPrint(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<readonly WholePrintedRow[]> {
  if (prints.length === 0) return []
  const { list, of } = wholeRows(table, printing)
  const hashes = [...new Set(prints)].map(signed)
  const wanted = 'unnest($1::bigint[]) AS p(print)'
  const sql = `SELECT ${list} FROM ${ownRows(table)} AS t JOIN ${wanted} ON ${hashOf(table, printing.columns)} = p.print`
  return await inTransaction(
    session,
    'read',
    async () => {
      await session.query('SET LOCAL statement_timeout = 0')
      return (await session.query(sql, [hashes])).rows.map(of)
    },
    true,
  )
}
