import type { Statement } from '../port.ts'
import { fullName, type Schema, type SchemaObject, type Table } from '../schema.ts'
import { createTable } from './creation.ts'
import { isLargeObjects, UNLINK_ALL } from './large-objects.ts'
import { quoteName, quoteTable } from './values.ts'

/** Objects of tables, which stand before the foreign keys: a foreign key may rest on a unique index. */
const BEFORE_FOREIGN_KEYS = new Set(['check', 'exclusion', 'index', 'statistics', 'table options', 'partition key', 'index part'])

/** See the port. Pure. */
export function ddl(schema: Schema): readonly Statement[] {
  const after = schema.objects.filter((object) => object.stage === 'after')
  const tables = after.findLastIndex((object) => BEFORE_FOREIGN_KEYS.has(object.kind)) + 1
  return [
    ...schema.objects.filter((object) => object.stage === 'before').map(objectStatement),
    ...schema.tables.flatMap((table) => tableStatements(table, schema)),
    ...schema.tables.flatMap(keyStatements),
    ...after.slice(0, tables).map(objectStatement),
    ...schema.foreignKeys.flatMap((key): readonly Statement[] => {
      if (key.sql === '') return []
      const alter = `ALTER TABLE ${quoteTable(key.table)}`
      return [
        {
          name: `foreign key ${fullName(key.table)}.${key.name}`,
          stage: 'after',
          sql: `${alter} ADD CONSTRAINT ${quoteName(key.name)} ${key.sql}`,
          undo: `${alter} DROP CONSTRAINT ${quoteName(key.name)}`,
        },
      ]
    }),
    ...after.slice(tables).map(objectStatement),
  ]
}

const objectStatement = (object: SchemaObject): Statement => ({
  name: `${object.kind} ${object.name}`,
  stage: object.stage,
  sql: object.sql,
  undo: object.undo,
  ...(object.table === undefined ? {} : { table: object.table, ...besideOthers(object) }),
})

/** CREATE INDEX takes a lock that others of its kind don't mind (documentation, "Table-Level Locks", SHARE). */
const besideOthers = ({ kind }: SchemaObject): Pick<Statement, 'beside'> => (kind === 'index' ? { beside: true } : {})

const tableStatements = (table: Table, { identities }: Schema): readonly Statement[] => [
  {
    name: `table ${fullName(table.name)}`,
    stage: 'before',
    sql: table.sql ?? createTable(table.name, table.columns, identities),
    undo: isLargeObjects(table) ? UNLINK_ALL : `DROP TABLE ${quoteTable(table.name)}`,
  },
  ...(table.partitions ?? []).map(
    ({ name, sql }): Statement => ({ name: `partition ${fullName(name)}`, stage: 'before', sql, undo: null }),
  ),
]

/** Of a partitioned table the key itself alone: those of its partitions are made by their own names and joined to it. */
function keyStatements(table: Table): readonly Statement[] {
  const keys = table.primaryKey === null ? table.uniqueKeys : [table.primaryKey, ...table.uniqueKeys]
  return keys.map((key) => ({
    name: `${key === table.primaryKey ? 'primary key' : 'unique key'} ${fullName(table.name)}.${key.name}`,
    stage: 'after',
    sql: `ALTER TABLE ONLY ${quoteTable(table.name)} ADD CONSTRAINT ${quoteName(key.name)} ${key.sql}`,
    undo: null,
    // A part of a table is tied to its whole.
    ...(table.partitions === undefined && table.sql === undefined ? { table: table.name } : {}),
  }))
}
