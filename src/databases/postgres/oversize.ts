import { z } from 'zod'
import { type Finding, MigrateError } from '../../base/errors.ts'
import { formatBytes } from '../../base/units.ts'
import { type Column, fullName, keyPositions, readableColumns, type Schema, type Table } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { isLargeObjects, largerThan } from './large-objects.ts'
import { ownRows } from './relation.ts'
import { inTransaction } from './transaction.ts'
import { decodeLine, quoteName, quoteText } from './values.ts'

/** A row's text must fit into one JavaScript string, which holds 2^29 - 24 characters (V8, "v8::String::kMaxLength"). */
export const MOST_ROW_BYTES = 2 ** 29 - 24

/** The best of the server's compressions (lz4) makes 1 byte of 255, and bytea is twice as long in text: with less, no row is too large. */
const PLAUSIBLE_BYTES = Math.trunc(MOST_ROW_BYTES / 600)
/** The old host serves customers meanwhile. */
const PATIENCE = '20s'
const MOST_NAMED = 5

const tooLargeRow = z.object({ key: z.string(), columns: z.record(z.string(), z.number()) })

/** See the port. Asks only tables that could have such a row; lengths of text and bytea are known without reading the values. */
export async function oversize(session: Session, { tables }: Pick<Schema, 'tables'>): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const table of tables) {
    if (isLargeObjects(table)) {
      findings.push(...(await tooLargeObjects(session, table)))
      continue
    }
    const columns = readableColumns(table).filter((column) => !FIXED.test(column.codec))
    if (columns.length === 0 || !(await isPlausible(session, table))) continue
    findings.push(...(await tooLarge(session, table, columns)))
  }
  return findings
}

/** Types of few bytes: these make no row large. */
const FIXED =
  /^(smallint|integer|bigint|real|double precision|boolean|uuid|money|"char"|name|oid|pg_lsn|date|inet|cidr|macaddr8?|interval|point|time(stamp)? with(out)? time zone)$/

/** What the account may not read is named elsewhere. */
async function isPlausible(session: Session, table: Table): Promise<boolean> {
  const { schema, name } = table.name
  const { rows } = await session.query(
    `SELECT coalesce(sum(pg_relation_size(c.reltoastrelid)), 0) > ${PLAUSIBLE_BYTES} FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
     JOIN pg_class c ON c.reltoastrelid <> 0 AND (c.oid = r.oid OR (c.relispartition AND pg_partition_root(c.oid) = r.oid))
     WHERE n.nspname = $1 AND r.relname = $2 AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(r.oid, 'SELECT')
       AND NOT row_security_active(r.oid)`,
    [schema, name],
  )
  return rows[0]?.[0] === 't'
}

/** Bytes of a value's text as COPY sends it, but for what it escapes; bytea in hexadecimal. */
function textBytes({ name, codec }: Column): string {
  const column = `t.${quoteName(name)}`
  if (codec === 'bytea') return `2 * octet_length(${column})::bigint + 3`
  if (codec === 'text' || codec === 'character varying') return `octet_length(${column})::bigint`
  return `CASE WHEN pg_column_size(${column}) > ${PLAUSIBLE_BYTES} THEN octet_length(${column}::text)::bigint ELSE 0 END`
}

async function tooLarge(session: Session, table: Table, columns: readonly Column[]): Promise<readonly Finding[]> {
  const sizes = columns.map((column) => `coalesce(${textBytes(column)}, 0)`)
  const key = table.key.map((name) => `t.${quoteName(name)}::text`)
  const pairs = columns.map((column, at) => `${quoteText(column.name)}, ${sizes[at]}`)
  const sql = `SELECT ${key.length === 0 ? 't.ctid::text' : `concat_ws(', ', ${key.join(', ')})`} AS key, jsonb_build_object(${pairs.slice(0, 50).join(', ')}) AS columns
    FROM ${ownRows(table)} AS t WHERE ${sizes.join(' + ')} > ${MOST_ROW_BYTES} LIMIT ${MOST_NAMED}`
  try {
    const rows = await inTransaction(
      session,
      'read',
      async () => {
        await session.query(`SET LOCAL statement_timeout = '${PATIENCE}'`)
        return await ask(session, tooLargeRow, sql)
      },
      true,
    )
    return rows.map((row) => {
      const [column, bytes] = Object.entries(row.columns).reduce((one, other) => (other[1] > one[1] ? other : one))
      const { message, code, hint } = tooLargeError(table, row.key, column, bytes)
      return { severity: 'error', code, message, ...(hint === undefined ? {} : { hint }) }
    })
  } catch (error) {
    if (!(error instanceof MigrateError) || !/statement timeout/.test(error.message)) throw error
    const message = `Whether ${fullName(table.name)} has a row too large to be read couldn't be found out within ${PATIENCE}.`
    const hint = 'If it has one, the snapshot ends at it and names it; nothing is lost.'
    return [{ severity: 'info', code: 'row-size-unknown', message, hint }]
  }
}

/** Twice their bytes, in hexadecimal, and an oid beside them. */
const MOST_OBJECT_BYTES = Math.trunc((MOST_ROW_BYTES - 64) / 2)

const objectRow = z.object({ name: z.string() })

async function tooLargeObjects(session: Session, table: Table): Promise<readonly Finding[]> {
  const large = await ask(session, objectRow, largerThan(MOST_OBJECT_BYTES))
  return large.map(({ name }): Finding => {
    const { code, message, hint } = tooLargeError(table, name, 'data', 2 * MOST_OBJECT_BYTES)
    return { severity: 'error', code, message, ...(hint === undefined ? {} : { hint }) }
  })
}

const tooLargeError = (table: Table, key: string, column: string, bytes: number): MigrateError =>
  new MigrateError(
    'row-too-large',
    `The row ${key} of ${fullName(table.name)} is too large to be read: ${column} alone takes ${formatBytes(bytes)} as text; ${formatBytes(MOST_ROW_BYTES)} a row is the most.`,
    {
      hint: 'Move this value into a file or several rows on the old host, or set the table to skip in the playbook and move it by hand.',
    },
  )

const TAB = 0x09
/** More of a key than this says no more to a person. */
const MOST_KEY_BYTES = 200

/** For a row of COPY's text format that is too large: which row it is, and which column makes it so. */
export function oversizeError(table: Table, row: Buffer): MigrateError {
  const cells: Buffer[] = []
  for (let from = 0; from <= row.length; ) {
    const tab = row.indexOf(TAB, from)
    const to = tab === -1 ? row.length : tab
    cells.push(row.subarray(from, to))
    from = to + 1
  }
  const columns = readableColumns(table)
  const largest = cells.reduce((best, cell, at) => (cell.length > (cells[best]?.length ?? 0) ? at : best), 0)
  const shown = keyPositions(table).map(
    (at) => decodeLine((cells[at] ?? row).subarray(0, MOST_KEY_BYTES).toString('utf8'), 1)[0] ?? 'NULL',
  )
  return tooLargeError(table, shown.join(', '), columns[largest]?.name ?? '', cells[largest]?.length ?? 0)
}
