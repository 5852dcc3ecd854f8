import type { Statement } from '../port.ts'
import { type Column, fullName, type Identity, type Schema, type SchemaObject, type Table, type TableName } from '../schema.ts'
import { quoteName, quoteTable } from './names.ts'
import { callsFunction, inCreationOrder } from './order.ts'

/**
 * The statements that create a schema. Keys come after the rows, then indexes and checks, then foreign keys, then what the server
 * compiles: synonyms, views, functions, procedures, triggers; last of all checks that call these. An index that is built over its rows has
 * statistics of all of them, better than UPDATE STATISTICS would sample, and others are made when a query asks ("Statistics"): nothing is left
 * to analyse. Pure.
 */
export function ddl(schema: Schema): readonly Statement[] {
  const before = schema.objects.filter((each) => each.stage === 'before')
  const modules = before.filter(isModule)
  // Disabled indexes are made while the tables are empty.
  const onEmpty = before.filter((each) => each.kind === 'index')
  const after = schema.objects.filter((each) => each.stage === 'after')
  const late = after.filter((each) => each.kind === 'check' && callsFunction(each, schema.tables, schema.objects))
  const onTables = after.filter((each) => isTablePart(each, schema) && !late.includes(each))
  const rest = after.filter((each) => !isTablePart(each, schema))
  return [
    ...before.filter((each) => !onEmpty.includes(each) && !modules.includes(each)).map(objectStatement),
    ...inCreationOrder(schema.tables, modules).map((each) =>
      'table' in each ? tableStatement(each.table, schema.identities) : objectStatement(each.module),
    ),
    ...onEmpty.map(objectStatement),
    // A clustered index first: building it later would build every other index twice.
    ...onTables.filter(isClustered).map((each) => partStatement(each, schema)),
    ...schema.tables.flatMap(keyStatements),
    ...onTables.filter((each) => !isClustered(each)).map((each) => partStatement(each, schema)),
    ...schema.foreignKeys.map(
      (key): Statement => ({
        name: `foreign key ${fullName({ schema: key.table.schema, name: key.name })}`,
        stage: 'after',
        sql: key.sql,
        // A parent can't be dropped while it is referenced.
        undo: `ALTER TABLE ${quoteTable(key.table)} DROP CONSTRAINT ${quoteName(key.name)}`,
      }),
    ),
    ...rest.map(objectStatement),
    ...late.map(objectStatement),
  ]
}

const isModule = ({ kind }: SchemaObject): boolean => kind === 'function' || kind === 'view'

const tableStatement = (table: Table, identities: readonly Identity[]): Statement => ({
  name: `table ${fullName(table.name)}`,
  stage: 'before',
  sql: tableSql(table, identities),
  undo: `DROP TABLE ${quoteTable(table.name)}`,
})

const objectStatement = (each: SchemaObject): Statement => ({
  name: `${each.kind} ${each.name}`,
  stage: each.stage,
  sql: each.sql,
  undo: each.undo,
})

/** A key belongs to its table alone, and so does an index or check. */
const ofTable = (statement: Statement, table: TableName | undefined): Statement =>
  table === undefined ? statement : { ...statement, table }

const partStatement = (each: SchemaObject, schema: Schema): Statement =>
  ofTable(
    objectStatement(each),
    // A check may call a function that reads other tables.
    each.kind === 'index' ? schema.tables.find((table) => each.name.startsWith(`${fullName(table.name)}.`))?.name : undefined,
  )

const isClustered = (each: SchemaObject): boolean => each.kind === 'index' && /^CREATE (?:UNIQUE )?CLUSTERED /.test(each.sql)

/** Checks, and indexes of tables; an index of a view can only follow the view. */
const isTablePart = (each: SchemaObject, schema: Schema): boolean =>
  each.kind === 'check' ||
  (each.kind === 'index' && schema.tables.some((table) => each.name.startsWith(`${fullName(table.name)}.`)))

/** The clustered key first. */
function keyStatements(table: Table): readonly Statement[] {
  const keys = [
    ...(table.primaryKey === null ? [] : [{ kind: 'primary key', key: table.primaryKey }]),
    ...table.uniqueKeys.map((key) => ({ kind: 'unique key', key })),
  ].toSorted((a, b) => Number(isNonclustered(a.key.sql)) - Number(isNonclustered(b.key.sql)))
  return keys.map(({ kind, key }) => ({
    name: `${kind} ${fullName(table.name)}.${key.name}`,
    stage: 'after',
    sql: key.sql,
    undo: null,
    table: table.name,
  }))
}

const isNonclustered = (sql: string): boolean => / NONCLUSTERED /.test(sql)

/** CREATE TABLE with columns, defaults, identity and computed columns; everything else is added later. */
function tableSql(table: Table, identities: readonly Identity[]): string {
  const lines = table.columns.map((column) => {
    const identity = identities.find(
      (each) => each.kind === 'column' && fullName(each.table) === fullName(table.name) && each.column === column.name,
    )
    return columnSql(column, identity ?? null)
  })
  return `CREATE TABLE ${quoteTable(table.name)} (\n  ${lines.join(',\n  ')}\n)`
}

/** One column of CREATE TABLE ("CREATE TABLE (Transact-SQL)", column_definition). */
export function columnSql(column: Column, identity: Pick<Identity, 'seed' | 'increment'> | null): string {
  const name = quoteName(column.name)
  if (column.computed !== null) {
    const persisted = column.computed.stored ? ` PERSISTED${column.nullable ? '' : ' NOT NULL'}` : ''
    return `${name} AS ${column.computed.sql}${persisted}`
  }
  const [type, ...modifiers] = splitType(column.type)
  const parts = [
    name,
    type,
    // An alias type's collation is the database's own and can't be given.
    ...(column.collation === null || column.type.startsWith('[') ? [] : [`COLLATE ${column.collation}`]),
    ...modifiers.filter((modifier) => modifier !== NOT_FOR_REPLICATION),
    ...(column.identity === null ? [] : [`IDENTITY(${identity?.seed ?? '1'},${identity?.increment ?? '1'})`]),
    ...modifiers.filter((modifier) => modifier === NOT_FOR_REPLICATION),
    column.nullable ? 'NULL' : 'NOT NULL',
    ...defaultParts(column),
  ]
  return parts.join(' ')
}

const NOT_FOR_REPLICATION = 'NOT FOR REPLICATION'

/** `int SPARSE ROWGUIDCOL` → type and what stands after the collation. */
function splitType(type: string): readonly string[] {
  const match = /^(.*?)( SPARSE)?( ROWGUIDCOL)?( NOT FOR REPLICATION)?$/.exec(type)
  return [match?.[1] ?? type, ...(match?.slice(2) ?? []).flatMap((part) => (part === undefined ? [] : [part.trim()]))]
}

function defaultParts(column: Column): readonly string[] {
  if (column.default === null) return []
  const { name, sql } = column.default
  return [...(name === null ? [] : [`CONSTRAINT ${quoteName(name)}`]), `DEFAULT ${sql}`]
}
