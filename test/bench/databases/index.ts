import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../src/base/clock.ts'
import { messageOf } from '../../../src/base/errors.ts'
import { formatCount } from '../../../src/base/units.ts'
import type { BenchEngine, Data, Job, Place, Tool } from './engine.ts'
import { mariadbBench } from './mariadb.ts'
import { Meter } from './measure.ts'
import { hasAdapter, type Move } from './move.ts'
import { mssqlBench } from './mssql.ts'
import { postgresBench } from './postgres.ts'
import { startCounter } from './round-trips.ts'
import { type Failure, type Measured, type Outcome, tableText } from './table.ts'

export interface DatabasesBenchOptions {
  /** Rows of the narrow table; the wide one has a tenth. */
  readonly rows?: number
  /** Of ten rows each. */
  readonly tables?: number
  readonly rounds?: number
  /** Of narrow, wide and tables, those to move; all when absent. */
  readonly sets?: readonly string[]
  /** False: no fingerprints are taken, which takes Babelfish a hundred times as long as the copy itself. */
  readonly baseline?: boolean
  /** Engines to leave the others out for: postgres, mysql, mssql. */
  readonly only?: string | undefined
  readonly print?: (line: string) => void
}

const ENGINES: readonly (readonly [string, string, () => Promise<BenchEngine | undefined>])[] = [
  ['postgres', 'PostgreSQL of Debian is not installed', postgresBench],
  ['mysql', 'mariadb-server is not installed', mariadbBench],
  ['mssql', 'MIGRATE_TEST_MSSQL names no server', mssqlBench],
]

/**
 * Moves a database of one long narrow table, one of a wide table and one of many small tables, on every engine at hand, with
 * snapshot-database and restore-database (as a process of its own) and with what people would take instead, in turns. Every copy is
 * compared with its source by the server. Prints seconds (the median of the rounds), ratios and peak memory. Throws when a copy of
 * ours differs or fails.
 */
export async function benchDatabases(options: DatabasesBenchOptions = {}): Promise<void> {
  const { rows = 10_000_000, tables = 1000, rounds = 1, sets, baseline = true, only, print = console.log } = options
  const outcomes: Outcome[] = []
  for (const [key, why, start] of ENGINES) {
    if (only !== undefined && only !== key) continue
    const engine = await start()
    if (engine === undefined) {
      print(`databases: ${key} skipped, ${why}`)
      continue
    }
    try {
      for (const [data, amount] of [
        ['narrow', rows],
        ['wide', Math.ceil(rows / 10)],
        ['tables', tables],
      ] as const) {
        if (sets !== undefined && !sets.includes(data)) continue
        outcomes.push(...(await compare(engine, { data, amount, rounds, baseline }, print)))
      }
    } finally {
      await engine.stop()
    }
  }
  print(tableText(outcomes))
  const broken = outcomes.filter((each) => each.isOurs && each.failure !== undefined)
  if (broken.length > 0) throw new Error(`a copy of migrate failed: ${broken.map((each) => each.failure?.message).join('; ')}`)
}

interface Comparison {
  readonly data: Data
  readonly amount: number
  readonly rounds: number
  readonly baseline: boolean
}

