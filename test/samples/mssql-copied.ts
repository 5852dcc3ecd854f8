import { quoteName, quoteNames, quoteText } from '../../src/databases/mssql/names.ts'

/** Rows to a statement: INSERT takes 1,000 at most ("Table Value Constructor (Transact-SQL)"). */
const ROWS = 500

/**
 * Sakila's rows as jOOQ/sakila has them for PostgreSQL's COPY, as batches for the tables of its schema for SQL Server: the same rows, in 3 MB
 * instead of 8. What that schema hasn't (`fulltext`, `activebool`) is left out, and what it has in another form is put so.
 */
export function copiedRows(script: string): readonly string[] {
  const copies = [...script.matchAll(/^COPY public\.(\w+) \(([^)]*)\) FROM stdin;\n([\s\S]*?)^\\\.$/gm)].map(
    ([, table = '', columns = '', lines = '']) => ({
      table,
      columns: columns.split(', '),
      lines: lines.split('\n').slice(0, -1),
    }),
  )
  const tables = [...new Set(copies.map(({ table }) => quoteName(table)))]
  return [
    tables.map((table) => `ALTER TABLE ${table} NOCHECK CONSTRAINT ALL`).join('\n'),
    ...copies.flatMap(({ table, columns, lines }) => insertsOf(table, columns, lines)),
    tables.map((table) => `ALTER TABLE ${table} WITH CHECK CHECK CONSTRAINT ALL`).join('\n'),
  ]
}

function insertsOf(table: string, columns: readonly string[], lines: readonly string[]): readonly string[] {
  const kept = columns.filter((column) => !LEFT_OUT.has(column))
  const rows = lines.map((line) => {
    const cells = line.split('\t')
    return `(${kept.map((column) => literal(`${table}.${column}`, cells[columns.indexOf(column)])).join(', ')})`
  })
  const numbered = columns.includes(`${table}_id`)
  const batches: string[] = []
  for (let at = 0; at < rows.length; at += ROWS) {
    const insert = `INSERT INTO ${quoteName(table)} (${quoteNames(kept)}) VALUES\n${rows.slice(at, at + ROWS).join(',\n')}`
    const set = `SET IDENTITY_INSERT ${quoteName(table)}`
    batches.push(numbered ? `${set} ON\n${insert}\n${set} OFF` : insert)
  }
  return batches
}

const LEFT_OUT = new Set(['fulltext', 'activebool'])

function literal(place: string, cell: string | undefined): string {
  if (cell === undefined || cell === '\\N') return 'NULL'
  if (place === 'staff.active') return cell === 't' ? '1' : '0'
  if (place === 'staff.picture') return cell.replace(/^\\\\x/, '0x')
  if (place === 'film.special_features') return quoteText(cell.replaceAll(/[{}"]/g, ''))
  return quoteText(cell)
}
