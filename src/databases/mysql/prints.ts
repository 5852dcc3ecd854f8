import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
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
import { type Column, fullName, ORDINARY, readableColumns, type Table } from '../schema.ts'
import type { Connections } from './connection.ts'
import { chunks, keyColumns, keyCondition, keyOrder, limitOf, rangeCondition, selectList, withKeys } from './keys.ts'
import { columnsOf, HASH, hashExpression, LEAST_PACKET, printExpression, printMethod, restExpression } from './print-sql.ts'
import { CellCollector } from './rows.ts'
import type { Session } from './session.ts'
import { stream } from './stream.ts'
import { quoteName, quoteTable, selectExpression } from './values.ts'

/** What stands for a value that is no column's: digits. */
export const DIGITS: Column = {
  name: 'fingerprint',
  type: 'bigint unsigned',
  codec: 'number',
  ...ORDINARY,
}

/** Fingerprint and rest as a SELECT's last columns. */
const printList = (table: Table, printing: Printing): readonly string[] => {
  const rest = restExpression(table, printing)
  return [`HEX(${printExpression(table, printing)})`, ...(rest === undefined ? [] : [`HEX(${rest})`])]
}

/** A print that the server didn't give is no print: two such rows would seem to be the same. */
function printOf(cell: Cell | undefined, table: Table): Fingerprint {
  if (cell === null || cell === undefined) throw unprinted(table)
  return cell.toLowerCase().padStart(16, '0')
}

export const unprinted = (table: Table): MigrateError =>
  new MigrateError(
    'fingerprint-missing',
    `The server gave no fingerprint for a row of ${fullName(table.name)} (a string function gives NULL beyond max_allowed_packet). Nothing was changed.`,
    { hint: 'Have max_allowed_packet raised to 16 MiB or more on that host, then run again.' },
  )

/** See the port. */
export async function sumOf(
  session: Session,
  connections: Connections,
  table: Table,
  printing: Printing,
  range: Pick<ReadOptions, 'after' | 'upTo' | 'signal'>,
): Promise<RangeSum> {
  const [sum] = await sumsOf(session, connections, table, printing, [range], range.signal)
  if (sum === undefined) throw noSum(session, table)
  return sum
}

const noSum = (session: Session, table: Table): MigrateError =>
  new MigrateError('fault', `The ${session.label} gave no sum of ${fullName(table.name)}.`)

/** See the port. The server is done with one range before it begins the next: all together take hardly longer than one as long. */
export async function sumsOf(
  session: Session,
  connections: Connections,
  table: Table,
  printing: Printing,
  ranges: readonly KeyRange[],
  signal: AbortSignal | undefined,
): Promise<readonly RangeSum[]> {
  const print = sumSql(printExpression(table, printing))
  const questions = ranges.map((range, at) => `(${print}, ${at} FROM ${quoteTable(table.name)}${rangeCondition(table, range)})`)
  const sums = new Map<number, RangeSum>()
  for (const sql of unions(questions)) {
    const collector = new CellCollector([DIGITS, DIGITS, DIGITS, DIGITS])
    for await (const batch of stream(session, connections, sql, collector, signal ? { signal } : {})) {
      for (const [rows, sum, printed, at] of batch) {
        if (rows !== printed) throw unprinted(table)
        sums.set(Number(at), { rows: Number(rows), sum: BigInt.asUintN(64, BigInt(sum ?? 0)) })
      }
    }
  }
  return ranges.map((_, at) => {
    const sum = sums.get(at)
    if (sum === undefined) throw noSum(session, table)
    return sum
  })
}

/** A statement must fit into max_allowed_packet (`LEAST_PACKET` at least), and a server nests what is united. */
const UNION_BYTES = LEAST_PACKET / 4
const UNION_RANGES = 128

