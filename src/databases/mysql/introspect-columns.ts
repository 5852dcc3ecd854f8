import type { Column } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './session.ts'
import { unqualified } from './sql-text.ts'
import { codecOf, quoteText } from './values.ts'

const FIELDS = ['table', 'name', 'dataType', 'type', 'charset', 'collation', 'nullable', 'default', 'extra', 'generated'] as const

/** Columns of the database's tables in their order, by table; of these tables only, where given. */
export async function readColumns(session: Session, tables?: readonly string[]): Promise<ReadonlyMap<string, readonly Column[]>> {
  const among = tables === undefined ? '' : ` AND TABLE_NAME IN (${tables.map(quoteText).join(', ')})`
  const rows = await ask(
    session,
    FIELDS,
    `SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,
       GENERATION_EXPRESSION
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()${among} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  )
  const [[database] = []] = (await session.query('SELECT DATABASE()')).rows
  const charsets = new Set(rows.flatMap(({ charset }) => (charset === null ? [] : [charset])))
  const lossless = await losslessCharsets(session, charsets)
  const byTable = new Map<string, Column[]>()
  for (const row of rows) {
    const expression = row.generated === null || row.generated === '' ? null : unqualified(row.generated, database ?? '')
    const column: Column = {
      name: row.name ?? '',
      type: row.type ?? '',
      codec: codecOf(row.dataType ?? '', row.charset, lossless),
      nullable: row.nullable === 'YES',
      collation: row.collation,
      default:
        row.default === null || expression !== null || row.default === 'NULL'
          ? null
          : { name: null, sql: unqualified(row.default, database ?? '') },
      computed: expression === null ? null : { sql: expression, stored: /STORED|PERSISTENT/i.test(row.extra ?? '') },
      identity: /auto_increment/i.test(row.extra ?? '') ? 'by-default' : null,
      rowversion: false,
    }
    const own = byTable.get(row.table ?? '')
    if (own === undefined) byTable.set(row.table ?? '', [column])
    else own.push(column)
  }
  return byTable
}

const ALL_BYTES = Array.from({ length: 256 }, (_none, byte) => byte.toString(16).padStart(2, '0'))
  .join('')
  .toUpperCase()

/** UTF-8 in either form, and of the character sets of one byte those whose every byte the server turns to utf8mb4 and back. */
async function losslessCharsets(session: Session, charsets: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const unicode = [...charsets].filter((name) => /^utf8(mb[34])?$/.test(name))
  const others = [...charsets].filter((name) => !unicode.includes(name) && name !== 'ascii' && /^\w+$/.test(name))
  if (others.length === 0) return new Set(unicode)
  const { rows: single } = await session.query(
    `SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS
     WHERE MAXLEN = 1 AND CHARACTER_SET_NAME IN (${others.map(quoteText).join(', ')})`,
  )
  const names = single.map(([name]) => name ?? '')
  if (names.length === 0) return new Set(unicode)
  const questions = names.map((name) => `HEX(CONVERT(CONVERT(_${name} x'${ALL_BYTES}' USING utf8mb4) USING ${name}))`)
  const [answers = []] = (await session.query(`SELECT ${questions.join(', ')}`)).rows
  return new Set([...unicode, ...names.filter((_name, at) => answers[at] === ALL_BYTES)])
}
