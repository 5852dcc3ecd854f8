import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { firstOf, formatCount } from '../base/units.ts'
import type { Side } from '../databases/plan/gap.ts'
import { positionOf } from '../databases/plan/headroom.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import { findTable, fullName, type IdentityState, type Layout } from '../databases/schema.ts'
import type { Planned } from '../reconcile/reconciler.ts'
import type { StepRun } from '../run/step.ts'
import { identityName, recallHeadroom } from './headroom.ts'
import { declaredReferences } from './rules.ts'
import type { World } from './world.ts'

/** Where the numbers of the host that rows come from stood when a pass last ended, by identity name. */
const NUMBERS_KEY = 'reconciled-numbers'
const numbersSchema = z.object({ side: z.enum(['old', 'new']), last: z.record(z.string(), z.string()) })

/** A shop tidies up every day. More than half of a table, and so many rows at least, is another matter. */
const LEAST_ROWS = 100
const NAMED = 4

export interface Cautious {
  readonly world: World
  /** The host that rows come from, and its layout. */
  readonly source: Side
  readonly schema: Layout
}

/**
 * Asks a person before what looks like a mishap on the host that rows come from is carried to the other: a database that was emptied, or
 * put back from a backup. What is missing there would be deleted here as well, and a number that it gives a second time would make
 * one order of two. In a dry run it is told. Throws `source-looks-wrong` (waiting) where the person says no; nothing was changed then.
 */
export async function askIfWrong(run: StepRun, planned: Planned, cautious: Cautious): Promise<void> {
  const wrong = [...emptied(planned, cautious.source), ...numbersBack(run, planned.numbers, cautious)]
  if (wrong.length === 0) return
  const target = cautious.source === 'old' ? 'new' : 'old'
  const message = `${wrong.join(' ')} It looks as if the ${cautious.source} host's database was emptied, or put back from a backup: carrying that over may delete rows of the ${target} host, or write other ones over them.`
  const hint = `If the ${cautious.source} host is as it should be (a list that is tidied away now and then), run again in a terminal and answer with yes. --yes is no answer to this.`
  if (run.dryRun) {
    run.emit({ event: 'finding', severity: 'warning', code: 'source-looks-wrong', message, hint })
    return
  }
  if (await run.confirm(`${message} Carry it over all the same?`, hint, true)) return
  throw new MigrateError('source-looks-wrong', `${message} Nothing was changed.`, {
    ending: 'waiting',
    hint: `Look at the ${cautious.source} host's database. When it is in order again, run once more.`,
  })
}

function emptied({ deletions, proof }: Planned, source: Side): readonly string[] {
  const gone = [...deletions].flatMap(([name, rows]) => {
    const all = proof.tables.get(name)?.target.rows ?? rows
    return rows >= LEAST_ROWS && rows * 2 > all ? [`${formatCount(rows)} of the ${formatCount(all)} rows of ${name}`] : []
  })
  return gone.length === 0 ? [] : [`The ${source} host no longer has ${firstOf(gone, NAMED)}.`]
}

/** Numberings that stand further back than before. Tables that nothing refers to may be emptied at any time, and begin anew. */
function numbersBack(run: StepRun, numbers: readonly IdentityState[], cautious: Cautious): readonly string[] {
  const before = lastNumbers(run, cautious.source)
  const matters = mattering(cautious)
  const back = numbers.flatMap((state) => {
    const { identity } = state
    const [name, position] = [identityName(identity), positionOf(state)]
    const stood = before.get(name)
    if (stood === undefined || !matters.has(fullName(identity.table)) || !isBeyond(stood, position, identity.increment)) return []
    return [`${name} at ${formatCount(position)} (before: ${formatCount(stood)})`]
  })
  return back.length === 0
    ? []
    : [`Numbers of the ${cautious.source} host stand further back than before: ${firstOf(back, NAMED)}.`]
}

/** Tables that others refer to, or that the playbook names. */
function mattering({ world, schema: { tables, foreignKeys } }: Cautious): ReadonlySet<string> {
  const named = [...world.tables.keys()].flatMap((name) => {
    const found = findTable(tables, name)
    return found === undefined || found === 'ambiguous' ? [] : [found.name]
  })
  const parents = [...foreignKeys, ...declaredReferences(world, tables)].map((key) => key.parent)
  return new Set([...named, ...parents].map(fullName))
}

/** As the last pass left them; before the first, as they stood when the headroom of the other host was sized. */
function lastNumbers(run: StepRun, source: Side): ReadonlyMap<string, bigint> {
  const known = numbersSchema.safeParse(run.recall(NUMBERS_KEY)).data
  if (known?.side === source) return new Map(Object.entries(known.last).map(([name, last]) => [name, BigInt(last)]))
  if (source === 'new') return new Map()
  return new Map(recallHeadroom(run).map((record) => [identityName(record.identity), BigInt(record.from)]))
}

export const rememberNumbers = (run: StepRun, source: Side, numbers: readonly IdentityState[]): Promise<void> =>
  run.remember(NUMBERS_KEY, {
    side: source,
    last: Object.fromEntries(numbers.map((state) => [identityName(state.identity), String(positionOf(state))])),
  })