function unions(questions: readonly string[]): readonly string[] {
  const statements: string[][] = []
  let bytes = 0
  for (const question of questions) {
    const last = statements.at(-1)
    bytes += question.length
    if (last !== undefined && bytes <= UNION_BYTES && last.length < UNION_RANGES) last.push(question)
    else {
      statements.push([question])
      bytes = question.length
    }
  }
  return statements.map((each) => each.join(' UNION ALL '))
}

/** SUM of whole numbers is exact, a DECIMAL ("Aggregate Function Descriptions"); NULL of no rows. */
const sumSql = (print: string): string => `SELECT COUNT(*), SUM(${print}), COUNT(${HASH})`

/** See the port. */
export async function* printsOf(
  session: Session,
  connections: Connections,
  table: Table,
  printing: Printing,
  options: ReadOptions,
): AsyncGenerator<readonly PrintedRow[]> {
  const { select, collect, of } = printShape(table, printing)
  const sql = `${select}${rangeCondition(table, options)}${keyOrder(table)}${limitOf(options)}`
  for await (const batch of stream(session, connections, sql, collect(), options)) yield batch.map(of)
}

/** See the port. As with `sumsOf`, several questions become one. */
export async function* printsWithin(
  session: Session,
  connections: Connections,
  table: Table,
  printing: Printing,
  ranges: readonly KeyRange[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly PrintedRow[]> {
  const { select, collect, of } = printShape(table, printing)
  for (const sql of unions(ranges.map((range) => `(${select}${rangeCondition(table, range)})`)))
    for await (const batch of stream(session, connections, sql, collect(), signal ? { signal } : {})) yield batch.map(of)
}

/** A SELECT of key, cells apart and fingerprints, to be followed by a condition, and what makes rows of its answer. */
function printShape(table: Table, printing: Printing) {
  const key = table.key.length === 0 ? [] : keyColumns(table)
  const beside = [...key, ...columnsOf(table, printing.apart)]
  const list = [...beside.map((column) => selectExpression(column, quoteName(column.name))), ...printList(table, printing)]
  const of = (row: Row): PrintedRow => {
    const print = printOf(row[beside.length], table)
    return {
      key: row.slice(0, key.length),
      print,
      rest: printing.apart.length === 0 ? print : printOf(row[beside.length + 1], table),
      apart: row.slice(key.length, beside.length),
    }
  }
  const collect = () => new CellCollector([...beside, DIGITS, ...(printing.apart.length === 0 ? [] : [DIGITS])])
  return { select: `SELECT ${list.join(', ')} FROM ${quoteTable(table.name)}`, collect, of }
}

/** Whole rows under a condition, with their fingerprints. `isTimed`: as a question, for as long as these may take. */
async function wholeRows(
  session: Session,
  table: Table,
  printing: Printing,
  end: string,
  isTimed: boolean,
): Promise<readonly WholePrintedRow[]> {
  const columns = readableColumns(table)
  const place = (name: string): number => columns.findIndex((column) => column.name === name)
  const [key, apart] = [table.key.map(place), printing.apart.map(place)]
  const sql = `SELECT ${[selectList(table), ...printList(table, printing)].join(', ')} FROM ${quoteTable(table.name)} WHERE ${end}`
  const collector = new CellCollector([...columns, DIGITS, ...(apart.length === 0 ? [] : [DIGITS])], table)
  const rows: WholePrintedRow[] = []
  const none = async (): Promise<void> => undefined
  for await (const batch of session.rows(isTimed ? session.timed(sql) : sql, collector, none)) {
    for (const cells of batch) {
      const row = cells.slice(0, columns.length)
      const pick = (places: readonly number[]): Row => places.map((at) => row[at] ?? null)
      const print = printOf(cells[columns.length], table)
      const rest = apart.length === 0 ? print : printOf(cells[columns.length + 1], table)
      rows.push({ key: pick(key), print, rest, apart: pick(apart), row })
    }
  }
  return rows
}

const KEYS_AT_ONCE = 500

/** See `Database.printedByKey`; `suffix` as it stands at the end of a SELECT (` FOR UPDATE`). */
export async function printedByKey(
  session: Session,
  table: Table,
  printing: Printing,
  keys: readonly KeyCells[],
  suffix = '',
): Promise<readonly WholePrintedRow[]> {
  const found: WholePrintedRow[] = []
  for (const chunk of chunks(keys, KEYS_AT_ONCE)) {
    const rows = await wholeRows(session, table, printing, `${keyCondition(keyColumns(table), chunk)}${suffix}`, suffix === '')
    const exact = new Set(
      withKeys(
        table,
        rows.map(({ row }) => row),
        chunk,
      ),
    )
    found.push(...rows.filter(({ row }) => exact.has(row)))
  }
  return found
}

/** A row's fingerprint as the port spells it. */
export const printText = (table: Table, printing: Printing): string =>
  `LOWER(LPAD(HEX(${printExpression(table, printing)}), 16, '0'))`

/** See the port. Read as the transaction sees the table, without a lock. */
export async function countPrints(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<ReadonlyMap<Fingerprint, number>> {
  if (prints.length === 0) return new Map()
  const wanted = [...new Set(prints)].map((print) => `'${print}'`).join(', ')
  const each = `SELECT ${printText(table, printing)} AS p FROM ${quoteTable(table.name)}`
  const { rows } = await session.query(`SELECT p, COUNT(*) FROM (${each}) AS prints WHERE p IN (${wanted}) GROUP BY p`)
  return new Map(rows.map(([print, count]) => [print ?? '', Number(count ?? 0)]))
}

/** See the port. No index helps: the whole table is looked through. */
export async function printedByPrint(
  session: Session,
  table: Table,
  printing: Printing,
  prints: readonly Fingerprint[],
): Promise<readonly WholePrintedRow[]> {
  if (prints.length === 0) return []
  const wanted = prints.map((print) => `'${BigInt(`0x${print}`).toString(16).toUpperCase()}'`)
  return await wholeRows(session, table, printing, `HEX(${printExpression(table, printing)}) IN (${wanted.join(', ')})`, false)
}

const PROBES = ['', 'a', 'the quick brown fox']

/** What `hashExpression` must give for a text. */
function answerOf(text: string): bigint {
  const digits = createHash('sha256').update(text).digest('hex')
  return (BigInt(crc32(digits)) << 32n) | BigInt(crc32(digits.slice(0, 20)))
}

/** True when the server computes fingerprints, and their sums, as they are computed here; not where it lacks what that takes. */
async function knownAnswer(session: Session): Promise<boolean> {
  try {
    return await givesKnownAnswer(session)
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'database-statement-failed') return false
    throw error
  }
}

async function givesKnownAnswer(session: Session): Promise<boolean> {
  const from = `FROM (${PROBES.map((text) => `SELECT '${text}' AS probe`).join(' UNION ALL ')}) AS probes`
  const print = hashExpression('probe')
  const each = await session.question(`SELECT ${print} ${from}`)
  const all = await session.question(`${sumSql(print)} ${from}`)
  const expected = PROBES.map(answerOf)
  const sum = expected.reduce((total, one) => total + one, 0n)
  return (
    String(each.rows.map(([one]) => one).sort()) === String(expected.map(String).sort()) &&
    String(all.rows[0]) === String([PROBES.length, sum, PROBES.length])
  )
}

/** See `Database.fingerprintMethod`. A server is asked once whether it can. */
export class PrintMethods {
  #able: Promise<boolean> | undefined

  async of(table: Table, use: <T>(work: (session: Session) => Promise<T>) => Promise<T>): Promise<string | undefined> {
    const able = this.#able ?? use(async (session) => session.kind.maxPacket >= LEAST_PACKET && (await knownAnswer(session)))
    this.#able = able
    try {
      return (await able) ? printMethod(table) : undefined
    } catch (error) {
      this.#able = undefined
      throw error
    }
  }
}
