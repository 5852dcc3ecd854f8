import { type Column, fullName, type Identity, type TableName } from '../schema.ts'
import { quoteName, quoteTable } from './values.ts'

/** A column with the name that somebody chose for its NOT NULL, which has one from PostgreSQL 18 on. */
export type SpelledColumn = Column & { readonly notNullName?: string | null }

/** CREATE TABLE with these columns. `clause`: what follows them, such as PARTITION BY. */
export function createTable(
  name: TableName,
  columns: readonly SpelledColumn[],
  identities: readonly Identity[],
  clause = '',
): string {
  const own = identities.filter((each) => each.kind === 'column' && fullName(each.table) === fullName(name))
  const lines = columns.map(
    (column) =>
      `  ${columnDefinition(
        column,
        own.find((each) => each.column === column.name),
      )}`,
  )
  return `CREATE TABLE ${quoteTable(name)} (\n${lines.join(',\n')}\n)${clause}`
}

function columnDefinition(column: SpelledColumn, identity: Identity | undefined): string {
  const parts = [quoteName(column.name), column.type]
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`)
  if (!column.nullable && typeof column.notNullName === 'string') parts.push(`CONSTRAINT ${quoteName(column.notNullName)}`)
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
