import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Database } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { baselinePath, baselineTables, fingerprintTable } from './baseline.ts'
import { classify, type Difference, type Print } from './classify.ts'
import { stateOf } from './difference.ts'
import { RowReader } from './fingerprint.ts'
import { FingerprintTable } from './fingerprint-table.ts'

export interface CompareOptions {
  /** The run's folder, where the baseline is. */
  readonly directory: string
  readonly run: string
  /** Where rows are carried from, and to: old and new, or the other way round. */
  readonly source: Database
  readonly target: Database
  readonly ignore: (table: Table) => readonly string[]
  readonly signal?: AbortSignal
  /** Rows read, of this table, on both sides together. */
  readonly onRows?: (table: Table, rows: number) => void
}

export interface DifferentRow {
  readonly key: string
  readonly difference: Difference
  readonly base: Print
  readonly source: Print
  readonly target: Print
}

export interface TableComparison {
  readonly table: Table
  /** Rows on the source now. */
  readonly sourceRows: number
  /** Of these, how many are on the target with the same content. */
  readonly same: number
  /** All others, in the key's text order. To be read before the next table is compared. */
  differences(): IterableIterator<DifferentRow>
}

/**
 * Compares one table after the other: source now, target now, and what both last had in common (the baseline, or what was carried
 * since). The fingerprints go through a private SQLite file that is gone with the process: memory doesn't grow with the data and
 * nothing is written where anybody looks. Order and collation of the servers don't matter.
 * `visit` gets each table in turn.
 */
export async function compareTables(
  options: CompareOptions,
  tables: readonly (readonly [Table, Table])[],
  visit: (comparison: TableComparison) => void | Promise<void>,
): Promise<void> {
  const scratch = new DatabaseSync('')
  try {
    scratch.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536')
    const baseline = await baselineTables(options.directory)
    if (baseline.size > 0) scratch.exec(`ATTACH '${fileUri(baselinePath(options.directory))}' AS baseline`)
    for (const [sourceTable, targetTable] of tables) {
      options.signal?.throwIfAborted()
      const ordinal = baseline.get(fullName(targetTable.name))?.ordinal
      const base = ordinal === undefined ? 'no_base' : `baseline.${fingerprintTable(ordinal)}`
      emptied(scratch, 'no_base').end()
      await readCarried(scratch, options, targetTable)
      await readSide(scratch, 'source_rows', options.source, sourceTable, options)
      await readSide(scratch, 'target_rows', options.target, targetTable, options)
      await visit(comparison(scratch, targetTable, base))
    }
  } finally {
    scratch.close()
  }
}

const fileUri = (path: string): string => `${pathToFileURL(path).href.replaceAll("'", '%27')}?mode=ro`

function emptied(scratch: DatabaseSync, name: string): FingerprintTable {
  scratch.exec(`DROP TABLE IF EXISTS ${name}`)
  return new FingerprintTable(scratch, name)
}

/** What earlier passes carried is the new common ground for its rows; '' stands for a carried deletion. */
async function readCarried(scratch: DatabaseSync, options: CompareOptions, table: Table): Promise<void> {
  const carried = emptied(scratch, 'carried')
  for (const host of [options.source, options.target]) {
    for (const entry of await host.ledgerEntries(options.run, fullName(table.name)))
      carried.add(entry.sourceKey, stateOf(entry.sourceState)?.print ?? '')
  }
  carried.end()
}

async function readSide(
  scratch: DatabaseSync,
  into: string,
  database: Database,
  table: Table,
  options: CompareOptions,
): Promise<void> {
  const reader = new RowReader(table, options.ignore(table))
  const rows = emptied(scratch, into)
  scratch.exec('BEGIN')
  await database.read(1, async ([source]) => {
    for await (const batch of source.rows(table, options.signal ? { signal: options.signal } : {})) {
      options.signal?.throwIfAborted()
      for (const row of batch) rows.add(reader.key(row), reader.hash(row))
      options.onRows?.(table, batch.length)
    }
  })
  rows.end()
  scratch.exec('COMMIT')
}

function comparison(scratch: DatabaseSync, table: Table, base: string): TableComparison {
  const count = (sql: string): number => Number(scratch.prepare(sql).get()?.n ?? 0)
  return {
    table,
    sourceRows: count('SELECT count(*) AS n FROM source_rows'),
    same: count('SELECT count(*) AS n FROM source_rows AS s JOIN target_rows AS t ON t.key = s.key AND t.hash = s.hash'),
    *differences() {
      for (const row of scratch.prepare(differencesSql(base)).iterate()) {
        const prints = { base: print(row.base), source: print(row.source), target: print(row.target) }
        const difference = classify(prints.base, prints.source, prints.target)
        if (difference !== undefined) yield { key: String(row.key), difference, ...prints }
      }
    },
  }
}

/** SQLite's '' is a carried deletion: the common ground has no such row. */
const print = (value: unknown): Print => (typeof value === 'string' && value !== '' ? value : null)

/** Every key that differs: those on the source, then those that the common ground has and the source no longer. */
const differencesSql = (base: string): string => `
  SELECT s.key AS key, coalesce(c.hash, b.hash) AS base, s.hash AS source, t.hash AS target
    FROM source_rows AS s
    LEFT JOIN carried AS c ON c.key = s.key
    LEFT JOIN ${base} AS b ON b.key = s.key
    LEFT JOIN target_rows AS t ON t.key = s.key
   WHERE t.hash IS NULL OR t.hash <> s.hash
  UNION ALL
  SELECT k.key, coalesce(c.hash, b.hash), NULL, t.hash
    FROM (SELECT key FROM ${base} UNION SELECT key FROM carried) AS k
    LEFT JOIN carried AS c ON c.key = k.key
    LEFT JOIN ${base} AS b ON b.key = k.key
    LEFT JOIN target_rows AS t ON t.key = k.key
    LEFT JOIN source_rows AS s ON s.key = k.key
   WHERE s.key IS NULL AND t.hash IS NOT NULL
   ORDER BY 1`
