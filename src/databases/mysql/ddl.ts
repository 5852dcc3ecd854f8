import type { Statement } from '../port.ts'
import { type ForeignKey, fullName, type Schema, type SchemaObject } from '../schema.ts'
import { quoteName, quoteTable } from './values.ts'

/** What belongs to a table and must be there before its foreign keys. */
const OF_TABLES = new Set(['engine', 'indexes', 'index'])

/** See the port. Pure. Sequences come before the tables whose defaults use them. */
export function ddl(schema: Schema): readonly Statement[] {
  const names = new Set(schema.tables.map((table) => fullName(table.name)))
  const before = schema.objects.filter((object) => object.stage === 'before')
  const after = schema.objects.filter((object) => object.stage === 'after')
  const isTable = (object: SchemaObject): boolean => object.kind === 'table'
  return [
    ...before.filter((object) => !isTable(object)).map(objectStatement),
    ...before.filter((object) => isTable(object) && names.has(object.name)).map(objectStatement),
    ...after.filter((object) => OF_TABLES.has(object.kind)).map(objectStatement),
    ...[...Map.groupBy(schema.foreignKeys, (key) => fullName(key.table)).values()].map(foreignKeyStatement),
    ...after.filter((object) => !OF_TABLES.has(object.kind)).map(objectStatement),
  ]
}

const objectStatement = (object: SchemaObject): Statement => ({
  name: `${object.kind} ${object.name}`,
  stage: object.stage,
  sql: object.sql,
  undo: object.undo,
  ...(object.table === undefined ? {} : { table: object.table }),
})

/** A table's foreign keys all at once, without the server's way of looking at the rows: see `proveReferences`. */
function foreignKeyStatement(keys: readonly ForeignKey[]): Statement {
  const table = quoteTable(keys[0]?.table ?? { schema: '', name: '' })
  const names = keys.map((key) => key.name)
  return {
    name: `foreign key ${fullName(keys[0]?.table ?? { schema: '', name: '' })}.${names.join(', ')}`,
    stage: 'after',
    sql: `SET SESSION foreign_key_checks = 0;\nALTER TABLE ${table} ${keys.map((key) => `ADD CONSTRAINT ${quoteName(key.name)} ${key.sql}`).join(', ')}`,
    undo: `ALTER TABLE ${table} ${names.map((name) => `DROP FOREIGN KEY ${quoteName(name)}`).join(', ')}`,
  }
}
