import type { Clock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import type { Database, Row } from '../databases/port.ts'
import { byName, fullName, keyPositions, readableColumns, type Schema, type Table } from '../databases/schema.ts'
import type { Part } from '../databases/snapshot/manifest.ts'
import { ROWS_FORMAT } from '../databases/snapshot/rows-format.ts'
import { SnapshotStore } from '../databases/snapshot/store.ts'
import { directly } from '../run/step.ts'

/** So long a pass looks through the snapshot for what a person is to see beside both hosts' versions. */
const LOOK_MS = 20_000

export interface BaselineRowsOptions {
  /** The run's folder. */
  readonly directory: string
  /** Unpacks the blocks that it wrote. */
  readonly database: Database
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Rows by `keyText`, or a sentence that says why they can't be had. */
export type BaselineRows = (table: Table, keys: readonly string[]) => Promise<ReadonlyMap<string, Row> | string>

/**
 * Finds rows in the snapshot's files: that is how both hosts last had them. The files are in no order that a key could be found by, so
 * they are read from the first on, for a bounded time altogether. Read-only.
 */
export function baselineRows(options: BaselineRowsOptions): BaselineRows {
  const { directory, clock } = options
  const store = new SnapshotStore(directory, directly)
  const schema = store.schema()
  // Whoever asks first sees its failure; until then it is nobody's.
  schema.catch(() => undefined)
  let spentMs = 0
  return async (table, keys) => {
    if (spentMs >= LOOK_MS) return 'The snapshot is too large to look for every parked row in it.'
    const started = clock.monotonic()
    try {
      return await look({ ...options, store, schema: await schema, deadline: started + LOOK_MS - spentMs }, table, keys)
    } catch (error) {
      // What is only shown stops no row from being carried.
      if (!(error instanceof MigrateError)) throw error
      return `The snapshot can't be read: ${error.message}`
    } finally {
      spentMs += clock.monotonic() - started
    }
  }
}

interface Looking extends BaselineRowsOptions {
  readonly store: SnapshotStore
  readonly schema: Schema | undefined
  /** Monotonic, milliseconds. */
  readonly deadline: number
}

async function look(looking: Looking, table: Table, keys: readonly string[]): Promise<ReadonlyMap<string, Row> | string> {
  const { store, database, clock, signal, deadline } = looking
  const saved = byName(looking.schema?.tables ?? [], (each) => fullName(each.name))(fullName(table.name))
  if (saved === undefined) return 'The snapshot was made by other means, or is gone.'
  if (names(saved) !== names(table)) return 'The table has other columns than in the snapshot.'
  const wanted = new Set(keys)
  const found = new Map<string, Row>()
  const positions = keyPositions(saved)
  for (const part of await store.parts(saved)) {
    if (part.format !== ROWS_FORMAT && (part.format !== database.blockFormat || database.unpackBlock === undefined))
      return 'The snapshot is in a format that only its own server reads.'
    for await (const rows of rowsOf(looking, saved, part)) {
      signal.throwIfAborted()
      for (const row of rows) {
        const key = JSON.stringify(positions.map((position) => row[position] ?? null))
        if (wanted.has(key)) found.set(key, row)
      }
      if (found.size === wanted.size) return found
      if (clock.monotonic() > deadline) return 'The snapshot is too large to look for every parked row in it.'
    }
  }
  return found
}

async function* rowsOf({ store, database }: Looking, table: Table, part: Part): AsyncGenerator<readonly Row[]> {
  if (part.format === ROWS_FORMAT) {
    yield* store.rows(table, part)
    return
  }
  for await (const block of store.blocks(part)) yield database.unpackBlock?.(table, block) ?? []
}

const names = (table: Table): string =>
  readableColumns(table)
    .map((column) => column.name.toLowerCase())
    .join(' ')
