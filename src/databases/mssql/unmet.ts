import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { type Column, fullName, type Schema } from '../schema.ts'
import { chunks, rowsPerStatement } from './keys.ts'
import type { Session } from './session.ts'
import { isCodePage, parseType } from './values.ts'

/** See the port: collations and types that came with a later release than this server's; and text whose characters the database hasn't. */
export const unmet = async (session: Session, schema: Schema): Promise<readonly Finding[]> => [
  ...(
    await unknownTo(
      session,
      UNKNOWN_COLLATION,
      users(schema, ({ collation }) => collation),
    )
  ).map(([name, where]) =>
    finding(
      'collation-unknown',
      `The server of the ${session.where.label} doesn't know the collation ${name} of ${where}: the table can't be created there.`,
      'Ask for a newer server, or give the columns an older collation on the old host first (ALTER TABLE … ALTER COLUMN … COLLATE …).',
    ),
  ),
  ...(
    await unknownTo(
      session,
      UNKNOWN_TYPE,
      users(schema, ({ codec }) => parseType(codec).name),
    )
  ).map(([name, where]) =>
    finding(
      'type-unknown',
      `The server of the ${session.where.label} doesn't know the type ${name} of ${where}: the table can't be created there.`,
      'Ask for a newer server, or change the columns on the old host first.',
    ),
  ),
  ...(
    await unknownTo(
      session,
      OTHER_CODE_PAGE,
      users(schema, (column) => (isAlias(column) && isCodePage(column) ? column.collation : null)),
    )
  ).map(([name, where]) =>
    finding(
      'alias-type-code-page',
      `${where} ${where.includes(', ') ? 'have types' : 'has a type'} of the shop's own, whose text has the collation of its database: characters of ${name} would be lost in the ${session.where.label}, which has another code page.`,
      `Create the new database with COLLATE ${name}, or give the columns the type's base type and this collation on the old host first (ALTER TABLE … ALTER COLUMN … varchar(…) COLLATE ${name}).`,
    ),
  ),
]

/** The column can't be given a collation ("CREATE TABLE (Transact-SQL)", COLLATE): it gets the database's. */
const isAlias = ({ type }: Column): boolean => type.startsWith('[')

const finding = (code: string, message: string, hint: string): Finding => ({ severity: 'error', code, message, hint })

/** NULL is what COLLATIONPROPERTY and TYPE_ID say of a name that they don't know ("COLLATIONPROPERTY", "TYPE_ID (Transact-SQL)"). */
const UNKNOWN_COLLATION = "COLLATIONPROPERTY(v.name, 'CodePage') IS NULL"
const UNKNOWN_TYPE = 'TYPE_ID(v.name) IS NULL'
const OTHER_CODE_PAGE = `CONVERT(int, COLLATIONPROPERTY(v.name, 'CodePage')) <> CONVERT(int, COLLATIONPROPERTY(CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')), 'CodePage'))`

/** What columns that hold values have, with the columns that have it. */
const users = (schema: Schema, of: (column: Column) => string | null): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  for (const table of schema.tables) {
    for (const column of table.columns) {
      const name = column.computed === null ? of(column) : null
      if (name === null) continue
      const list = found.get(name) ?? []
      list.push(`${fullName(table.name)}.${column.name}`)
      found.set(name, list)
    }
  }
  return found
}

const MOST_NAMED = 3

async function unknownTo(
  session: Session,
  condition: string,
  wanted: ReadonlyMap<string, readonly string[]>,
): Promise<readonly (readonly [name: string, where: string])[]> {
  const unknown: (readonly [string, string])[] = []
  for (const names of chunks([...wanted.keys()], rowsPerStatement(1))) {
    const values = names.map((_, at) => `(@p${at})`).join(', ')
    const rows = await session.ask(
      z.object({ name: z.string() }),
      `SELECT v.name AS [name] FROM (VALUES ${values}) AS v(name) WHERE ${condition}`,
      names,
    )
    for (const { name } of rows) {
      const columns = wanted.get(name) ?? []
      const more = columns.length - MOST_NAMED
      unknown.push([name, `${columns.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`])
    }
  }
  return unknown
}
