import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { inTurns } from '../base/turns.ts'
import { formatCount } from '../base/units.ts'
import { keyOnly, loadMark } from '../databases/plan/restore.ts'
import type { Database, OrphanRule } from '../databases/port.ts'
import { fullName, type Schema, type Table } from '../databases/schema.ts'
import { isFuzzy, type Manifest, type Part, rowsOf } from '../databases/snapshot/manifest.ts'
import { partLimits } from '../databases/snapshot/part.ts'
import { ROWS_FORMAT } from '../databases/snapshot/rows-format.ts'
import type { SnapshotStore } from '../databases/snapshot/store.ts'
import type { StepRun } from '../run/step.ts'
import { type FedPart, PartFeed } from './part-feed.ts'

/** Rows of each table as restored, before the new host's first write: `{name: rows}`. */
export const RESTORED_KEY = 'rows-restored'
/** Where the new host's identities stood then: `{name: last}`. */
export const RESTORED_IDENTITIES_KEY = 'identities-restored'
/** Rows removed because their parent was gone: `{name: rows}`. */
export const ORPHANS_KEY = 'orphans-removed'

const countsSchema = z.record(z.string(), z.number()).nullable()

/** Rows by table as remembered under a key; `undefined` when there is nothing. */
export const recallCounts = (run: StepRun, key: string): Readonly<Record<string, number>> | undefined =>
  countsSchema.parse(run.recall(key) ?? null) ?? undefined

export interface LoadOptions {
  readonly run: StepRun
  readonly database: Database
  readonly store: SnapshotStore
  readonly tables: readonly Table[]
  readonly connections: number
  /** Rows that there will be, as far as is known while the snapshot is still being taken. */
  readonly estimatedRows: number
}

/**
 * Loads every part that isn't marked as loaded, several side by side, each exactly once, until the snapshot is complete and all of it
 * stands. Ends when all have stopped.
 */
export async function loadParts(options: LoadOptions): Promise<void> {
  const kept = options.run.isFollowing() ? options.store.follow() : undefined
  try {
    await loadAll(options)
  } finally {
    kept?.end()
  }
}

async function loadAll({ run, database, store, tables, connections, estimatedRows }: LoadOptions): Promise<void> {
  const marks = await database.marks(run.id)
  const feed = new PartFeed(store, tables, (part) => marks.has(loadMark(part.table, part.part)), run)
  const stop = new AbortController()
  const signal = AbortSignal.any([run.signal, stop.signal])
  let loaded = 0
  const tell = (part: Part): void => {
    const done = feed.loadedRows + loaded
    run.progress(done, Math.max(done, feed.rows, run.isFollowing() ? estimatedRows : 0), 'rows', part.table)
  }
  const alone = inTurns()
  const isSmall = (part: Part): boolean => part.bytes <= SMALL_BYTES && part.format === database.blockFormat
  const load = async (first: FedPart): Promise<void> => {
    const together = isSmall(first.part) && database.loadTogether !== undefined ? feed.more(MOST_TOGETHER - 1, isSmall) : []
    const parts = [first, ...together]
    const all = (): Promise<void> => loadSome({ run, database, store, signal }, parts)
    await (holdsHugeRow(first.part) ? alone(all) : all())
    for (const { part } of parts) {
      loaded += part.rows
      tell(part)
    }
  }
  const worker = async (): Promise<void> => {
    try {
      for (let next = await feed.next(signal); next !== undefined; next = await feed.next(signal)) await load(next)
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.max(1, connections) }, worker))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw stop.signal.reason ?? failed.reason
}

/**
 * A part ends with the row that fills it, so one of twice its size holds a row that takes a good part of the memory: of such parts one is
 * loaded at a time.
 */
const holdsHugeRow = ({ bytes }: Part): boolean => bytes > 2 * partLimits.bytes

/** Parts up to this size, of which each would take as many questions as a large one, are loaded several in one transaction. */
const SMALL_BYTES = 256 * 1024
const MOST_TOGETHER = 64

type Loading = Pick<LoadOptions, 'run' | 'database' | 'store'> & { readonly signal: AbortSignal }

/** Loads parts, each in the format in which it was saved; several in one transaction. */
async function loadSome({ run, database, store, signal }: Loading, parts: readonly FedPart[]): Promise<void> {
  const loads = parts.map(({ table, part }) => {
    const mark = { run: run.id, name: loadMark(part.table, part.part) }
    return { table, part, mark, blocks: untilAborted(store.blocks(part), signal) }
  })
  const [first] = loads
  if (first === undefined) return
  if (loads.length > 1 && database.loadTogether !== undefined) await database.loadTogether(loads)
  else if (first.part.format === ROWS_FORMAT)
    await database.load(first.table, untilAborted(store.rows(first.table, first.part), signal), first.mark)
  else if (first.part.format === database.blockFormat && database.loadBlocks !== undefined)
    await database.loadBlocks(first.table, first.blocks, first.mark)
  else {
    throw new MigrateError(
      'snapshot-format-unknown',
      `${first.part.file} of the snapshot holds rows of ${first.part.table} as ${first.part.format}, which the ${database.label} can't load. No row of it was loaded.`,
      {
        hint: 'Take the snapshot anew with this version of migrate: first  migrate rollback PLAYBOOK, then  migrate run PLAYBOOK.',
      },
    )
  }
}

