import { MigrateError } from '../../src/base/errors.ts'
import type { Block, PrintedRow, Printing, Reader, ReadOptions, Row, WholePrintedRow } from '../../src/databases/port.ts'
import { fullName, keyPositions, type Table } from '../../src/databases/schema.ts'
import { project } from './memory-language.ts'
import type { CallHook } from './memory-options.ts'
import { printer, sumOf } from './memory-prints.ts'
import { blockOf, rowsIn } from './memory-rows.ts'
import type { MemoryServer } from './memory-server.ts'
import type { MemoryState, MemoryTable } from './memory-state.ts'

interface ReaderContext {
  readonly server: MemoryServer
  /** The snapshot that the reader sees; `undefined`: whatever is committed. */
  readonly frozen: MemoryState | undefined
  readonly fingerprints: boolean
  readonly onCall: CallHook
}

export async function hooked<T>(onCall: CallHook, operation: string, effect: () => Promise<T> | T): Promise<T> {
  await onCall(operation, 'before')
  const result = await effect()
  await onCall(operation, 'after')
  return result
}

export function heldIn(state: MemoryState, table: Table): MemoryTable {
  const held = state.tables.get(fullName(table.name))
  if (held === undefined) throw new MigrateError('database-statement-failed', `there is no table ${fullName(table.name)}`)
  return held
}

export function readerOn(context: ReaderContext): Reader {
  return {
    consistent: context.frozen !== undefined,
    rows: (table, options) => rows(context, 'rows', table, options ?? {}),
    ...(context.server.options.bulk ? bulkPowers(context) : {}),
    ...(context.fingerprints ? printingPowers(context) : {}),
  }
}

const held = ({ frozen, server }: ReaderContext, table: Table): MemoryTable => heldIn(frozen ?? server.state, table)

async function* rows(
  context: ReaderContext,
  operation: string,
  table: Table,
  options: ReadOptions,
): AsyncGenerator<readonly Row[]> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  let after = options.after
  for (let done = 0; done < limit; ) {
    options.signal?.throwIfAborted()
    await context.onCall(operation, 'before')
    const stored = held(context, table)
    const inRange = rowsIn(context.server, stored, after, options.upTo)
    const from = stored.table.key.length === 0 ? done : 0
    const batch = inRange.slice(from, from + Math.min(context.server.options.batchRows, limit - done))
    if (batch.length === 0) return
    done += batch.length
    const last = batch.at(-1)
    after = last === undefined || stored.table.key.length === 0 ? after : keyPositions(stored.table).map((at) => last[at] ?? null)
    yield project(stored.table, table, batch)
    await context.onCall(operation, 'after')
  }
}

const bulkPowers = (context: ReaderContext): Required<Pick<Reader, 'blocks' | 'boundary'>> => ({
  async *blocks(table, options = {}): AsyncGenerator<Block> {
    for await (const batch of rows(context, 'rows', table, options)) yield blockOf(batch)
  },
  boundary: (table, count, after, signal) =>
    hooked(context.onCall, 'boundary', () => {
      signal?.throwIfAborted()
      const stored = held(context, table)
      const row = rowsIn(context.server, stored, after, undefined)[count - 1]
      return row === undefined ? undefined : keyPositions(stored.table).map((at) => row[at] ?? null)
    }),
})

const printingPowers = (context: ReaderContext): Required<Pick<Reader, 'sum' | 'sums' | 'prints' | 'printsWithin'>> => ({
  sum: (table, printing, { after, upTo, signal } = {}) =>
    hooked(context.onCall, 'sum', () => {
      signal?.throwIfAborted()
      const stored = held(context, table)
      return sumOf(table, printing, project(stored.table, table, rowsIn(context.server, stored, after, upTo)))
    }),
  sums: (table, printing, ranges, signal) =>
    hooked(context.onCall, 'sums', () => {
      signal?.throwIfAborted()
      const stored = held(context, table)
      return ranges.map(({ after, upTo }) =>
        sumOf(table, printing, project(stored.table, table, rowsIn(context.server, stored, after, upTo))),
      )
    }),
  prints: (table, printing, options) => prints(context, table, printing, options ?? {}),
  async *printsWithin(table, printing, ranges, signal) {
    signal?.throwIfAborted()
    await context.onCall('printsWithin', 'before')
    const stored = held(context, table)
    const print = printer(table, printing)
    for (const { after, upTo } of ranges)
      yield project(stored.table, table, rowsIn(context.server, stored, after, upTo)).map((row) => withoutRow(print(row)))
    await context.onCall('printsWithin', 'after')
  },
})

async function* prints(
  context: ReaderContext,
  table: Table,
  printing: Printing,
  options: ReadOptions,
): AsyncGenerator<readonly PrintedRow[]> {
  const print = printer(table, printing)
  for await (const batch of rows(context, 'prints', table, options)) {
    yield batch.map((row) => withoutRow(print(row)))
  }
}

const withoutRow = ({ row: _whole, ...printed }: WholePrintedRow): PrintedRow => printed
