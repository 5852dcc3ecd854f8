import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database, LedgerEntry, Row } from '../../src/databases/port.ts'
import { type Column, fullName, ORDINARY, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { type CompareOptions, compareTables } from '../../src/reconcile/compare.ts'
import type { DifferentCopies, DifferentRow, TableComparison } from '../../src/reconcile/difference.ts'
import { printingFor } from '../../src/reconcile/printing.ts'
import { MemoryServer } from '../fakes/memory-server.ts'
import { keyOf } from '../fakes/memory-state.ts'

export const column = (name: string, codec: 'integer' | 'text' = 'text'): Column => ({
  name,
  type: codec === 'integer' ? 'bigint' : 'text',
  codec,
  ...ORDINARY,
})

export const tableOf = (key: readonly string[], columns: readonly Column[]): Table => ({
  name: { schema: '', name: 'things' },
  columns,
  primaryKey: key.length === 0 ? null : { name: 'pk', columns: key, sql: '' },
  uniqueKeys: [],
  key,
  triggers: [],
})

/** A server with one table that holds these rows. */
export async function serverWith(table: Table, rows: readonly Row[], options: { readonly batchRows?: number } = {}) {
  const server = new MemoryServer(options)
  await server.transaction([], (work) => {
    work.createTable(table)
    work.insert(fullName(table.name), rows)
  })
  return server
}

/** Makes the table hold just these rows, as a shop would that had time to. */
export const fill = (server: MemoryServer, table: Table, rows: readonly Row[]): Promise<void> =>
  server.transaction([], (work) => {
    const name = fullName(table.name)
    work.delete(name, [...work.table(name).rows.keys()])
    work.insert(name, rows)
  })

export const change = (server: MemoryServer, table: Table, row: Row): Promise<void> =>
  server.transaction([], (work) => work.update(fullName(table.name), row))

export const remove = (server: MemoryServer, table: Table, row: Row): Promise<number> =>
  server.transaction([], (work) => work.delete(fullName(table.name), [keyOf(table, row)]))

export const add = (server: MemoryServer, table: Table, rows: readonly Row[]): Promise<void> =>
  server.transaction([], (work) => work.insert(fullName(table.name), rows))

export const noted = (server: MemoryServer, entries: readonly LedgerEntry[]): Promise<void> =>
  server.transaction([], (work) => {
    work.ledger = [...(work.ledger ?? []), ...entries]
  })

/** The figures of a comparison, and all that it yields. */
export interface Found extends Pick<TableComparison, 'sourceRows' | 'targetRows' | 'same' | 'inStep' | 'read'> {
  readonly rows: readonly DifferentRow[]
  readonly copies: readonly DifferentCopies[]
}

export interface Meeting {
  readonly source: Database
  readonly target: Database
  readonly table: Table
  /** The source's, where it is another. */
  readonly sourceTable?: Table
  readonly directory: string
  readonly rules?: Parameters<typeof printingFor>[1]
}

const optionsOf = ({ source, target, directory, rules }: Meeting): CompareOptions => ({
  directory,
  run: 'run-1',
  source,
  target,
  printingOf: (table) => printingFor(table, rules ?? { ignore: [] }),
  firstRows: 8,
})

const found = (comparison: TableComparison): Found => {
  const { sourceRows, targetRows, same, inStep, read } = comparison
  return { sourceRows, targetRows, same, inStep, read, rows: [...comparison.differences()], copies: [...comparison.copies()] }
}

export async function compared(meeting: Meeting): Promise<Found> {
  const all: Found[] = []
  await compareTables(optionsOf(meeting), [[meeting.sourceTable ?? meeting.table, meeting.table]], (comparison) => {
    all.push(found(comparison))
  })
  const [only] = all
  if (only === undefined || all.length !== 1) throw new Error(`${all.length} tables were compared`)
  return only
}

/** A folder of a run, for as long as `work` takes. */
export async function withFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-compare-'))
  try {
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** A folder of a run with a baseline of the table, in small leaves. */
export const withBaseline = <T>(
  meeting: Omit<Meeting, 'directory'> & { readonly leafRows?: number },
  work: (directory: string) => Promise<T>,
): Promise<T> =>
  withFolder(async (directory) => {
    await takeBaseline({
      directory,
      database: meeting.target,
      peer: meeting.source,
      tables: [meeting.table],
      printingOf: (table) => printingFor(table, meeting.rules ?? { ignore: [] }),
      leafRows: meeting.leafRows ?? 4,
    })
    return await work(directory)
  })
