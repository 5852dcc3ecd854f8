import type { ParkedRow } from '../../../src/reconcile/parked.ts'
import type { View } from './entities.ts'
import { Excuses } from './excuses.ts'
import { opposite, type Side } from './hosts.ts'
import { lowIdentities } from './merge.ts'
import type { Play, Quiet } from './play.ts'
import type { Outcome } from './rules.ts'
import type { ModelSchema } from './schema.ts'

/** So many passes in a row must be enough once nobody writes: what one makes room for, the next one carries. */
const PASSES = 4

/** Passes until nothing is left to do, and then everything that must hold. Returns what doesn't. */
export async function drained(play: Play, from: Side): Promise<readonly string[]> {
  let proof: Quiet['proof']
  for (let pass = 0; ; pass += 1) {
    const { wrote, left, ...quiet } = await play.quietPass(from)
    if (left.length > 0 && !wrote)
      return [...play.oracle.complaints, `a quiet pass leaves something to do: ${JSON.stringify(left)}`]
    proof = quiet.proof
    if (!wrote) break
    if (pass === PASSES) return [...play.oracle.complaints, `quiet pass ${PASSES} still writes`]
  }
  const complaints = [...play.oracle.complaints]
  const [source, target] = [await play.view(from), await play.view(opposite(from))]
  complaints.push(...target.faults, ...source.faults)
  complaints.push(...(await explained(play, from, source, target)))
  complaints.push(
    ...(await lowIdentities(play.database(opposite(from)), play.schemas[opposite(from)], numbers(play, [source, target]))),
  )
  const rows = [...source.rows.values()].reduce((sum, each) => sum + each.length, 0)
  if (proof.totals.rows !== rows) complaints.push(`the proof counts ${proof.totals.rows} rows of ${rows}`)
  if (proof.totals.unaccounted !== 0) complaints.push(`the proof leaves ${proof.totals.unaccounted} rows unaccounted`)
  if (proof.totals.accounted !== rows) complaints.push(`the proof accounts for ${proof.totals.accounted} rows of ${rows}`)
  return complaints
}

function numbers(play: Play, views: readonly View[]): ReadonlyMap<string, readonly bigint[]> {
  const tables = play.history.schema.tables.filter((table) => table.kind === 'identity')
  return new Map(
    tables.map((table) => [
      table.name,
      views.flatMap((view) => (view.rows.get(table.name) ?? []).map((row) => BigInt(row.id ?? 0))),
    ]),
  )
}

/** Each thing as the rules want it, or among the parked for a reason that holds. */
async function explained(play: Play, from: Side, source: View, target: View): Promise<readonly string[]> {
  const { oracle, history } = play
  const parked = parkedThings(await play.quiet(from).parked(), history.schema, source, target)
  const complaints = [...parked.complaints]
  const things = oracle.things(source, target)
  const outcomes = new Map<string, Outcome>()
  for (const [name, table] of things) {
    // Where it can't be told what both had in common, one that was followed; it is held to that from here on.
    const right = oracle.outcomes(name, table, from, source, target)
    const followed = right.map((each) => (each.do === 'leave') !== parked.things.has(name))
    const wanted = right.find((_, at) => followed[at]) ?? right[0]
    oracle.narrow(name, followed)
    if (wanted !== undefined) outcomes.set(name, wanted)
  }
  const excuses = new Excuses({ schema: history.schema, oracle, things, outcomes, source, target })
  for (const [name, outcome] of outcomes) {
    const isParked = parked.things.has(name)
    const open = outcome.do === 'write' || outcome.do === 'delete'
    const story = `${name}: right would be ${JSON.stringify(outcome)}; source ${told(source, name)}, target ${told(target, name)}`
    if (outcome.do === 'leave' && isParked && !excuses.isOfTwoThings(name)) complaints.push(`parked without a reason: ${story}`)
    if (outcome.do === 'park' && !isParked) complaints.push(`not parked: ${story}`)
    if (open && !isParked) complaints.push(`neither carried nor parked: ${story}`)
    if (open && isParked && !excuses.has(name)) complaints.push(`parked, though nothing is in its way: ${story}`)
  }
  for (const { table, text, story } of oracle.copies.unsettled(source, target)) {
    if (!parked.copies.has(table)) complaints.push(`neither carried nor parked: ${story}`)
    if (!excuses.lacksParent(table, JSON.parse(text))) complaints.push(`not carried, though nothing is in its way: ${story}`)
  }
  return complaints
}

function parkedThings(rows: readonly ParkedRow[], schema: ModelSchema, source: View, target: View) {
  const things = new Set<string>()
  const copies = new Set<string>()
  const complaints: string[] = []
  for (const { table: full, key, targetKey, sourceRow } of rows) {
    const table = full.split('.').at(-1) ?? ''
    // A row that is gone from the source is known by the number that it has on the target.
    const name = sourceRow === null ? target.byKey.get(`${table} ${targetKey}`) : source.byKey.get(`${table} ${key}`)
    if (schema.tables.some((each) => each.name === table && each.kind === 'none')) copies.add(table)
    else if (name !== undefined) things.add(name)
    else complaints.push(`parked ${table} ${key} (there ${targetKey}), which is nowhere`)
  }
  return { things, copies, complaints }
}

const told = (view: View, name: string): string => JSON.stringify(view.entities.get(name)?.content ?? null)
