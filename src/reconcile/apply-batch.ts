import type { Row, Transaction, WholePrintedRow } from '../databases/port.ts'
import { setApart, withoutMissing, withoutTwins } from './apply-apart.ts'
import type { ApplyContext, Candidate, CarriedTable, CarryResult } from './apply-context.ts'
import { decide, type Outcome, REASONS } from './apply-decide.ts'
import { cellsOf, equalRows } from './apply-find.ts'
import { carriedMeanwhile } from './apply-meanwhile.ts'
import { orphansAmong } from './apply-orphans.ts'
import { type Draft, keyOf } from './apply-prepare.ts'
import { nextStage } from './apply-stages.ts'
import { type Decided, Writer, write } from './apply-write.ts'
import { keyCells, keyLabel, keyText } from './fingerprint.ts'
import type { ParkedRow } from './parked.ts'
import { describeParked, withBaselines } from './parked-describe.ts'

export interface BatchMode {
  readonly cyclic: boolean
  readonly early: boolean
}

/** A row to be parked, told once the transaction is over. */
interface Aside {
  readonly candidate: Candidate
  readonly reason: string
  readonly collision: ParkedRow['collision']
}

/**
 * Carries prepared rows in one transaction with their ledger entries: all or none. The rows on the target are locked first, and what
 * then stands there decides. Throws what the server refuses, with nothing written.
 */
export async function carryBatch(drafts: readonly Draft[], mode: BatchMode, context: ApplyContext): Promise<CarryResult> {
  const tables = [...new Set(drafts.map(({ table }) => table))]
  const { wrote, decided } = await context.target.transaction(
    tables.map((table) => table.target),
    async (transaction) => {
      const writer = new Writer(transaction, context)
      let all: readonly Decided[] = []
      // What rows of a circle are called there, others of the circle may have to know first.
      for (let left = drafts; left.length > 0; ) {
        const stage = nextStage(left, writer, all.length > 0)
        const some = await decideOn(transaction, stage.ready, mode.cyclic, context)
        const apart = setApart(withoutTwins(some, context), all, context)
        for (const [table, group] of Map.groupBy(apart, ({ candidate }) => candidate.table)) await writer.bear(table, group)
        all = [...all, ...apart]
        left = stage.waiting
      }
      return { decided: all, wrote: await write(transaction, writer, all, mode.cyclic, context) }
    },
  )
  const asides = [
    ...decided.flatMap(({ candidate, outcome }) =>
      outcome.do === 'park' ? [{ candidate, reason: outcome.reason, collision: outcome.collision ?? null }] : [],
    ),
    ...(mode.early ? [] : wrote.kept.map((candidate) => ({ candidate, reason: REASONS.referenced, collision: null }))),
  ]
  return {
    entries: wrote.entries,
    parked: await parkedRows(asides, context),
    later: decided.filter(({ outcome }) => outcome.do === 'later').map(({ candidate }) => candidate.item),
    same: decided.filter(({ outcome }) => outcome.do === 'leave').map(({ candidate }) => candidate.item),
    half: wrote.half.map(({ item }) => item),
  }
}

/** What is done with these rows, by what stands on the target when theirs are locked. */
async function decideOn(
  transaction: Transaction,
  drafts: readonly Draft[],
  cyclic: boolean,
  context: ApplyContext,
): Promise<readonly Decided[]> {
  const all = await locked(transaction, drafts)
  const done = await carriedMeanwhile(
    transaction,
    all.filter((candidate) => mayBeDone(candidate, context)).map(({ item }) => item),
    context,
  )
  const seen = all.filter(({ item }) => !done.has(item))
  const orphans = await orphansAmong(transaction, seen, cyclic, context)
  const candidates = seen.map((candidate): Candidate => {
    const missing = candidate.paired ? orphans.get(candidate) : undefined
    return missing === undefined ? candidate : { ...candidate, missing }
  })
  const { matches, taken } = await naturalMatches(transaction, candidates, context)
  const decided = candidates.map((candidate, at): Decided => {
    const orphan = orphans.get(seen[at] ?? candidate)
    if (orphan !== undefined && !candidate.paired) return { candidate, outcome: { do: 'park', reason: orphan.reason } }
    if (isUnseen(candidate)) return { candidate, outcome: { do: 'later' } }
    const given = {
      sourceSide: context.sourceSide,
      matches: matches.get(candidate) ?? [],
      taken: taken.get(candidate),
      spent: isSpent(candidate, context),
    }
    return { candidate, outcome: withoutMissing(candidate, decide(candidate, given)) }
  })
  const later = all.filter(({ item }) => done.has(item)).map((candidate): Decided => ({ candidate, outcome: { do: 'later' } }))
  return [...later, ...(await withoutCollisions(transaction, decided))]
}

