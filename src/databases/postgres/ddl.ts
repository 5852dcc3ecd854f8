import type { Statement } from '../port.ts'
import { type Column, fullName, type Identity, type Schema, type SchemaObject, type Table } from '../schema.ts'
import { quoteName, quoteTable } from './values.ts'

/** Objects of tables, which stand before the foreign keys: a foreign key may rest on a unique index. */
const BEFORE_FOREIGN_KEYS = new Set(['check', 'exclusion', 'index', 'statistics', 'table options'])

/** See the port. Pure. */
export function ddl(schema: Schema): readonly Statement[] {
  const after = schema.objects.filter((object) => object.stage === 'after')
  return [
    ...schema.objects.filter((object) => object.stage === 'before').map(objectStatement),
    ...schema.tables.map((table) => tableStatement(table, schema.identities)),
    ...schema.tables.flatMap(keyStatements),
    ...after.filter((object) => BEFORE_FOREIGN_KEYS.has(object.kind)).map(objectStatement),
    ...schema.foreignKeys.map((key): Statement => {
      const alter = `ALTER TABLE ${quoteTable(key.table)}`
      return {
        name: `foreign key ${fullName(key.table)}.${key.name}`,
        stage: 'after',
        sql: `${alter} ADD CONSTRAINT ${quoteName(key.name)} ${key.sql}`,
        undo: `${alter} DROP CONSTRAINT ${quoteName(key.name)}`,
      }
    }),
    ...after.filter((object) => !BEFORE_FOREIGN_KEYS.has(object.kind)).map(objectStatement),
  ]
}

const objectStatement = (object: SchemaObject): Statement => ({
  name: `${object.kind} ${object.name}`,
  stage: object.stage,
  sql: object.sql,
  undo: object.undo,
})

function tableStatement(table: Table, identities: readonly Identity[]): Statement {
  const name = fullName(table.name)
  const columns = table.columns.map((column) => {
    const identity = identities.find(
      (each) => each.kind === 'column' && fullName(each.table) === name && each.column === column.name,
    )
    return `  ${columnDefinition(column, identity)}`
  })
  return {
    name: `table ${name}`,
    stage: 'before',
    sql: `CREATE TABLE ${quoteTable(table.name)} (\n${columns.join(',\n')}\n)`,
    undo: `DROP TABLE ${quoteTable(table.name)}`,
  }
}

function columnDefinition(column: Column, identity: Identity | undefined): string {
  const parts = [quoteName(column.name), column.type]
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`)
  if (!column.nullable) parts.push('NOT NULL')
  if (column.computed !== null)
    parts.push(`GENERATED ALWAYS AS (${column.computed.sql}) ${column.computed.stored ? 'STORED' : 'VIRTUAL'}`)
  else if (column.identity !== null) parts.push(identityClause(column.identity, identity))
  else if (column.default !== null) parts.push(`DEFAULT ${column.default.sql}`)
  return parts.join(' ')
}

function identityClause(kind: 'always' | 'by-default', identity: Identity | undefined): string {
  const clause = `GENERATED ${kind === 'always' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY`
  if (identity === undefined) return clause
  const { sequence, seed, increment, minimum, maximum } = identity
  const name = sequence === null ? '' : `SEQUENCE NAME ${quoteTable(sequence)} `
  return `${clause} (${name}START WITH ${seed} INCREMENT BY ${increment} MINVALUE ${minimum} MAXVALUE ${maximum})`
}

function keyStatements(table: Table): readonly Statement[] {
  const keys = table.primaryKey === null ? table.uniqueKeys : [table.primaryKey, ...table.uniqueKeys]
  return keys.map((key) => ({
    name: `${key === table.primaryKey ? 'primary key' : 'unique key'} ${fullName(table.name)}.${key.name}`,
    stage: 'after',
    sql: `ALTER TABLE ${quoteTable(table.name)} ADD CONSTRAINT ${quoteName(key.name)} ${key.sql}`,
    undo: null,
  }))
}
