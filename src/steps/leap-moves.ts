import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { layoutOf } from '../databases/layout.ts'
import { type BothStates, gapOf, happened, leapTarget, type Move, type Side } from '../databases/plan/gap.ts'
import type { Database } from '../databases/port.ts'
import type { Identity, IdentityState, Layout } from '../databases/schema.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf } from './database-parts.ts'
import { HEADROOM_KEY, type HeadroomRecord, identityName, type LeapRecord, numberingKey, recallHeadroom } from './headroom.ts'
import { keptFinding } from './leap-findings.ts'
import type { World } from './world.ts'

/** The records that one sequence numbers together with this one: they leap together. */
export const togetherWith = (records: readonly HeadroomRecord[], record: HeadroomRecord): readonly HeadroomRecord[] =>
  records.filter((each) => numberingKey(each.identity) === numberingKey(record.identity))

const namesOf = (records: readonly HeadroomRecord[]): ReadonlySet<string> =>
  new Set(records.map(({ identity }) => identityName(identity)))

/** Rows that the gap between the hosts was made for. */
export const plannedRows = (record: HeadroomRecord): bigint =>
  (BigInt(record.to) - BigInt(record.from)) / BigInt(record.identity.increment)

/** The records with one leap more; a leap at their end that never happened is replaced, its before-image kept. */
function withLeap(
  records: readonly HeadroomRecord[],
  leaping: ReadonlySet<string>,
  states: ReadonlyMap<string, BothStates>,
  leap: LeapRecord,
): readonly HeadroomRecord[] {
  return records.map((record) => {
    const name = identityName(record.identity)
    if (!leaping.has(name)) return record
    const leaps = record.leaps ?? []
    const last = leaps.at(-1)
    const pending = last !== undefined && last.moved === leap.moved && !happened(last, record.identity, states.get(name) ?? {})
    return { ...record, leaps: pending ? [...leaps.slice(0, -1), { ...leap, before: last.before }] : [...leaps, leap] }
  })
}

/** Keeps a move in the run's memory, with what stands there now: before it is made, by us or by a person. */
export async function rememberMove(
  run: StepRun,
  together: readonly HeadroomRecord[],
  states: ReadonlyMap<string, BothStates>,
  { moved, from, to }: Move,
): Promise<void> {
  const [first] = together
  const state = first === undefined ? undefined : states.get(identityName(first.identity))?.[moved]
  if (state === undefined) return
  const before = { last: state.last === null ? null : String(state.last), next: String(state.next) }
  const leap = { moved, from: String(from), to: String(to), before, at: isoTime(run.clock.now()) }
  await run.remember(HEADROOM_KEY, withLeap(recallHeadroom(run), namesOf(together), states, leap))
}

/** Both hosts' states of some identities, by name, read now. */
export async function readBoth(
  world: World,
  names: ReadonlySet<string>,
  schemas?: ReadonlyMap<Side, Layout>,
): Promise<ReadonlyMap<string, BothStates>> {
  const read = async (side: Side): Promise<ReadonlyMap<string, IdentityState>> => {
    const database = databaseOf(world[side])
    return statesOf(database, schemas?.get(side) ?? (await layoutOf(database)), names)
  }
  const [old, fresh] = await Promise.all([read('old'), read('new')])
  return new Map([...names].map((name) => [name, { old: old.get(name), new: fresh.get(name) }]))
}

/** States of the identities with these names, and of what shares a sequence with them. */
export async function statesOf(
  database: Database,
  schema: Layout,
  names: ReadonlySet<string>,
): Promise<ReadonlyMap<string, IdentityState>> {
  const keys = new Set(schema.identities.filter((each) => names.has(identityName(each))).map(numberingKey))
  const identities = schema.identities.filter((each) => keys.has(numberingKey(each)))
  const states = await database.identities({ ...schema, identities })
  return new Map(states.map((state) => [identityName(state.identity), state]))
}

const leapChangeSchema = z
  .object({ kind: z.literal('leap'), names: z.array(z.string()).readonly(), from: z.string(), to: z.string() })
  .readonly()
type LeapChange = z.infer<typeof leapChangeSchema>

/**
 * A merge that carries the old host's rows, with what must come before it: where the old host's numbering was moved past the new
 * one's, rows with numbers beyond the new host's are about to be carried there, and a server that follows the largest number it is
 * given (SQL Server, MySQL) would go on from these, into what the old host hands out. So the new host leaps first.
 */