/** A person decided over a row that the target has changed since: it is shown anew. What only has the same number there isn't meant. */
const isUnseen = ({ item, paired, rewritten, table, target }: Candidate): boolean =>
  item.ruling === 'source' && (paired || (table.numbered === undefined && !rewritten)) && (target?.print ?? null) !== item.expect

/** Of a row that is carried already, the target isn't as it was planned; or it may go by another key there. */
function mayBeDone(candidate: Candidate, context: ApplyContext): boolean {
  const { item, paired, table, target } = candidate
  if ((target?.print ?? null) !== item.expect) return true
  return !paired && (target !== undefined || table.policy.match.length > 0 || isSpent(candidate, context))
}

/** Of a number that two rows go by, one after the other, neither host could say which of them is meant. */
const isSpent = ({ item, table, targetKey }: Candidate, { index }: ApplyContext): boolean =>
  table.numbered !== undefined &&
  index.standingFor(table.name, targetKey).some(({ sourceKey, action }) => sourceKey !== item.key && action !== 'deleted')

/** The target's rows under the keys that are wanted, locked. */
async function locked(transaction: Transaction, drafts: readonly Draft[]): Promise<readonly Candidate[]> {
  const found = new Map<string, WholePrintedRow>()
  for (const [table, group] of Map.groupBy(drafts, (draft) => draft.table)) {
    // In one order, so that two transactions wait for each other less often.
    const keys = [...new Set(group.map(({ targetKey }) => targetKey))].sort().map(keyCells)
    for (const row of await table.printer.lock(transaction, table.target, table.targetPrinting, keys))
      found.set(`${table.name} ${keyOf(table, row.row)}`, row)
  }
  return drafts.map((draft) => ({ ...draft, target: found.get(`${draft.table.name} ${draft.targetKey}`) }))
}

interface Natural {
  readonly matches: ReadonlyMap<Candidate, readonly WholePrintedRow[]>
  /** Where the row with that natural key is somebody else's already: its key. */
  readonly taken: ReadonlyMap<Candidate, string>
}

/** Rows of the target that are the same thing as a row born on the source, by the table's natural key or a person's word. */
async function naturalMatches(
  transaction: Transaction,
  candidates: readonly Candidate[],
  context: ApplyContext,
): Promise<Natural> {
  const matches = new Map<Candidate, readonly WholePrintedRow[]>()
  const taken = new Map<Candidate, string>()
  for (const [table, group] of Map.groupBy(candidates, (candidate) => candidate.table)) {
    const named = group.filter(({ item }) => typeof item.ruling === 'object')
    for (const candidate of named) {
      const { ruling } = candidate.item
      if (typeof ruling === 'object') matches.set(candidate, await lockedByKeys(transaction, table, [keyCells(ruling.merge)]))
    }
    const { match } = table.policy
    const born = group.filter(
      (each) => match.length > 0 && !each.paired && each.row !== undefined && each.item.ruling === undefined,
    )
    if (born.length === 0) continue
    const wanted = new Map(born.map((each) => [each.item.key, each.row ?? []]))
    const equal = await equalRows(transaction, table.target, match, wanted)
    for (const candidate of born) {
      const named = (equal.get(candidate.item.key) ?? []).map((row) => keyOf(table, row))
      // What has its own key there, where nobody numbers keys, is the same thing already: no other can be.
      const isThere = table.numbered === undefined && candidate.target !== undefined
      const keys = isThere ? named.filter((key) => key === candidate.targetKey) : named
      for (const targetKey of keys) if (!(await isFree(candidate, targetKey, context))) taken.set(candidate, targetKey)
      if (keys.length > 0 && !taken.has(candidate))
        matches.set(candidate, await lockedByKeys(transaction, table, keys.map(keyCells)))
    }
  }
  return { matches, taken }
}

const lockedByKeys = (transaction: Transaction, table: CarriedTable, keys: readonly Row[]): Promise<readonly WholePrintedRow[]> =>
  table.printer.lock(transaction, table.target, table.targetPrinting, keys)

/**
 * True when a row of the target isn't spoken for: by another row of the source that it is the same thing as, or by something about it that
 * isn't decided yet. What was born on the source under its key in this pass is another thing.
 */
