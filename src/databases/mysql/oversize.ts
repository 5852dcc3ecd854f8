import { type Finding, MigrateError } from '../../base/errors.ts'
import { formatBytes, formatDuration } from '../../base/units.ts'
import type { Cell, RowLimits } from '../port.ts'
import { fullName, keyPositions, readableColumns, type Schema, type Table } from '../schema.ts'
import { isLong } from './print-sql.ts'
import { type Session, timedSql } from './session.ts'
import { asInBlocks, isHex, quoteName, quoteTable, quoteText, selectExpression } from './values.ts'

/** A row that is compared or carried must fit into one JavaScript string, which holds 2^29 - 24 characters (V8, "v8::String::kMaxLength"). */
export const MOST_ROW_CHARACTERS = 2 ** 29 - 24

/** For a row whose cells would have so many characters; `cells`: the first of them, as far as they are known. */
export function tooLargeRow(table: Table | undefined, cells: readonly Cell[], column: string, characters: number): MigrateError {
  const key = table === undefined ? [] : keyPositions(table).map((at) => cells[at] ?? '…')
  const row = `${key.length === 0 ? 'A row' : `The row ${key.join(', ')}`}${table === undefined ? '' : ` of ${fullName(table.name)}`}`
  return new MigrateError(
    'row-too-large',
    `${row} is too large to be read: its values, of which ${column} is the largest, take ${formatBytes(characters)} as text; ${formatBytes(MOST_ROW_CHARACTERS)} is the most.`,
    {
      hint: 'Move this value into a file or several rows on the old host, or set the table to copy-only in the playbook: then it is copied in pieces, and never compared.',
    },
  )
}

/**
 * See the port. Rows are loaded by LOAD DATA in pieces, which no limit is known for, or by INSERT; carried rows come by INSERT and UPDATE.
 * "max_allowed_packet" is the most that a statement may have.
 */
export const rowLimits = ({ kind }: Session): RowLimits => ({
  load: kind.localInfile ? null : kind.maxPacket,
  write: kind.maxPacket,
})

/** What the server notes of a table's size may be old, or of a table that it compresses. */
const STALE = 4
const COMPRESSED = 100
/** The old host serves customers meanwhile, and a value's length is known by reading it. */
const PATIENCE_MS = 20_000
const MOST_NAMED = 5

/** See the port. Asks only tables that could have such a row. */
export async function oversize(
  session: Session,
  schema: Pick<Schema, 'tables'>,
  limits?: RowLimits,
): Promise<readonly Finding[]> {
  const carried = Math.min(MOST_ROW_CHARACTERS, limits?.write ?? MOST_ROW_CHARACTERS)
  const loaded = limits?.load ?? Number.POSITIVE_INFINITY
  const least = Math.min(carried, loaded)
  const large = await largeTables(session, least)
  const findings: Finding[] = []
  for (const table of schema.tables) {
    if (!large.has(table.name.name) || !readableColumns(table).some(isLong)) continue
    try {
      for (const { key, column, size } of await longRows(session, table, least))
        findings.push(size > loaded ? notLoaded(table, key, column, size, loaded) : notCarried(table, key, column, size, carried))
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'database-timeout') throw error
      findings.push(unknown(table))
    }
  }
  return findings
}

/** Tables whose rows take enough room (information_schema.TABLES, DATA_LENGTH: with values that lie outside their rows). */
async function largeTables(session: Session, bytes: number): Promise<ReadonlySet<string>> {
  const compressed = "CREATE_OPTIONS LIKE '%compress%' OR ROW_FORMAT = 'Compressed'"
  const { rows } = await session.question(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
       AND DATA_LENGTH * IF(${compressed}, ${COMPRESSED}, ${STALE}) > ${bytes / 2}`,
  )
  return new Set(rows.map(([name]) => name ?? ''))
}

interface LongRow {
  readonly key: string
  readonly column: string
  /** Bytes of its text in a statement, but for what is escaped. */
  readonly size: number
}

async function longRows(session: Session, table: Table, least: number): Promise<readonly LongRow[]> {
  const { rows } = await session.query(timedSql(oversizeSql(table, least), session.kind, PATIENCE_MS))
  return rows.map(([key, column, size]) => ({ key: key ?? '', column: column ?? '', size: Number(size) }))
}

/** The first rows whose values take more than `least` bytes: key, largest column, bytes of them all. */
export function oversizeSql(table: Table, least: number): string {
  const columns = readableColumns(asInBlocks(table)).filter(isLong)
  const sizes = columns.map(({ name, codec }) => `IFNULL(OCTET_LENGTH(${quoteName(name)}), 0)${isHex(codec) ? ' * 2' : ''}`)
  const key = readableColumns(table).filter(({ name }) => table.key.includes(name))
  const shown = key.map((column) => `LEFT(${selectExpression(column, quoteName(column.name))}, 100)`)
  const largest = sizes.length === 1 ? sizes.join('') : `GREATEST(${sizes.join(', ')})`
  const names = columns.map(({ name }) => quoteText(name))
  return `SELECT ${shown.length === 0 ? "''" : `CONCAT_WS(', ', ${shown.join(', ')})`}, ELT(FIELD(${[largest, ...sizes].join(', ')}), ${names.join(', ')}), ${sizes.join(' + ')}
FROM ${quoteTable(table.name)} WHERE ${sizes.join(' + ')} > ${least} LIMIT ${MOST_NAMED}`
}

const rowOf = (table: Table, key: string): string => `${key === '' ? 'A row' : `The row ${key}`} of ${fullName(table.name)}`

const unknown = ({ name }: Table): Finding => ({
  severity: 'info',
  code: 'row-size-unknown',
  message: `Whether ${fullName(name)} has a row that is too large to be loaded or carried couldn't be found out within ${formatDuration(PATIENCE_MS)}.`,
  hint: 'If it has one, the step that meets it ends there and names it; nothing is lost.',
})

const notLoaded = (table: Table, key: string, column: string, size: number, most: number): Finding => ({
  severity: 'error',
  code: 'row-too-large',
  message: `${rowOf(table, key)} is too large for the new server: its values, of which ${column} is the largest, take ${formatBytes(size)} in a statement; ${formatBytes(most)} is the most (max_allowed_packet).`,
  hint: 'Have the new host run SET GLOBAL local_infile = 1; (then rows of any size are loaded in pieces) or raise max_allowed_packet (1 GiB at most).',
})

const notCarried = (table: Table, key: string, column: string, size: number, most: number): Finding => ({
  severity: 'warning',
  code: 'row-too-large-to-carry',
  message: `${rowOf(table, key)} is copied in pieces, but couldn't be carried if it changed after the snapshot: its values, of which ${column} is the largest, take ${formatBytes(size)} as text; ${formatBytes(most)} is the most${most < MOST_ROW_CHARACTERS ? ' (max_allowed_packet of the new server)' : ''}.`,
  hint: 'Let nobody change this row until the migration is over, or set the table to copy-only in the playbook.',
})
