import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import {
  type BothStates,
  gapOf,
  isLeapDue,
  leapTarget,
  type Move,
  otherSide,
  type Pace,
  type Side,
  timeLeft,
  useOf,
} from '../databases/plan/gap.ts'
import { batchOf } from '../databases/plan/headroom.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import type { StepRun } from '../run/step.ts'
import { databaseOf } from './database-parts.ts'
import { type HeadroomRecord, identityName, numberingKey, recallHeadroom } from './headroom.ts'
import { BY_HAND, byHand, cantSee, failed, type LeapFinding, leapt, noRoom, type Obstacle, usedUp } from './leap-findings.ts'
import { plannedRows, rememberMove, togetherWith } from './leap-moves.ts'
import type { HostTraffic, Sample } from './watch-traffic.ts'
import type { World } from './world.ts'

/** The shortest time between two looks, when a headroom is about to be used up. */
const SHORTEST_PAUSE_MS = 20
/** So many looks are taken before a headroom is used up at the present pace. */
const LOOKS_BEFORE_THE_END = 4
/** From one look to the end of a move: the next look, the one before moving, the rights, and the move. In times of one look. */
const QUESTIONS_TO_A_MOVE = 4
/** A new gap lasts at least so long at the steady pace of the host that has to live in it. */
const NEW_GAP_MINUTES = 24 * 60
const NEW_GAP_SAFETY = 3

/** Both hosts as they were seen last. */
export interface Sight {
  readonly old: Sample | undefined
  readonly new: Sample | undefined
}

export interface Traffics {
  readonly old: HostTraffic
  readonly new: HostTraffic
}

/**
 * Keeps the numbers of two hosts apart while both take orders: the host that is about to use up its room is moved past the other one
 * (design.md, "Data", Identities). Each move is in the run's memory, with what stood there before, before it is made; where it can't
 * be made, the person is told the statement that makes it.
 */
export class Leapfrog {
  readonly #world: World
  readonly #traffics: Traffics
  readonly #aheadMs: number
  #sight: Sight = { old: undefined, new: undefined }
  #lookMs = 0
  readonly #told = new Set<string>()
  /** Identities whose move waits for a person: looking more often doesn't help them. */
  #waiting: ReadonlySet<string> = new Set()

  constructor(world: World, traffics: Traffics, aheadMs: number) {
    this.#world = world
    this.#traffics = traffics
    this.#aheadMs = aheadMs
  }

  /** Moves what must be moved; returns the hosts as they stand then. */
  async look(run: StepRun, sight: Sight): Promise<Sight> {
    this.#sight = sight
    this.#waiting = new Set()
    await this.#moveAllDue(run)
    return this.#sight
  }

