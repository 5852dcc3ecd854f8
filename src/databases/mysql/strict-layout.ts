import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import { fullName, type Schema, type Table } from '../schema.ts'
import { serverNumber } from './errors.ts'
import { isLong } from './print-sql.ts'
import type { Session } from './session.ts'
import { isAllowed } from './settings.ts'
import { splitCreateTable, withoutStrings } from './sql-text.ts'
import { isAscii } from './values.ts'

/**
 * What InnoDB refuses of a table under innodb_strict_mode, and makes with no more than a warning without, as old shops have them: a row that may
 * grow too long (ER_TOO_BIG_ROWSIZE), a form of rows that another engine had (ER_ILLEGAL_HA, ER_ILLEGAL_HA_CREATE_OPTION; MariaDB's
 * ER_CANT_CREATE_TABLE, "Wrong create options").
 */
const REFUSED = new Set([1118, 1031, 1478, 1005])

/** Puts the session's innodb_strict_mode off. False where the account may not say so (MySQL since 8.0). */
const relax = (session: Session): Promise<boolean> => isAllowed(session, 'SET SESSION innodb_strict_mode = 0')

const asBefore = async (session: Session): Promise<void> => {
  if (!session.broken) await session.query('SET SESSION innodb_strict_mode = DEFAULT')
}

/** Runs a definition; what strict InnoDB refuses of it, again without, where the account may. */
export async function defineLayout(session: Session, sql: string): Promise<void> {
  try {
    await session.query(sql)
  } catch (error) {
    if (session.broken || !REFUSED.has(serverNumber(error) ?? 0) || !(await relax(session))) throw error
    try {
      await session.query(sql)
    } finally {
      await asBefore(session)
    }
  }
}

/** Half a page, less what it needs itself ("Limits on Table Column Count and Row Size"), bytes. */
const MOST_ROW = 8126

/** Of a long value, so much may have to stand in the row itself, with its length: all forms of rows but two put the rest elsewhere. */
const LOCAL = 41
const LOCAL_OF_OLD_FORMS = 790

/** The bytes of the longest row, about. */
function rowBytes({ columns }: Table, local: number): number {
  const sizes = columns.map((column) => {
    const length = Number(/\((\d+)\)/.exec(column.type)?.[1] ?? 0)
    if (isAscii(column.codec) || column.codec === 'enum' || column.codec === 'set') return 4
    return isLong(column) || /text|blob/i.test(column.type) ? local : Math.min(length, local)
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Tables that a server won't make whose strictness the account can't put off. */
export async function strictLayouts(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const { rows } = await session.question('SELECT @@SESSION.innodb_strict_mode')
  if (rows[0]?.[0] !== '1') return []
  if (await relax(session)) {
    await asBefore(session)
    return []
  }
  const other = new Set(schema.objects.flatMap(({ kind, name }) => (kind === 'engine' ? [name] : [])))
  const refused = schema.tables.filter((table) => {
    const name = fullName(table.name)
    const made = schema.objects.find((object) => object.kind === 'table' && object.name === name)
    const form = /\bROW_FORMAT=(\w+)/.exec(withoutStrings(splitCreateTable(made?.sql ?? '').tail))?.[1] ?? ''
    if (other.has(name)) return false
    return form === 'FIXED' || rowBytes(table, /^(COMPACT|REDUNDANT)$/.test(form) ? LOCAL_OF_OLD_FORMS : LOCAL) > MOST_ROW
  })
  if (refused.length === 0) return []
  return [
    {
      severity: 'error',
      code: 'table-layout-strict',
      message: `The new server won't make these tables, whose rows may grow too long for a page, or which name a form of rows that InnoDB hasn't (ROW_FORMAT=FIXED): ${firstOf(refused.map(({ name }) => fullName(name)))}. An older or less strict one did.`,
      hint: 'Have the new host run SET GLOBAL innodb_strict_mode = 0; until the move is over, or mend them on the old host: ALTER TABLE … ROW_FORMAT=DYNAMIC, and TEXT instead of long VARCHAR columns.',
    },
  ]
}
