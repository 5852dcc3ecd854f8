import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Clock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { type Crowd, gatherCrowd, type Takings } from './crowd.ts'
import { type Luck, luck } from './customers-luck.ts'
import { type DemoHosts, startHosts } from './hosts.ts'
import { type Closing, closing } from './hosts-closing.ts'
import { type DemoInternet, startInternet, TTL_SECONDS } from './hosts-internet.ts'
import { demoPlaybook, siteOf } from './hosts-playbook.ts'
import { carriedOrders, checkReceipts, describeCheck, isSound, type ReceiptCheck } from './receipts.ts'
import type { Queryable } from './shop-tables.ts'

export interface DemoOptions {
  readonly clock: Clock
  /** Ctrl-C: the move stops at a safe point, and everything is cleaned up. */
  readonly interrupt: AbortSignal
  /**
   * Runs the playbook (a file) as `migrate run` does, `${…}` taken from this environment; returns the exit code. The demo is
   * told how, because showing a run is the business of the command.
   */
  move(playbook: string, environment: Readonly<Record<string, string>>): Promise<number>
  /** A line to the person. */
  say(line: string): void
  /** The same chance gives the same shop and the same shoppers. */
  readonly seed?: number
  readonly customers?: number
  /** For tests: spoils the new database before the receipts are checked. */
  spoil?(database: Queryable): Promise<void>
}

export interface DemoResult {
  /** 0: the move went well and every receipt is borne out. Otherwise the run's own exit code, or 1. */
  readonly exit: number
  /** `undefined` when the move didn't get to its end. */
  readonly check: ReceiptCheck | undefined
  /** Orders of the old host that reconcile carried over. */
  readonly carried: number
  readonly takings: Takings
  /** The reckoning for people, a line each. */
  readonly words: readonly string[]
}

const CUSTOMERS = 60
const SEED = 20_261_122
/** Before the move begins, the shop is in trade for so long: rates are measured from something. */
const TRADE_FIRST_MS = 3000

/**
 * A shop on two embedded hosts, with customers buying, moved live by the real program; then the customers' own receipts are held
 * against the new host's database. Leaves nothing behind: no process, no file.
 * Throws MigrateError `demo-server-failed` when the hosts can't be played here.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const opened = closing()
  try {
    return await play(options, opened)
  } finally {
    await opened.close()
  }
}

async function play(options: DemoOptions, opened: Closing): Promise<DemoResult> {
  const { clock, interrupt, say } = options
  const chance = luck(options.seed ?? SEED)
  const size = options.customers ?? CUSTOMERS
  say(`Starting two hosts, a DNS provider and ${size} customers on this machine…`)
  const folder = await ownFolder(opened)
  const hosts = await startHosts({ folder, luck: chance, closing: opened })
  const internet = await startInternet({ network: hosts.network, shopAddress: hosts.old.address, clock, closing: opened })
  describeStage(hosts, internet, say)
  const crowd = gather(size, hosts, internet, chance, clock)
  opened.add(() => crowd.disperse())
  const playbook = demoPlaybook(hosts, internet)
  const file = join(folder, 'playbook.yml')
  await writeFile(file, playbook.text)
  await trade(clock, interrupt)
  const exit = interrupt.aborted ? INTERRUPTED : await options.move(file, playbook.environment)
  await crowd.disperse()
  if (exit !== 0) return unfinished(exit, crowd.takings(), hosts)
  return await settle(crowd.takings(), hosts, options)
}

const INTERRUPTED = 130

/** A folder that goes again in the end. The database servers may run as another user, who must be able to pass through it. */
async function ownFolder(opened: Closing): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'migrate-demo-'))
  opened.add(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  await chmod(folder, 0o711)
  return folder
}

function describeStage(hosts: DemoHosts, internet: DemoInternet, say: DemoOptions['say']): void {
  say(`Old host ${hosts.old.address}: the shop ${siteOf(hosts, internet).host} in trade. New host ${hosts.new.address}: empty.`)
  say(`DNS is played faster than life: records last ${TTL_SECONDS} seconds, not minutes or hours.`)
}

const gather = (size: number, hosts: DemoHosts, internet: DemoInternet, chance: Luck, clock: Clock): Crowd =>
  gatherCrowd({ site: siteOf(hosts, internet), resolvers: internet.resolvers, size, clock, luck: chance.branch('crowd') })

async function trade(clock: Clock, interrupt: AbortSignal): Promise<void> {
  try {
    await clock.sleep(TRADE_FIRST_MS, interrupt)
  } catch (error) {
    if (!interrupt.aborted) throw error
  }
}

/** The reckoning: what the customers hold in their hands against what the new host knows. */
async function settle(takings: Takings, hosts: DemoHosts, options: DemoOptions): Promise<DemoResult> {
  const database = new pg.Client({ connectionString: hosts.new.databaseUrl })
  await database.connect()
  try {
    await options.spoil?.(database)
    const check = await checkReceipts(database, takings.receipts)
    const carried = countCarried(takings, hosts, await carriedOrders(database))
    const nothingShown = 'No order was carried over, so this demo has shown nothing. Run it again.'
    const words = [...describeTakings(takings, hosts), ...describeCheck(check, carried), ...(carried > 0 ? [] : [nothingShown])]
    return { exit: isSound(check) && carried > 0 ? 0 : 1, check, carried, takings, words }
  } catch (error) {
    throw new MigrateError('demo-check-failed', "The customers' receipts couldn't be held against the new database.", {
      cause: error,
    })
  } finally {
    await database.end()
  }
}

const unfinished = (exit: number, takings: Takings, hosts: DemoHosts): DemoResult => ({
  exit,
  check: undefined,
  carried: 0,
  takings,
  words: [
    ...describeTakings(takings, hosts),
    'The move did not get to its end, so there is nothing to check the receipts against.',
  ],
})

const countCarried = (takings: Takings, hosts: DemoHosts, carried: ReadonlySet<string>): number =>
  takings.receipts.filter(({ receipt, address }) => address === hosts.old.address && carried.has(receipt.order)).length

const SHOWN = 5

function describeTakings({ receipts, failures, pageViews, pageFailures }: Takings, hosts: DemoHosts): readonly string[] {
  const onOld = receipts.filter(({ address }) => address === hosts.old.address).length
  const places = `${formatCount(onOld)} bought on the old host, ${formatCount(receipts.length - onOld)} on the new one`
  const words = failures.map((failure) =>
    failure.kind === 'refused' ? `HTTP ${failure.status}: ${failure.words}` : failure.words,
  )
  return [
    `The customers: ${places}. Failed purchases: ${formatCount(failures.length)}.`,
    ...tally(words),
    `They looked at ${formatCount(pageViews)} pages, ${formatCount(pageFailures.length)} of which failed.`,
    ...tally(pageFailures),
  ]
}

/** Each different thing once, with its number, the most frequent first. */
function tally(words: readonly string[]): readonly string[] {
  const counts = [...Map.groupBy(words, (each) => each)].map(([text, all]) => ({ text, count: all.length }))
  return counts
    .toSorted((a, b) => b.count - a.count)
    .slice(0, SHOWN)
    .map(({ text, count }) => `  ${formatCount(count)} × ${text}`)
}