/** Has the server look at the tables anew, now that all rows, keys and indexes stand. */
export async function analyse(run: StepRun, database: Database, tables: readonly Table[]): Promise<void> {
  for (let at = 0; at < tables.length; at += MOST_TOGETHER) {
    run.signal.throwIfAborted()
    await database.analyse?.(tables.slice(at, at + MOST_TOGETHER))
  }
}

async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}

/** Removes rows without a parent until there are none: a row that goes may have been another's parent. */
export async function removeOrphans(run: StepRun, database: Database, rules: readonly OrphanRule[]): Promise<void> {
  for (let removed = -1; removed !== 0; ) {
    removed = 0
    for (const rule of rules) {
      run.signal.throwIfAborted()
      const count = await database.deleteOrphans(rule)
      if (count === 0) continue
      removed += count
      const counts = recallCounts(run, ORPHANS_KEY) ?? {}
      const child = fullName(rule.child)
      await run.remember(ORPHANS_KEY, { ...counts, [child]: (counts[child] ?? 0) + count })
    }
  }
}

/** Counts the rows as restored and remembers them. Those of the baseline were counted when it was taken. */
export async function rememberRestored(
  run: StepRun,
  database: Database,
  tables: readonly Table[],
  baseline: ReadonlyMap<string, { readonly rows: number }>,
): Promise<void> {
  const counts: Record<string, number> = {}
  for (const table of tables) {
    const name = fullName(table.name)
    counts[name] = baseline.get(name)?.rows ?? (await countRows(database, table, run.signal))
  }
  await run.remember(RESTORED_KEY, counts)
}

/** Rows of a table, counted by the server where it can, else by reading its key. */
export async function countRows(database: Pick<Database, 'read'>, table: Table, signal: AbortSignal): Promise<number> {
  return database.read(1, async ([reader]) => {
    if (reader.count !== undefined) return await reader.count(table, signal)
    const [stamp] = (await reader.stamps?.([table], signal)) ?? []
    if (stamp !== undefined) return stamp.rows
    let rows = 0
    for await (const batch of reader.rows(keyOnly(table), { signal })) rows += batch.length
    return rows
  })
}

/**
 * The rows that the new host has against those that were saved. What is missing must be rows whose parent was gone, and only a
 * snapshot of several moments may have those.
 */
export function restoredFindings(
  run: StepRun,
  schema: Schema,
  manifest: Manifest,
  tables: readonly Table[],
  baseline: ReadonlyMap<string, { readonly rows: number }>,
): readonly Finding[] {
  const restored = recallCounts(run, RESTORED_KEY) ?? {}
  const orphans = recallCounts(run, ORPHANS_KEY) ?? {}
  const children = new Set(schema.foreignKeys.filter((key) => key.enforced).map((key) => fullName(key.table)))
  let rows = 0
  const differences = tables.flatMap((table): readonly Finding[] => {
    const name = fullName(table.name)
    const saved = rowsOf(manifest, name)
    const standing = baseline.get(name)?.rows ?? restored[name] ?? 0
    rows += standing
    if (standing === saved) return []
    if (standing < saved && isFuzzy(manifest) && children.has(name))
      return [orphanFinding(name, saved - standing, orphans[name] ?? 0)]
    return [
      {
        severity: 'error',
        code: 'row-count-differs',
        message: `${name} has ${formatCount(standing)} rows on the new host; ${formatCount(saved)} were saved. Customers still use the old host.`,
        hint: 'Roll back and restore again; if it stays so, something else writes to the new database.',
      },
    ]
  })
  if (differences.some((finding) => finding.severity === 'error')) return differences
  const counted = `${formatCount(rows)} rows of ${tables.length} tables stand on the new host, as many as were saved`
  return [
    { severity: 'info', code: 'rows-restored', message: `${counted}${differences.length > 0 ? ', but for those named' : ''}.` },
    ...differences,
  ]
}

/**
 * Tables that were written to on the new host before their fingerprints were complete. What was written there passes for restored, or
 * is neither: nothing that is compared with it could be trusted.
 */
export function writtenFindings(baseline: ReadonlyMap<string, { readonly written: boolean | undefined }>): readonly Finding[] {
  const written = [...baseline].flatMap(([name, table]) => (table.written === true ? [name] : []))
  if (written.length === 0) return []
  return [
    {
      severity: 'error',
      code: 'written-before-baseline',
      message: `Something wrote to the new host while its rows were being fingerprinted, in ${written.join(', ')}: what is there isn't what was restored. Customers still use the old host.`,
      hint: 'Find what writes there (a scheduled job, a worker, a copy of the shop that runs already) and stop it. Then  migrate rollback PLAYBOOK  and  migrate run PLAYBOOK  restore anew.',
    },
  ]
}

/** `counted` may be less than `missing` when the run was killed between a removal and its note. */
const orphanFinding = (name: string, missing: number, counted: number): Finding => ({
  severity: missing === counted ? 'info' : 'warning',
  code: 'orphans-removed',
  message: `${formatCount(missing)} rows of ${name} were left out: their parent was deleted while the snapshot was taken.`,
  hint: 'Nothing to do: reconcile carries each of them that still exists on the old host.',
})
