import { MigrateError } from '../../base/errors.ts'
import type {
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
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { chunks, columnsNamed, keyColumns, keyCondition, keyParameters, rowsPerStatement } from './keys.ts'
import { quoteName } from './names.ts'
import { fromSql, rangeOf, rangeSql, rowShape, type Shape } from './paging.ts'
import type { Parameter } from './parameters.ts'
import { hash64, type Piece, pieceOf } from './print-values.ts'
import type { Values } from './row-buffer.ts'
import type { Session } from './session.ts'
import { cellOf, decoderOf, selectExpression } from './values.ts'

/** HASHBYTES takes 8,000 bytes before SQL Server 2016, which is also where the concatenation of short texts ends. */
const MOST_CHARACTERS = 4000
/** An expression of several hundred additions may be nested too deeply for the server (error 191). */
const MOST_PIECES = 100

/** The text of which a row's fingerprint is the hash. More than one hash takes is hashed in groups, and their hashes then. */
export function rowText(columns: readonly Column[]): string {
  let groups = grouped(columns.map((column) => pieceOf(column, `t.${quoteName(column.name)}`)))
  while (groups.length > 1)
    groups = grouped(groups.map((text) => ({ sql: `CONVERT(nvarchar(20), ${hash64(text)}) + N','`, width: 21 })))
  return groups[0] ?? "N''"
}

function grouped(pieces: readonly Piece[]): readonly string[] {
  const groups: { readonly pieces: string[]; width: number }[] = []
  for (const { sql, width } of pieces) {
    const last = groups.at(-1)
    if (last !== undefined && last.width + width <= MOST_CHARACTERS && last.pieces.length < MOST_PIECES) {
      last.pieces.push(sql)
      last.width += width
    } else groups.push({ pieces: [sql], width })
  }
  return groups.map((group) => group.pieces.join(' + '))
}

const printOf = (columns: readonly Column[]): string =>
  `CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', ${rowText(columns)}), 1, 8))`

export const printSql = (table: Table, printing: Printing): string => printOf(columnsNamed(table, printing.columns))

/** `print`, and `rest` where it isn't the same. */
function printList(table: Table, printing: Printing): readonly string[] {
  const print = printSql(table, printing)
  if (printing.apart.length === 0) return [print]
  const rest = printing.columns.filter((name) => !printing.apart.includes(name))
  return [print, printOf(columnsNamed(table, rest))]
}

/** What `printList` gives, from the place `at` on; afterwards as many values as it has. */
function fingerprints(values: Values, at: number, printing: Printing): { readonly print: string; readonly rest: string } {
  const print = cellOf(values[at]) ?? ''
  return { print, rest: printing.apart.length === 0 ? print : (cellOf(values[at + 1]) ?? '') }
}

/** Fingerprints instead of rows. */
export function printShape(table: Table, printing: Printing): Shape<PrintedRow> {
  const keys = table.key.length === 0 ? [] : keyColumns(table)
  const apart = columnsNamed(table, printing.apart)
  const prints = printList(table, printing)
  const select = (column: Column): string => selectExpression(column, `t.${quoteName(column.name)}`)
  const cells = (columns: readonly Column[], from: number): ((values: Values) => Row) => {
    const decoders = columns.map(decoderOf)
    return (values) => decoders.map((decode, index) => decode(values[from + index]))
  }
  const keyOf = cells(keys, 0)
  const apartOf = cells(apart, keys.length + prints.length)
  return {
    list: [...keys.map(select), ...prints, ...apart.map(select)].join(', '),
    of: (batch) =>
      batch.map((values) => ({
        key: keyOf(values),
        ...fingerprints(values, keys.length, printing),
        apart: apartOf(values),
      })),
    keyOf: ({ key }) => key,
    sizeOf: (row) => [...row.key, ...row.apart].reduce((bytes, cell) => bytes + 2 * (cell?.length ?? 0), 64),
  }
}

/** Whole rows with their fingerprints. */
function wholeShape(table: Table, printing: Printing): Shape<WholePrintedRow> {
  const rows = rowShape(table)
  const columns = readableColumns(table)
  const apart = printing.apart.map((name) => columns.findIndex((column) => column.name === name))
  return {
    list: [rows.list, ...printList(table, printing)].join(', '),
    of: (batch) => {
      const whole = rows.of(batch.map((values) => values.slice(0, columns.length)))
      return whole.map((row, index) => ({
        key: rows.keyOf(row),
        ...fingerprints(batch[index] ?? [], columns.length, printing),
        apart: apart.map((at) => row[at] ?? null),
        row,
      }))
    },
    keyOf: ({ key }) => key,
    sizeOf: ({ row }) => rows.sizeOf(row),
  }
}

type Range = Pick<ReadOptions, 'after' | 'upTo' | 'signal'>

/**
 * The checksum of a range. bigint's sum could overflow where decimal's doesn't. A fingerprint stands in a derived table, since no
 * aggregate's argument may hold a subquery (error 130). Parameters from `from` on; `place` stands before the two columns.
 */
export function sumSql(table: Table, printing: Printing, range: KeyRange, from = 0, place = ''): string {
  const { ends } = rangeOf(table, range)
  const where = ends.after || ends.upTo ? rangeSql(keyColumns(table), ends, from) : ''
  const print = hash64(rowText(columnsNamed(table, printing.columns)))
  return `SELECT ${place}CONVERT(nvarchar(20), COUNT_BIG(*)), CONVERT(nvarchar(40), SUM(CONVERT(decimal(38,0), r.p)))
FROM (SELECT ${print} AS p ${fromSql(table)}${where}) AS r`
}

/** One statement, which holds no lock of a row that it has gone past (READ COMMITTED), and none at all under row versions. */
export async function rangeSum(session: Session, table: Table, printing: Printing, range: Range): Promise<RangeSum> {
  const { parameters } = rangeOf(table, range)
  let found: RangeSum = { rows: 0, sum: 0n }
  const options = { signal: range.signal, drain: true, long: true }
  for await (const batch of session.stream(sumSql(table, printing, range), parameters, options)) {
    for (const [rows, sum] of batch) found = sumOf(rows, sum)
  }
  return found
}

const MOST_RANGES = 64

/** See the port. As many in a statement as its parameters allow; those of the same number have the same text, so one plan does. */
export async function rangeSums(
  session: Session,
  table: Table,
  printing: Printing,
  ranges: readonly KeyRange[],
  signal?: AbortSignal,
): Promise<readonly RangeSum[]> {
  const sums: RangeSum[] = []
  for (const some of chunks(ranges, Math.min(MOST_RANGES, rowsPerStatement(2 * table.key.length)))) {
    const found = new Map<string, RangeSum>()
    const { sql, parameters } = sumsSql(table, printing, some)
    for await (const batch of session.stream(sql, parameters, { signal, drain: true, long: true })) {
      for (const [place, rows, sum] of batch) found.set(cellOf(place) ?? '', sumOf(rows, sum))
    }
    for (const at of some.keys()) {
      const sum = found.get(String(at))
      if (sum === undefined) throw new MigrateError('fault', `The server gave no checksum of a range of ${fullName(table.name)}.`)
      sums.push(sum)
    }
  }
  return sums
}

export function sumsSql(
  table: Table,
  printing: Printing,
  ranges: readonly KeyRange[],
): { readonly sql: string; readonly parameters: readonly Parameter[] } {
  const parameters: Parameter[] = []
  const parts = ranges.map((range, at) => {
    const sql = sumSql(table, printing, range, parameters.length, `N'${at}', `)
    parameters.push(...rangeOf(table, range).parameters)
    return sql
  })
  return { sql: parts.join('\nUNION ALL\n'), parameters }
}

const sumOf = (rows: Values[number], sum: Values[number]): RangeSum => ({
  rows: Number(rows),
  sum: BigInt.asUintN(64, BigInt(cellOf(sum) ?? '0')),
})

/** Rows with these keys and their fingerprints, both of one statement; `hints` as for `rowsByKey`. */
export async function printedByKey(
  session: Session,
  table: Table,
  printing: Printing,
  keys: readonly KeyCells[],
  hints = '',
): Promise<readonly WholePrintedRow[]> {
  const columns = keyColumns(table)
  const shape = wholeShape(table, printing)
  const rows: WholePrintedRow[] = []
  for (const chunk of chunks(keys, rowsPerStatement(columns.length))) {
    const sql = `SELECT ${shape.list} ${fromSql(table, hints)} WHERE ${keyCondition(columns, chunk)}`
    rows.push(...shape.of((await session.query(sql, keyParameters(columns, chunk))).rows))
  }
  return rows
}

/** Fingerprints as constants; the server computes each row's once and looks it up. */
export const byPrintSql = (table: Table, printing: Printing, prints: readonly Fingerprint[]): string =>
  `SELECT ${wholeShape(table, printing).list} ${fromSql(table)}
WHERE ${printSql(table, printing)} IN ${wantedSql(prints)}`

function wantedSql(prints: readonly Fingerprint[]): string {
  const wanted = [...new Set(prints)].map(
    (print) => `(CONVERT(binary(8), 0x${BigInt(`0x${print}`).toString(16).padStart(16, '0')}))`,
  )
  return `(SELECT w.p FROM (VALUES ${wanted.join(', ')}) AS w(p))`
}

/** How many rows have these fingerprints, as the session's transaction sees them. */
export async function countPrints(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<ReadonlyMap<Fingerprint, number>> {
  if (prints.length === 0) return new Map()
  const { rows } = await session.batch(`SELECT r.p, CONVERT(nvarchar(20), COUNT_BIG(*))
FROM (SELECT ${printSql(table, printing)} AS p ${fromSql(table)}) AS r WHERE r.p IN ${wantedSql(prints)} GROUP BY r.p`)
  return new Map(rows.map(([print, count]) => [cellOf(print) ?? '', Number(cellOf(count) ?? 0)]))
}

export async function printedByPrint(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<readonly WholePrintedRow[]> {
  if (prints.length === 0) return []
  // A batch: it looks at every row, which may take longer than a question is given.
  const { rows } = await session.batch(byPrintSql(table, printing, prints))
  return wholeShape(table, printing).of(rows)
}
