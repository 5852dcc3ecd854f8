import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../src/base/clock.ts'
import { formatBytes, formatCount } from '../../../src/base/units.ts'
import { Meter, processorSeconds } from '../databases/measure.ts'
import { startCounter } from '../databases/round-trips.ts'
import { type Latency, whileBuying } from './customers.ts'
import { mariadbPair } from './mariadb-pair.ts'
import type { BenchPair, Peer } from './pair.ts'
import type { Pass, PassTimes } from './pass.ts'
import { postgresPair } from './postgres-pair.ts'

export interface ReconcileBenchOptions {
  readonly rows?: number
  readonly rounds?: number
  /** Late rows on the old host, one pass after the other, on the same two hosts. */
  readonly strays?: readonly number[]
  /** Parts of the other tools' names; all of them when absent, none when empty. */
  readonly tools?: readonly string[]
  /** Other tools are stopped when they take so many times as long as ours did. */
  readonly patience?: number
  /** Whether customers order in the end. */
  readonly buying?: boolean
  /** `mysql` when absent. */
  readonly engine?: string | undefined
  readonly print?: (line: string) => void
}

const PAIRS: Readonly<Record<string, (rows: number) => Promise<BenchPair | undefined>>> = {
  mysql: mariadbPair,
  postgres: postgresPair,
}

/** What one tool did with so many strays. */
interface Result {
  readonly tool: string
  readonly seconds: number
  /** Processor seconds of the old and of the new host's server. */
  readonly servers: readonly [number, number]
  /** False where it was stopped: it would have taken longer. */
  readonly isDone: boolean
  readonly oldBytes: number
  readonly peakBytes: number
  readonly note: string
}

const BUYING_SECONDS = 15
const LEAST_PATIENCE_SECONDS = 20

/**
 * Two hosts with the same long table of orders; then late orders on the old one, 0, 1, 1,393 (the story's) and 100,000. For each:
 * what `reconcile` takes to find and to carry them, and what others take to find them, in turns, `rounds` times where nothing differs.
 * Where something does, the others come first: they find what is carried afterwards. In the end customers order on the new host, first alone, then beside a pass. Throws when the hosts aren't alike
 * after a pass.
 */
