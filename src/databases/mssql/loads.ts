import type { BlockLoad, Row } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import { type Held, isLargeRow, isRaw, unpack } from './blocks.ts'
import { underMark } from './execute.ts'
import { type Insert, insertTogether } from './insert.ts'
import { MOST_PARAMETERS } from './keys.ts'
import { loadRows, type RawLoading } from './load.ts'
import { ensureOwnTable, type Mark, setMarks } from './marks.ts'
import { MARKS_TABLE } from './names.ts'
import type { Session } from './session.ts'
import { type Untriggered, withoutTriggers } from './triggers.ts'

/** What loads into one database know of it. */
export interface Loading extends RawLoading {
  readonly untriggered: Untriggered
}

/** See the port. */
export const load = (session: Session, table: Table, rows: AsyncIterable<Held>, mark: Mark, known: Loading): Promise<number> =>
  underMark(session, mark, 0, () =>
    withoutTriggers(session, [table], () => loadRows(session, table, rows, known), known.untriggered),
  )

/** See the port. */
export const loadBlocks = (
  session: Session,
  table: Table,
  blocks: AsyncIterable<Buffer>,
  mark: Mark,
  known: Loading,
): Promise<number> => load(session, table, unpack(blocks), mark, known)

/** Rows of so many values are sent as parameters, together with those of other tables; of more, a bulk load is quicker. */
const MOST_SMALL_VALUES = MOST_PARAMETERS

/** See the port. */
export async function loadTogether(session: Session, loads: readonly BlockLoad[], known: Loading): Promise<readonly number[]> {
  const marks = await ensureOwnTable(session, MARKS_TABLE)
  return await session.transaction(true, async () => {
    const missing = await setMarks(
      session,
      marks,
      loads.map(({ mark }) => mark),
    )
    const wanted = loads.filter(({ mark }) => missing.has(mark.name))
    const counts = await withoutTriggers(
      session,
      wanted.map(({ table }) => table),
      () => loadAll(session, wanted, known),
      known.untriggered,
    )
    return loads.map(({ mark }) => counts.get(mark.name) ?? 0)
  })
}

/** Rows loaded, by mark. */
async function loadAll(session: Session, loads: readonly BlockLoad[], raw: RawLoading): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  const small: Insert[] = []
  for (const { table, blocks, mark } of loads) {
    const { rows, rest } = await takeSmall(readableColumns(table).length, unpack(blocks))
    if (rest === undefined) small.push({ table, rows })
    counts.set(mark.name, rest === undefined ? rows.length : await loadRows(session, table, chained(rows, rest), raw))
  }
  await insertTogether(session, small)
  return counts
}

/** All rows, or where they are many, the first of them and the `rest`. */
async function takeSmall(
  columns: number,
  batches: AsyncGenerator<Held>,
): Promise<{ readonly rows: readonly Row[]; readonly rest?: AsyncGenerator<Held> }> {
  const rows: Row[] = []
  for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
    if (isLargeRow(next.value) || isRaw(next.value)) return { rows, rest: chained(next.value, batches) }
    rows.push(...next.value)
    if (rows.length * columns > MOST_SMALL_VALUES) return { rows, rest: batches }
  }
  return { rows }
}

async function* chained(first: Held, rest: AsyncGenerator<Held>): AsyncGenerator<Held> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}
