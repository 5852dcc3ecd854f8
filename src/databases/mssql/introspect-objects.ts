import { z } from 'zod'
import type { Identity, SchemaObject, Table, TableName } from '../schema.ts'
import { fullName } from '../schema.ts'
import { rangeOf, rangeOfColumn } from './introspect-columns.ts'
import { sequenceJump } from './jumps.ts'
import { BLANK, NAME, partsOf, quoteName, quoteTable, sameName } from './names.ts'
import { withoutDatabase } from './own-name.ts'
import type { Session } from './session.ts'

/** Schemas that every database has: "sys.schemas", and the fixed database roles' own. */
const BUILT_IN = new Set([
  'dbo',
  'guest',
  'sys',
  'information_schema',
  'db_owner',
  'db_accessadmin',
  'db_securityadmin',
  'db_ddladmin',
  'db_backupoperator',
  'db_datareader',
  'db_datawriter',
  'db_denydatareader',
  'db_denydatawriter',
])

const object = (
  kind: string,
  name: string,
  sql: string,
  undo: string | null,
  stage: 'before' | 'after' = 'before',
): SchemaObject => ({
  kind,
  name,
  stage,
  sql,
  undo,
})

export async function readSchemas(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(z.object({ name: z.string() }), 'SELECT name AS [name] FROM sys.schemas ORDER BY name')
  return rows
    .filter((row) => !BUILT_IN.has(row.name.toLowerCase()))
    .map((row) => object('schema', row.name, `CREATE SCHEMA ${quoteName(row.name)}`, `DROP SCHEMA ${quoteName(row.name)}`))
}

const sequenceRow = z.object({
  schema: z.string(),
  name: z.string(),
  type: z.string(),
  precision: z.number(),
  start: z.string(),
  increment: z.string(),
  minimum: z.string(),
  maximum: z.string(),
  cycling: z.boolean(),
  cached: z.boolean(),
  cache: z.number().nullable(),
})
export type SequenceRow = z.infer<typeof sequenceRow>

/** "sys.sequences". */
export async function readSequences(
  session: Session,
  tables: readonly Table[],
): Promise<{ readonly objects: readonly SchemaObject[]; readonly identities: readonly Identity[] }> {
  const rows = await session.ask(
    sequenceRow,
    `SELECT s.name AS [schema], q.name AS [name], ty.name AS [type], CONVERT(int, q.precision) AS [precision],
  CONVERT(nvarchar(40), q.start_value) AS [start], CONVERT(nvarchar(40), q.increment) AS [increment],
  CONVERT(nvarchar(40), q.minimum_value) AS [minimum], CONVERT(nvarchar(40), q.maximum_value) AS [maximum],
  q.is_cycling AS [cycling], q.is_cached AS [cached], q.cache_size AS [cache]
FROM sys.sequences q
JOIN sys.schemas s ON s.schema_id = q.schema_id
JOIN sys.types ty ON ty.user_type_id = q.system_type_id
ORDER BY s.name, q.name`,
  )
  return {
    objects: rows.map((row) => object('sequence', fullName(row), sequenceSql(row), `DROP SEQUENCE ${quoteTable(row)}`)),
    identities: rows.flatMap((row) => sequenceIdentities(row, tables)),
  }
}

export function sequenceSql(row: SequenceRow): string {
  const type = row.type === 'decimal' || row.type === 'numeric' ? `${row.type}(${row.precision},0)` : row.type
  // CACHE is the default; without a size the server chooses it.
  const cache = row.cached ? (row.cache === null ? '' : ` CACHE ${row.cache}`) : ' NO CACHE'
  return `CREATE SEQUENCE ${quoteTable(row)} AS ${type} START WITH ${row.start} INCREMENT BY ${row.increment} MINVALUE ${row.minimum} MAXVALUE ${row.maximum} ${row.cycling ? 'CYCLE' : 'NO CYCLE'}${cache}`
}

/** A sequence numbers every column whose default takes its next value; one that numbers none stands for itself. */
export function sequenceIdentities(row: SequenceRow, tables: readonly Table[]): readonly Identity[] {
  const sequence: TableName = { schema: row.schema, name: row.name }
  const users = tables.flatMap((table) =>
    table.columns
      .filter((column) => column.default !== null && takesFrom(sequence, column.default.sql))
      .map((column) => ({ table: table.name, column: column.name, range: rangeOfColumn(column.codec) })),
  )
  const [minimum, maximum] = rangeOf(row.type, row.precision)
  const own = [row.minimum === '' ? minimum : row.minimum, row.maximum === '' ? maximum : row.maximum] as const
  const numbered = users.length === 0 ? [{ table: sequence, column: '', range: own }] : users
  return numbered.map(({ table, column, range }) => ({
    kind: 'sequence',
    table,
    column,
    sequence,
    seed: row.start,
    increment: row.increment,
    // A column may end before the sequence that numbers it.
    minimum: BigInt(range[0]) > BigInt(own[0]) ? range[0] : own[0],
    maximum: BigInt(range[1]) < BigInt(own[1]) ? range[1] : own[1],
    jump: sequenceJump(row),
    ...(row.cycling ? { cycles: true } : {}),
  }))
}

const TAKES = new RegExp(`NEXT${BLANK}+VALUE${BLANK}+FOR${BLANK}+(${NAME})`, 'giu')

/**
 * Whether SQL text takes the sequence's next value ("NEXT VALUE FOR (Transact-SQL)"). The schema may be left out, as it was when the default
 * was made; which one was meant then isn't told, and any of the name counts: to raise one too many harms nobody.
 */
function takesFrom(sequence: TableName, sql: string): boolean {
  return [...sql.matchAll(TAKES)].some(([, name = '']) => {
    const parts = partsOf(name)
    const schema = parts.at(-2)
    return sameName(parts.at(-1) ?? '', sequence.name) && (schema === undefined || sameName(schema, sequence.schema))
  })
}

export async function readSynonyms(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string(), target: z.string() }),
    `SELECT s.name AS [schema], y.name AS [name], y.base_object_name AS [target]
FROM sys.synonyms y JOIN sys.schemas s ON s.schema_id = y.schema_id
WHERE y.is_ms_shipped = 0
ORDER BY s.name, y.name`,
  )
  return rows.map((row) =>
    object(
      'synonym',
      fullName(row),
      `CREATE SYNONYM ${quoteTable(row)} FOR ${withoutDatabase(row.target, session.where.database)}`,
      `DROP SYNONYM ${quoteTable(row)}`,
      'after',
    ),
  )
}