export async function benchReconcile(options: ReconcileBenchOptions = {}): Promise<void> {
  const { rows = 10_000_000, rounds = 1, strays = [0, 1, 1393, 100_000], engine = 'mysql', print = console.log } = options
  const { tools, patience = 4 } = options
  print(`reconcile: filling two hosts with ${formatCount(rows)} orders each…`)
  const pair = await PAIRS[engine]?.(rows)
  if (pair === undefined) return print(`reconcile: ${engine} skipped, it is not installed`)
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-run-'))
  try {
    const wanted = pair.peers.filter(({ name }) => tools?.some((each) => name.includes(each)) ?? true)
    for (const peer of wanted) if (peer.missing !== null) print(`reconcile: ${peer.name} skipped, ${peer.missing}`)
    const peers = wanted.filter(({ missing }) => missing === null)
    const baseline = await ours(pair, folder, 'baseline')
    print(`reconcile: ${pair.name}, the baseline of ${formatCount(rows)} rows took ${lineOf(baseline.result)}`)
    let [longest, still] = [LEAST_PATIENCE_SECONDS, Number.NaN]
    for (const count of strays) {
      await pair.strays(count)
      await pair.warm()
      const results: Result[] = []
      for (let round = 0; round < (count === 0 ? rounds : 1); round += 1) {
        const own = async (): Promise<void> => {
          const { result } = await ours(pair, folder, 'reconcile')
          results.push(result)
          longest = Math.max(longest, result.seconds * patience)
        }
        if (count === 0) await own()
        for (const peer of peers) results.push(await theirs(pair, peer, longest))
        if (count > 0) await own()
      }
      await pair.alike()
      report(print, count, results, still)
      if (count === 0) still = median(results.filter(({ tool }) => tool === OURS)).seconds
    }
    if (options.buying ?? true) await buying(pair, folder, print)
  } finally {
    await pair.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function ours(pair: BenchPair, folder: string, what: Pass['what']): Promise<{ result: Result; times: PassTimes }> {
  const counter = await startCounter(pair.old)
  const meter = new Meter()
  const used = serverSeconds(pair)
  try {
    const given: Pass = { what, adapter: pair.adapter, old: counter.place, new: pair.new, folder }
    const script = fileURLToPath(new URL('./pass.ts', import.meta.url))
    const times: PassTimes = JSON.parse(
      await meter.run({ file: process.execPath, args: [script], env: { PASS: JSON.stringify(given) } }),
    )
    const { compareSeconds, applySeconds, carried } = times
    const note =
      carried === 0
        ? ''
        : `; ${compareSeconds.toFixed(2)} s to find, ${applySeconds.toFixed(2)} s to carry ${formatCount(carried)}`
    const [seconds, oldBytes] = [compareSeconds + applySeconds, counter.bytes]
    return {
      times,
      result: { tool: OURS, seconds, isDone: true, servers: used(), oldBytes, peakBytes: meter.peakBytes, note },
    }
  } finally {
    await counter.close()
  }
}

const OURS = 'migrate reconcile'

/** Gives what both servers have used of the processors since. */
function serverSeconds({ pids: [old, fresh] }: BenchPair): () => readonly [number, number] {
  const before = [processorSeconds(old), processorSeconds(fresh)] as const
  return () => [processorSeconds(old) - before[0], processorSeconds(fresh) - before[1]]
}

async function theirs(pair: BenchPair, peer: Peer, limitSeconds: number): Promise<Result> {
  const counter = await startCounter(pair.old)
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-peer-'))
  const meters: Meter[] = []
  const stop = AbortSignal.timeout(Math.ceil(limitSeconds * 1000))
  const used = serverSeconds(pair)
  const begun = systemClock.monotonic()
  let more: number | undefined
  try {
    more = await peer.compare({
      old: counter.place,
      new: pair.new,
      folder,
      run: (...pipeline) => {
        const meter = new Meter(stop)
        meters.push(meter)
        return meter.run(...pipeline)
      },
    })
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    await counter.close()
    await rm(folder, { recursive: true, force: true })
  }
  const seconds = (systemClock.monotonic() - begun) / 1000
  const peakBytes = Math.max(...meters.map((meter) => meter.peakBytes))
  const isDone = !stop.aborted || more !== undefined
  return { tool: peer.name, seconds, servers: used(), isDone, oldBytes: more ?? counter.bytes, peakBytes, note: '' }
}

async function buying(pair: BenchPair, folder: string, print: (line: string) => void): Promise<void> {
  const told = (what: string, { orders, p50, p99, most }: Latency): void =>
    print(
      `  ${what.padEnd(28)} ${formatCount(orders)} orders: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, the longest ${most.toFixed(0)} ms`,
    )
  print('reconcile: while four customers order on the new host')
  const alone = await whileBuying(pair, () => systemClock.sleep(BUYING_SECONDS * 1000))
  told('alone', alone)
  await pair.strays(1393)
  const beside = await whileBuying(pair, () => ours(pair, folder, 'reconcile'))
  told('beside a pass of reconcile', beside)
  told('alone again', await whileBuying(pair, () => systemClock.sleep(BUYING_SECONDS * 1000)))
  print(`  p99 beside a pass is ${(beside.p99 / alone.p99).toFixed(2)} times that alone`)
}

const lineOf = ({ seconds, servers: [old, fresh], isDone, oldBytes, peakBytes, note }: Result): string =>
  `${isDone ? '' : 'stopped after '}${seconds.toFixed(2)} s, servers busy ${old.toFixed(1)} s and ${fresh.toFixed(1)} s, ` +
  `${formatBytes(oldBytes)} read from the old host, ${formatBytes(peakBytes)} of memory at most${note}`

function median(runs: readonly Result[]): Result {
  const middle = runs.toSorted((a, b) => a.seconds - b.seconds)[runs.length >> 1]
  if (middle === undefined) throw new Error('nothing was measured')
  return middle
}

/** The median of each tool's rounds, and how many times our own time it is. `still`: what ours took where nothing differed. */
function report(print: (line: string) => void, count: number, results: readonly Result[], still: number): void {
  const medians = [...Map.groupBy(results, ({ tool }) => tool).values()].map(median)
  const own = medians.find(({ tool }) => tool === OURS)?.seconds ?? Number.NaN
  const over = Number.isNaN(still) ? '' : `, ${(own - still).toFixed(2)} s over the pass that found nothing`
  print(`reconcile: ${formatCount(count)} late ${count === 1 ? 'row' : 'rows'} on the old host`)
  for (const each of medians) {
    const ratio = each.tool === OURS ? over : ` (${each.isDone ? '' : 'over '}${(each.seconds / own).toFixed(2)} times ours)`
    print(`  ${each.tool.padEnd(28)} ${lineOf(each)}${ratio}`)
  }
}