  /** Waits, and looks at what is about to be used up the more often the nearer that is. */
  async rest(run: StepRun, ms: number): Promise<void> {
    const end = run.clock.monotonic() + ms
    for (;;) {
      const rest = end - run.clock.monotonic()
      const used =
        run.observing === undefined
          ? recallHeadroom(run).filter((record) => this.#lastsMs(record) < LOOKS_BEFORE_THE_END * rest)
          : []
      const soonest = Math.min(...used.map((record) => this.#lastsMs(record)))
      const pause = Math.min(rest, Math.max(SHORTEST_PAUSE_MS, soonest / LOOKS_BEFORE_THE_END))
      await run.clock.sleep(Math.max(0, pause), run.signal)
      if (pause >= rest) return
      await this.#glance(run, used)
      await this.#moveAllDue(run)
    }
  }

  #both(record: HeadroomRecord): BothStates {
    const name = identityName(record.identity)
    return { old: this.#sight.old?.states.get(name), new: this.#sight.new?.states.get(name) }
  }

  #paceOf(record: HeadroomRecord, side: Side): Pace {
    return this.#traffics[side].pace(identityName(record.identity))
  }

  /** Milliseconds until a headroom is used up at its fastest; infinite when it isn't being used, or looking doesn't help. */
  #lastsMs(record: HeadroomRecord): number {
    if (this.#waiting.has(numberingKey(record.identity))) return Number.POSITIVE_INFINITY
    const both = this.#both(record)
    const gap = gapOf(record, both)
    const use = useOf(gap, record.identity.increment, both[gap.behind])
    return timeLeft(use, record.identity.increment, this.#paceOf(record, gap.behind).peak)
  }

  async #glance(run: StepRun, records: readonly HeadroomRecord[]): Promise<void> {
    const names = new Set(records.map((record) => identityName(record.identity)))
    const started = run.clock.monotonic()
    const [old, fresh] = await Promise.all([this.#traffics.old.glance(run, names), this.#traffics.new.glance(run, names)])
    this.#lookMs = run.clock.monotonic() - started
    this.#sight = { old: merged(this.#sight.old, old), new: merged(this.#sight.new, fresh) }
  }

  async #moveAllDue(run: StepRun): Promise<void> {
    const done = new Set<string>()
    for (const { identity } of recallHeadroom(run)) {
      const key = numberingKey(identity)
      // Read anew: a move before this one is remembered in the same list.
      const record = recallHeadroom(run).find((each) => identityName(each.identity) === identityName(identity))
      if (record === undefined || done.has(key) || this.#waiting.has(key) || !this.#isDue(record)) continue
      done.add(key)
      await this.#move(run, record)
    }
  }

  #isDue(record: HeadroomRecord): boolean {
    const both = this.#both(record)
    const gap = gapOf(record, both)
    const use = useOf(gap, record.identity.increment, both[gap.behind])
    const reactionMs = SHORTEST_PAUSE_MS + QUESTIONS_TO_A_MOVE * this.#lookMs
    const rules = { aheadMs: this.#aheadMs, reactionMs, batch: batchOf(record.identity) }
    return isLeapDue(use, record.identity.increment, this.#paceOf(record, gap.behind), rules)
  }

  async #move(run: StepRun, record: HeadroomRecord): Promise<void> {
    const { behind } = gapOf(record, this.#both(record))
    const together = togetherWith(recallHeadroom(run), record)
    const label = together.map((each) => identityName(each.identity)).join(' and ')
    await this.#glance(run, together)
    // Somebody may have moved it meanwhile: a person, by the statement that was told.
    if (gapOf(record, this.#both(record)).behind !== behind) return
    const states = this.#both(record)
    const moved = whoMoves(behind, states)
    const ahead = states[otherSide(moved)]
    if (ahead === undefined || states[moved] === undefined) return this.#wait(run, record, cantSee(label))
    const target = leapTarget(ahead, this.#rowsFor(record, otherSide(moved)))
    if (target === undefined) return this.#wait(run, record, noRoom(label, ahead.identity.increment))
    const move: Move = { moved, ...target }
    const obstacle = await this.#obstacle(run, moved)
    if (obstacle !== undefined) return await this.#tellByHand(run, record, label, move, obstacle)
    await this.#carryOut(run, together, label, move)
  }

  async #carryOut(run: StepRun, together: readonly HeadroomRecord[], label: string, move: Move): Promise<void> {
    const { moved } = move
    const states = new Map(together.map((each) => [identityName(each.identity), this.#both(each)]))
    const [record] = together
    const identity = record === undefined ? undefined : this.#both(record)[moved]?.identity
    if (record === undefined || identity === undefined) return
    await rememberMove(run, together, states, move)
    this.#tellTwice(run, record)
    try {
      await databaseOf(this.#world[moved]).raiseIdentity(identity, move.to)
    } catch (error) {
      run.signal.throwIfAborted()
      if (error instanceof MigrateError && error.code === 'database-permission-denied')
        return await this.#tellByHand(run, record, label, move, 'rights')
      return this.#wait(run, record, failed(label, moved, error))
    }
    await this.#glance(run, together)
    for (const each of together) {
      const name = identityName(each.identity)
      const [before, now] = [states.get(name)?.[moved], this.#both(each)[moved]]
      if (before !== undefined && now !== undefined) this.#traffics[moved].moved(name, now.next - before.next)
    }
    run.emit({ event: 'finding', ...leapt(label, move) })
  }

  /** Beyond the end of its room it has handed out numbers that the other host may have given too. */
  #tellTwice(run: StepRun, record: HeadroomRecord): void {
    const both = this.#both(record)
    const gap = gapOf(record, both)
    const { left } = useOf(gap, record.identity.increment, both[gap.behind])
    if (left < 0n) run.emit({ event: 'finding', ...usedUp(identityName(record.identity), gap.behind) })
  }

  /** Room for the host that is ahead now: as much as was planned, or what it needs at its pace, and what a restart may skip. */
  #rowsFor(record: HeadroomRecord, ahead: Side): bigint {
    const { steady } = this.#paceOf(record, ahead)
    const need = steady === null ? 0n : BigInt(Math.ceil(steady * NEW_GAP_MINUTES * NEW_GAP_SAFETY))
    const planned = plannedRows(record)
    return (need > planned ? need : planned) + BigInt(record.identity.jump ?? '0')
  }

  async #obstacle(run: StepRun, moved: Side): Promise<Obstacle | undefined> {
    if (run.observing !== undefined) return 'observing'
    const missing = await databaseOf(this.#world[moved]).missingRights('identities')
    return missing.length > 0 ? 'rights' : undefined
  }

  /** What a person is told to run is remembered too: once the server says that it was done, it counts as any other leap. */
  async #tellByHand(run: StepRun, record: HeadroomRecord, label: string, move: Move, obstacle: Obstacle): Promise<void> {
    const together = togetherWith(recallHeadroom(run), record)
    const states = new Map(together.map((each) => [identityName(each.identity), this.#both(each)]))
    if (!this.#told.has(this.#caseOf(record, BY_HAND)) && obstacle !== 'observing')
      await rememberMove(run, together, states, move)
    const state = this.#both(record)[move.moved]
    const sql = state === undefined ? undefined : databaseOf(this.#world[move.moved]).raiseSql?.(state.identity, move.to)
    const gap = gapOf(record, this.#both(record))
    const use = useOf(gap, record.identity.increment, state)
    const ms = timeLeft(use, record.identity.increment, this.#paceOf(record, move.moved).peak)
    const when =
      use.left <= 0n ? 'is gone' : ms < 1e12 ? `will be gone at about ${isoTime(run.clock.now() + ms)}` : 'is nearly gone'
    this.#wait(run, record, byHand({ label, move, obstacle, when, left: use.left, sql }))
  }

  /** Each gap is a case of its own. */
  #caseOf(record: HeadroomRecord, code: string): string {
    return `${numberingKey(record.identity)} ${gapOf(record, this.#both(record)).to} ${code}`
  }

  /** Tells it once, and leaves the identity to the next whole look. */
  #wait(run: StepRun, record: HeadroomRecord, finding: LeapFinding): void {
    this.#waiting = new Set([...this.#waiting, numberingKey(record.identity)])
    const once = this.#caseOf(record, finding.code)
    if (this.#told.has(once)) return
    this.#told.add(once)
    run.emit({ event: 'finding', ...finding })
  }
}

/** The host behind is moved, unless it has overtaken the other one already: then that one would run into its rows. */
function whoMoves(behind: Side, states: BothStates): Side {
  const [back, front] = [states[behind], states[otherSide(behind)]]
  if (back === undefined || front === undefined) return behind
  const overtaken = isBeyond(back.next, front.next, back.identity.increment)
  return overtaken ? otherSide(behind) : behind
}

/** The newest that is known of each identity. */
const merged = (before: Sample | undefined, now: Sample | undefined): Sample | undefined =>
  now === undefined ? before : { at: now.at, states: new Map([...(before?.states ?? []), ...now.states]) }