async function isFree({ item, table }: Candidate, targetKey: string, { index, source }: ApplyContext): Promise<boolean> {
  if (index.isUnsettled(item.table, targetKey)) return false
  const carried = index.standingFor(item.table, targetKey).map(({ sourceKey }) => sourceKey)
  const isKnown = index.of(item.table, targetKey) !== undefined || index.waiting(item.table, targetKey) !== undefined
  // A key that nobody numbers means the same thing on both hosts.
  const isAnother = table.numbered !== undefined && isKnown
  const keys = (carried.length > 0 || isAnother ? carried : [targetKey]).filter((key) => key !== item.key)
  return keys.length === 0 || (await source.rowsByKey(table.source, keys.map(keyCells))).length === 0
}

const WRITES = new Set<Outcome['do']>(['insert', 'number', 'update', 'match'])

/** Sets aside what the target has under another key: a unique key's value can't be there twice. */
async function withoutCollisions(transaction: Transaction, decided: readonly Decided[]): Promise<readonly Decided[]> {
  const result: Decided[] = []
  for (const [table, group] of Map.groupBy(decided, ({ candidate }) => candidate.table)) {
    const collisions = new Map<string, { readonly reason: string; readonly unique: string; readonly key: string }>()
    const moving = new Set(group.filter(({ outcome }) => outcome.do !== 'leave').map(({ candidate }) => candidate.targetKey))
    for (const unique of uniqueKeys(table)) {
      const wanted = new Map(group.flatMap(({ candidate, outcome }) => wantedRow(candidate, outcome)))
      const equal = await equalRows(transaction, table.target, unique.columns, wanted)
      for (const [name, rows] of equal) {
        const own = group.find(({ candidate }) => candidate.item.key === name)
        const key = rows.map((row) => keyOf(table, row)).find((each) => own === undefined || each !== ownKey(own))
        if (key === undefined || (moving.has(key) && own !== undefined && ownKey(own) !== key && isMoving(group, key))) continue
        const value = (cellsOf(table.target, wanted.get(name) ?? [], unique.columns) ?? []).join(', ')
        collisions.set(name, { reason: collides(table, unique, value, key), unique: unique.name, key })
      }
    }
    for (const each of group) {
      const collision = collisions.get(each.candidate.item.key)
      if (collision === undefined) result.push(each)
      else
        result.push({
          candidate: each.candidate,
          outcome: { do: 'park', reason: collision.reason, collision: { unique: collision.unique, key: collision.key } },
        })
    }
  }
  return result
}

/** True when this batch changes or deletes the row that is in the way. */
const isMoving = (group: readonly Decided[], key: string): boolean =>
  group.some(({ candidate, outcome }) => candidate.targetKey === key && (outcome.do === 'update' || outcome.do === 'delete'))

const uniqueKeys = ({ target }: CarriedTable) =>
  target.uniqueKeys.filter((key) => key.columns.length > 0 && key.columns.join('\n') !== target.key.join('\n'))

function wantedRow(candidate: Candidate, outcome: Outcome): readonly (readonly [string, Row])[] {
  if (!WRITES.has(outcome.do) || !('row' in outcome) || outcome.row === undefined) return []
  return [[candidate.item.key, outcome.row]]
}

/** The key that the row has on the target, or will have; '' for one that the server numbers. */
function ownKey({ candidate, outcome }: Decided): string {
  if (outcome.do === 'number') return ''
  return outcome.do === 'match' ? keyText(outcome.with.key) : candidate.targetKey
}

const collides = (
  table: CarriedTable,
  unique: { readonly name: string; readonly columns: readonly string[] },
  value: string,
  key: string,
): string =>
  `${unique.columns.join(', ')} ${value} is taken on the host that receives it, by ${table.name} ${keyLabel(key)} (unique key ${unique.name})` +
  (unique.columns.every((name) => table.policy.match.includes(name))
    ? ''
    : `; where the same ${unique.columns.join(' and ')} means the same thing, say so: match: [${unique.columns.join(', ')}]`)

async function parkedRows(asides: readonly Aside[], context: ApplyContext): Promise<readonly ParkedRow[]> {
  const rows = asides.map(({ candidate: { item, paired, target, targetKey }, reason, collision }) => {
    const row = { table: item.table, key: item.key, targetKey: paired || target !== undefined ? targetKey : null }
    return { ...row, reason, collision, born: !paired }
  })
  const looking = await withBaselines(rows, context)
  const parked: ParkedRow[] = []
  for (const { reason, collision, born, ...row } of rows)
    parked.push(await describeParked(row, reason, looking, { born, collision }))
  return parked
}
