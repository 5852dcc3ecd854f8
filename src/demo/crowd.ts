import type { Clock } from '../base/clock.ts'
import type { Resolver } from '../dns/port.ts'
import { type Customer, customer, type Outcome } from './customers.ts'
import type { Luck } from './customers-luck.ts'
import type { Receipt } from './shop-checkout.ts'

export interface CrowdOptions {
  readonly site: URL
  /** Dealt out in turn, one to each customer. */
  readonly resolvers: readonly [Resolver, ...Resolver[]]
  readonly size: number
  readonly clock: Clock
  readonly luck: Luck
}

/** A receipt in a customer's drawer. */
export interface KeptReceipt {
  readonly receipt: Receipt
  /** Address of the host that wrote it. */
  readonly address: string
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What the crowd did so far. */
export interface Takings {
  readonly receipts: readonly KeptReceipt[]
  /** Purchases that ended without a receipt. */
  readonly failures: readonly Exclude<Outcome, { kind: 'bought' }>[]
  readonly pageViews: number
  /** Pages and pictures that didn't come, in words. */
  readonly pageFailures: readonly string[]
}

export interface Crowd {
  takings(): Takings
  /** Lets everybody finish what they are at, and go. Throws what a customer stumbled over, if it was a fault of the demo. */
  disperse(): Promise<void>
}

const PAUSE_MS = [500, 2300] as const
const BUYERS = 0.7

/** Customers who look around and buy, each at their own pace, until told to stop. */
export function gatherCrowd(options: CrowdOptions): Crowd {
  const closing = new AbortController()
  const receipts: KeptReceipt[] = []
  const failures: Exclude<Outcome, { kind: 'bought' }>[] = []
  const pageFailures: string[] = []
  let pageViews = 0
  const visit = async (one: Customer, luck: Luck): Promise<void> => {
    const problem = await one.browse()
    pageViews += 1
    if (problem !== '') pageFailures.push(problem)
    if (!luck.chance(BUYERS)) return
    const outcome = await one.buy()
    if (outcome.kind === 'bought') receipts.push({ receipt: outcome.receipt, address: outcome.address, at: options.clock.now() })
    else failures.push(outcome)
  }
  const days = Array.from({ length: options.size }, (_, index) => {
    const luck = options.luck.branch(`customer ${index}`)
    const resolver = options.resolvers[index % options.resolvers.length] ?? options.resolvers[0]
    return day(customer({ site: options.site, resolver, regular: index + 1, luck }), luck, visit, options.clock, closing.signal)
  })
  const over = Promise.all(days)
  // Whoever disperses the crowd hears of it; until then it must not end the process.
  over.catch(() => undefined)
  return {
    takings: () => ({ receipts: [...receipts], failures: [...failures], pageViews, pageFailures: [...pageFailures] }),
    disperse: async () => {
      closing.abort()
      await over
    },
  }
}

async function day(
  one: Customer,
  luck: Luck,
  visit: (one: Customer, luck: Luck) => Promise<void>,
  clock: Clock,
  closing: AbortSignal,
): Promise<void> {
  while (await pause(luck.between(...PAUSE_MS), clock, closing)) await visit(one, luck)
}

/** False when it's closing time. */
async function pause(ms: number, clock: Clock, closing: AbortSignal): Promise<boolean> {
  if (closing.aborted) return false
  try {
    await clock.sleep(ms, closing)
    return true
  } catch (error) {
    if (closing.aborted) return false
    throw error
  }
}