export function withRoomForLeaps<C extends { readonly kind: string; readonly identity?: Identity }>(
  merge: Step<C>,
  world: World,
): Step<C | LeapChange> {
  const isLeap = (change: C | LeapChange): change is LeapChange => change.kind === 'leap'
  return {
    id: merge.id,
    title: merge.title,
    phase: merge.phase,
    change: z.union([leapChangeSchema, merge.change]),
    check: (run) => merge.check(run),
    plan: async (run) => {
      const leaps = await leapsOfNew(world, run)
      const leapt = new Set(leaps.flatMap(({ names }) => names))
      // What leaps first is then beyond the other host already: the merge needn't move it as well.
      const isMoved = ({ kind, identity }: C): boolean =>
        kind === 'number' && identity !== undefined && leapt.has(identityName(identity))
      return [...leaps, ...(await merge.plan(run)).filter((change) => !isMoved(change))]
    },
    apply: async (change, run) => {
      if (isLeap(change)) await applyLeap(world, run, change)
      else await merge.apply(change, run)
    },
    verify: (run) => merge.verify(run),
    describe: (change) => (isLeap(change) ? describeLeap(change) : merge.describe(change)),
  }
}

const describeLeap = ({ names, from, to }: LeapChange): string =>
  `${names.join(' and ')}: old is at ${formatCount(BigInt(from))}; new goes on beyond ${formatCount(BigInt(to))}`

async function leapsOfNew(world: World, run: StepRun): Promise<readonly LeapChange[]> {
  const records = recallHeadroom(run)
  const leapt = records.filter((record) => record.leaps !== undefined)
  if (leapt.length === 0) return []
  const states = await readBoth(world, namesOf(leapt))
  const changes: LeapChange[] = []
  for (const together of Map.groupBy(leapt, (record) => numberingKey(record.identity)).values()) {
    const [record] = together
    const both = record === undefined ? undefined : states.get(identityName(record.identity))
    if (record === undefined || both?.old === undefined || gapOf(record, both).behind === 'old') continue
    const target = leapTarget(both.old, plannedRows(record))
    if (target === undefined) throw noRoom([...namesOf(together)].join(' and '))
    changes.push({ kind: 'leap', names: [...namesOf(together)], from: String(target.from), to: String(target.to) })
  }
  return changes
}

async function applyLeap(world: World, run: StepRun, { names, from, to }: LeapChange): Promise<void> {
  const states = await readBoth(world, new Set(names))
  const together = recallHeadroom(run).filter((record) => names.includes(identityName(record.identity)))
  await rememberMove(run, together, states, { moved: 'new', from: BigInt(from), to: BigInt(to) })
  const identity = states.get(names[0] ?? '')?.new?.identity
  if (identity !== undefined) await databaseOf(world.new).raiseIdentity(identity, BigInt(to))
}

const noRoom = (name: string): MigrateError =>
  new MigrateError(
    'identity-overflow',
    `${name} can't be moved past the other host's on the new host: its type ends before that. No row was carried.`,
    { hint: 'Give the column a wider type (bigint) on the new host, then run again.' },
  )

/**
 * Undo: sets the old host's identities back to where they stood before they were moved, where nobody has taken a number since on
 * either host. Otherwise they stay: going back would hand out numbers again. Each is read back.
 */
export async function takeBackLeaps(world: World, run: StepRun): Promise<void> {
  const leapt = recallHeadroom(run).filter((record) => record.leaps !== undefined)
  if (leapt.length === 0) return
  const states = await readBoth(world, namesOf(leapt))
  for (const record of leapt) {
    const name = identityName(record.identity)
    const kept = await takeBackOne(world, record, states.get(name) ?? {})
    const { leaps: _leaps, ...rest } = record
    await run.remember(
      HEADROOM_KEY,
      recallHeadroom(run).map((each) => (identityName(each.identity) !== name ? each : kept ? record : rest)),
    )
    if (kept) run.emit({ event: 'finding', ...keptFinding(name) })
  }
}

/** True when the leaps stay. */
async function takeBackOne(world: World, record: HeadroomRecord, states: BothStates): Promise<boolean> {
  const done = (record.leaps ?? []).filter((leap) => happened(leap, record.identity, states))
  const [leap] = done
  if (leap === undefined || states.old === undefined) return false
  const step = BigInt(record.identity.increment)
  const untouched = states.old.next === BigInt(leap.to) + step && states.new?.next === BigInt(record.to) + step
  if (done.length > 1 || !untouched) return true
  const { last, next } = leap.before
  const database = databaseOf(world.old)
  const image = { identity: states.old.identity, last: last === null ? null : BigInt(last), next: BigInt(next) }
  await database.resetIdentity(states.old.identity, image)
  const now = (await readBoth(world, new Set([identityName(record.identity)]))).get(identityName(record.identity))?.old
  if (now?.next === image.next) return false
  throw new MigrateError(
    'undo-failed',
    `${identityName(record.identity)} on ${database.label} would next hand out ${now?.next ?? 'nothing'}; before it was moved it was ${image.next}.`,
  )
}
