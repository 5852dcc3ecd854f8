import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../src/base/clock.ts'
import { formatBytes, formatCount } from '../../../src/base/units.ts'
import { Meter } from '../databases/measure.ts'
import { startCounter } from '../databases/round-trips.ts'
import { type Latency, whileBuying } from './customers.ts'
import { mariadbPair } from './mariadb-pair.ts'
import type { BenchPair, Peer } from './pair.ts'
import type { Pass, PassTimes } from './pass.ts'
import { postgresPair } from './postgres-pair.ts'

export interface ReconcileBenchOptions {
  readonly rows?: number
  readonly rounds?: number
  /** Late rows on the old host, one pass after the other. */
  readonly strays?: readonly number[]
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
  readonly oldBytes: number
  readonly peakBytes: number
  readonly note: string
}

const BUYING_SECONDS = 15

/**
 * Two hosts with the same long table of orders; then late orders on the old one, 0, 1, 1,393 (the story's) and 100,000. For each:
 * what others take to find the differences, and what `reconcile` takes to find and to carry them, in turns, `rounds` times where
 * nothing differs. In the end customers order on the new host, first alone, then beside a pass. Throws when the hosts aren't alike
 * after a pass.
 */
export async function benchReconcile(options: ReconcileBenchOptions = {}): Promise<void> {
  const { rows = 10_000_000, rounds = 1, strays = [0, 1, 1393, 100_000], engine = 'mysql', print = console.log } = options
  print(`reconcile: filling two hosts with ${formatCount(rows)} orders each…`)
  const pair = await PAIRS[engine]?.(rows)
  if (pair === undefined) return print(`reconcile: ${engine} skipped, it is not installed`)
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-run-'))
  try {
    for (const peer of pair.peers) if (peer.missing !== null) print(`reconcile: ${peer.name} skipped, ${peer.missing}`)
    const baseline = await ours(pair, folder, 'baseline')
    print(`reconcile: ${pair.name}, the baseline of ${formatCount(rows)} rows took ${lineOf(baseline.result)}`)
    for (const count of strays) {
      await pair.strays(count)
      const results: Result[] = []
      for (let round = 0; round < (count === 0 ? rounds : 1); round += 1) {
        for (const peer of pair.peers) if (peer.missing === null) results.push(await theirs(pair, peer))
        results.push((await ours(pair, folder, 'reconcile')).result)
      }
      await pair.alike()
      report(print, count, results)
    }
    await buying(pair, folder, print)
  } finally {
    await pair.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function ours(pair: BenchPair, folder: string, what: Pass['what']): Promise<{ result: Result; times: PassTimes }> {
  const counter = await startCounter(pair.old)
  const meter = new Meter()
  try {
    const given: Pass = { what, adapter: pair.adapter, old: counter.place, new: pair.new, folder }
    const script = fileURLToPath(new URL('./pass.ts', import.meta.url))
    const times: PassTimes = JSON.parse(
      await meter.run({ file: process.execPath, args: [script], env: { PASS: JSON.stringify(given) } }),
    )
    const note = times.carried === 0 ? '' : `; ${formatCount(times.carried)} carried in ${times.applySeconds.toFixed(2)} s more`
    return {
      times,
      result: { tool: OURS, seconds: times.compareSeconds, oldBytes: counter.bytes, peakBytes: meter.peakBytes, note },
    }
  } finally {
    await counter.close()
  }
}

const OURS = 'migrate reconcile'

async function theirs(pair: BenchPair, peer: Peer): Promise<Result> {
  const counter = await startCounter(pair.old)
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-peer-'))
  const meters: Meter[] = []
  try {
    const begun = systemClock.monotonic()
    const more = await peer.compare({
      old: counter.place,
      new: pair.new,
      folder,
      run: (...pipeline) => {
        const meter = new Meter()
        meters.push(meter)
        return meter.run(...pipeline)
      },
    })
    const seconds = (systemClock.monotonic() - begun) / 1000
    const peakBytes = Math.max(...meters.map((meter) => meter.peakBytes))
    return { tool: peer.name, seconds, oldBytes: more ?? counter.bytes, peakBytes, note: '' }
  } finally {
    await counter.close()
    await rm(folder, { recursive: true, force: true })
  }
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

const lineOf = ({ seconds, oldBytes, peakBytes, note }: Result): string =>
  `${seconds.toFixed(2)} s, ${formatBytes(oldBytes)} read from the old host, ${formatBytes(peakBytes)} of memory at most${note}`

/** The median of each tool's rounds, and how many times our own time it is. */
function report(print: (line: string) => void, count: number, results: readonly Result[]): void {
  const medians = [...Map.groupBy(results, ({ tool }) => tool).values()].flatMap((runs) => {
    const sorted = runs.toSorted((a, b) => a.seconds - b.seconds)
    return sorted.slice(sorted.length >> 1, (sorted.length >> 1) + 1)
  })
  const own = medians.find(({ tool }) => tool === OURS)?.seconds ?? Number.NaN
  print(`reconcile: ${formatCount(count)} late ${count === 1 ? 'row' : 'rows'} on the old host`)
  for (const each of medians) {
    const ratio = each.tool === OURS ? '' : ` (${(each.seconds / own).toFixed(2)} times ours)`
    print(`  ${each.tool.padEnd(28)} ${lineOf(each)}${ratio}`)
  }
}
