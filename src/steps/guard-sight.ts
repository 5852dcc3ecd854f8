import type { StepRun } from '../run/step.ts'
import { recallCutover, recallLowered } from './dns-change.ts'
import { type Fault, type HostSight, HostWatch, type Numbers } from './guard-host.ts'
import { OwnLine } from './guard-line.ts'
import type { GuardOptions } from './guard-options.ts'
import { type OrderSight, OrderWatch } from './guard-orders.ts'
import type { Look } from './guard-spell.ts'
import { shareSeen } from './watch-share.ts'
import type { World } from './world.ts'

/** What one look at the new host came to. */
export interface HostsView {
  readonly look: Look
  readonly faults: readonly Fault[]
  readonly orders: OrderSight
}

const NO_ORDERS: OrderSight = { perMinute: null, expected: null, fault: undefined }
/** Resolvers hold old answers for longer than they should: after so many TTLs everybody counts as sent to the new host. */
const TTLS = 3
/** An old host's disk that served so far is full only when it is. */
const OLD_FREE_MIB = 1

/** Looks at the new host; where it is silent, at the old one and at name servers too, to tell its silence from our own. */
export class HostsWatch {
  readonly old: HostWatch
  readonly #new: HostWatch
  readonly #world: World
  readonly #relayed: boolean
  readonly #line: OwnLine
  readonly #orders: OrderWatch | undefined
  #numbers: Numbers | undefined

  /** `relayed`: the old host's pages are the new one's. */
  constructor(options: GuardOptions, world: World, relayed: boolean) {
    this.#world = world
    this.#relayed = relayed
    this.#new = new HostWatch(world.new, world, options)
    this.old = new HostWatch(world.old, world, { ...options, free: Math.min(options.free, OLD_FREE_MIB) })
    this.#line = new OwnLine(world, options.resolvers)
    const counted = world.new.database !== undefined && options.orders !== false
    this.#orders = counted && options.orders !== false ? new OrderWatch(options.orders) : undefined
  }

  get watched(): readonly Fault['what'][] {
    return [...this.#new.watched, ...(this.#orders === undefined ? [] : (['orders'] as const))]
  }

  /** How far the new host had numbered when its database answered last. */
  get numbers(): Numbers | undefined {
    return this.#numbers
  }

  begin(run: StepRun): Promise<void> {
    return this.#line.begin(run)
  }

  async look(run: StepRun): Promise<HostsView> {
    const sight = await this.#new.look(run)
    this.#numbers = sight.numbers ?? this.#numbers
    const orders = this.#countOrders(run, sight)
    const slump: readonly Fault[] = orders.fault === undefined ? [] : [{ what: 'orders', message: orders.fault, silent: false }]
    const faults = [...sight.faults, ...slump]
    const look = faults.length === 0 ? 'well' : sight.answered || (await this.#isOursUp(run)) ? 'failing' : 'unknown'
    return { look, faults, orders }
  }

  #countOrders(run: StepRun, { numbers }: HostSight): OrderSight {
    if (this.#orders === undefined || numbers === undefined) return NO_ORDERS
    return this.#orders.look(run, numbers.schema, numbers.states, this.#share(run))
  }

  #share(run: StepRun): number {
    const seen = shareSeen(this.#world)
    if (seen !== undefined) return seen
    const cutover = recallCutover(run)
    if (cutover === undefined) return 0
    const lowered = recallLowered(run)
    const expired = cutover.at + cutover.ttlSeconds * TTLS * 1000
    const lowExpired = lowered === undefined ? 0 : lowered.at + lowered.oldTtlSeconds * TTLS * 1000
    return run.clock.now() >= Math.max(expired, lowExpired) ? 1 : 0
  }

  /** Not a word came from the new host: whether anybody else can be heard from here. */
  async #isOursUp(run: StepRun): Promise<boolean> {
    const [line, old] = await Promise.all([this.#line.look(run), this.old.look(run, this.#relayed)])
    return line === 'up' || (line === 'unknown' && old.answered)
  }
}