async function compare(
  engine: BenchEngine,
  { data, amount, rounds, baseline }: Comparison,
  print: (line: string) => void,
): Promise<readonly Outcome[]> {
  const ours = hasAdapter(engine.adapter) ? migrate(engine.adapter, baseline) : undefined
  if (ours === undefined) print(`databases: migrate itself skipped on ${engine.name}, there is no adapter ${engine.adapter}`)
  const tools = [...(ours === undefined ? [] : [ours]), ...engine.peers]
  for (const tool of tools.filter((each) => each.missing !== null)) print(`databases: ${tool.name} skipped, ${tool.missing}`)
  print(`databases: ${engine.name}, filling ${titleOf(data, amount)}…`)
  const source = await engine.create()
  await engine.fill(source, data, amount)
  const expected = await engine.fingerprint(source, data, amount)
  const outcomes = tools
    .filter((tool) => tool.missing === null)
    .map((tool) => ({ tool, isOurs: tool === ours, measured: [] as Measured[], failure: undefined as Failure | undefined }))
  for (let round = 0; round < rounds; round += 1) {
    for (const outcome of outcomes) {
      if (outcome.failure !== undefined) continue
      const parts: Record<string, number> = {}
      const what = `databases: ${engine.name}, ${titleOf(data, amount)}: ${outcome.tool.name}`
      try {
        const one = await moved(engine, outcome.tool, { source, data, amount, expected }, parts)
        outcome.measured.push(one)
        print(`${what} took ${one.seconds.toFixed(1)} s`)
      } catch (error) {
        outcome.failure = { message: messageOf(error), parts }
        print(`${what} failed: ${outcome.failure.message}`)
      }
    }
  }
  await engine.drop(source)
  return outcomes.map(({ tool, ...rest }) => ({
    engine: engine.name,
    data: titleOf(data, amount),
    tool: tool.name,
    tables: tablesOf(data, amount),
    ...rest,
  }))
}

const tablesOf = (data: Data, amount: number): number => (data === 'tables' ? amount : 1)

const titleOf = (data: Data, amount: number): string =>
  data === 'tables' ? `${formatCount(amount)} tables of 10 rows` : `${formatCount(amount)} ${data} rows`

interface Given {
  readonly source: Place
  readonly data: Data
  readonly amount: number
  readonly expected: string
}

/** `taken` has the seconds of each part, also of a move that fails. */
async function moved(
  engine: BenchEngine,
  tool: Tool,
  { source, data, amount, expected }: Given,
  taken: Record<string, number>,
): Promise<Measured> {
  const target = await engine.create()
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-'))
  // Questions are counted where they are what takes the time; where rows flow, nothing stands between.
  const counters = data === 'tables' ? [await startCounter(source), await startCounter(target)] : []
  const [from, to] = [counters[0]?.place ?? source, counters[1]?.place ?? target]
  try {
    const meter = new Meter()
    const run: Job['run'] = async (part, ...pipeline) => {
      const begun = systemClock.monotonic()
      try {
        return await meter.run(...pipeline)
      } finally {
        taken[part] = (taken[part] ?? 0) + (systemClock.monotonic() - begun) / 1000
      }
    }
    const begun = systemClock.monotonic()
    const parts = (await tool.move({ from, to, data, amount, folder, run })) ?? taken
    const seconds = (systemClock.monotonic() - begun) / 1000
    const { work } = meter
    const roundTrips = counters.length === 0 ? undefined : counters.reduce((sum, each) => sum + each.count, 0)
    const arrived = await engine.fingerprint(target, data, amount)
    if (arrived !== expected) throw new Error(`the copy differs: ${arrived.slice(0, 200)} instead of ${expected.slice(0, 200)}`)
    return { seconds, peakBytes: meter.peakBytes, work, parts, roundTrips }
  } finally {
    for (const counter of counters) await counter.close()
    await engine.drop(target)
    await rm(folder, { recursive: true, force: true })
  }
}

/** snapshot-database and restore-database, started as bin/migrate.js starts: what was compiled once is kept. */
const migrate = (adapter: string, baseline: boolean): Tool => ({
  name: 'migrate',
  missing: null,
  move: async ({ from, to, folder, run }) => {
    const given: Move = { adapter, old: from, new: to, folder, baseline }
    const script = fileURLToPath(new URL('./move.ts', import.meta.url))
    return JSON.parse(
      await run('move', {
        file: process.execPath,
        args: [script],
        env: {
          MOVE: JSON.stringify(given),
          NODE_COMPILE_CACHE: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'migrate'),
        },
      }),
    )
  },
})
