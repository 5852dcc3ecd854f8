import type { View } from './entities.ts'
import { opposite, type Side, type Values } from './hosts.ts'
import { lowIdentities } from './merge.ts'
import type { Play, Quiet } from './play.ts'
import type { Outcome } from './rules.ts'
import type { ModelTable } from './schema.ts'

/** So many passes in a row must be enough once nobody writes: what one makes room for, the next one carries. */
const PASSES = 4

/** Passes until nothing is left to do, and then everything that must hold. Returns what doesn't. */
export async function drained(play: Play, from: Side): Promise<readonly string[]> {
  let proof: Quiet['proof']
  for (let pass = 0; ; pass += 1) {
    const { wrote, left, ...quiet } = await play.quietPass(from)
    if (left.length > 0) return [...play.oracle.complaints, `a quiet pass leaves something to do: ${JSON.stringify(left)}`]
    proof = quiet.proof
    if (!wrote) break
    if (pass === PASSES) return [...play.oracle.complaints, `quiet pass ${PASSES} still writes`]
  }
  const complaints = [...play.oracle.complaints]
  const [source, target] = [await play.view(from), await play.view(opposite(from))]
  complaints.push(...target.faults, ...source.faults)
  complaints.push(...(await explained(play, from, source, target)))
  complaints.push(...(await lowIdentities(play.database('new'), numbers(play, [source, target]))))
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
  const complaints: string[] = []
  const parked = new Set<string>()
  for (const row of await play.quiet(from).parked()) {
    const id = `${row.table.split('.').at(-1)} ${row.key}`
    const name = source.byKey.get(id) ?? target.byKey.get(id)
    if (name === undefined) complaints.push(`parked ${id}, which is nowhere`)
    else parked.add(name)
  }
  const things = play.oracle.things(source, target)
  const outcomes = new Map<string, Outcome>()
  for (const [name, table] of things) outcomes.set(name, play.oracle.outcome(name, table, from, source, target))
  const excused = excuses(play, things, outcomes, source, target)
  for (const [name, outcome] of outcomes) {
    const isParked = parked.has(name)
    const story = `${name}: right would be ${JSON.stringify(outcome)}; source ${told(source, name)}, target ${told(target, name)}`
    if (outcome.do === 'leave' && isParked) complaints.push(`parked without a reason: ${story}`)
    if (outcome.do === 'park' && !isParked) complaints.push(`not parked: ${story}`)
    if ((outcome.do === 'write' || outcome.do === 'delete') && !isParked) complaints.push(`neither carried nor parked: ${story}`)
    if ((outcome.do === 'write' || outcome.do === 'delete') && isParked && !excused.has(name))
      complaints.push(`parked, though nothing is in its way: ${story}`)
  }
  return complaints
}

const told = (view: View, name: string): string => JSON.stringify(view.entities.get(name)?.content ?? null)

/**
 * Things that can't be carried, with good reason: what they refer to isn't there and can't come, their mail is somebody else's,
 * or something refers to what should go. Found from the certain cases on, so that no two things excuse each other.
 */
function excuses(
  play: Play,
  things: ReadonlyMap<string, ModelTable>,
  outcomes: ReadonlyMap<string, Outcome>,
  source: View,
  target: View,
): ReadonlySet<string> {
  const excused = new Set<string>()
  const stuck = (name: string): boolean => {
    const outcome = outcomes.get(name)
    return outcome === undefined || outcome.do === 'leave' || outcome.do === 'park' || excused.has(name)
  }
  const holds = (name: string, table: ModelTable, outcome: Outcome): boolean => {
    if (outcome.do === 'write') {
      const parents = table.references.map((reference) => outcome.content[reference.name] ?? null)
      if (parents.some((parent) => parent !== null && !target.entities.has(parent) && stuck(parent))) return true
      return mailTaken(name, table, outcome.content, source, target)
    }
    return outcome.do === 'delete' && [...referring(play, name, target)].some(stuck)
  }
  for (let grown = true; grown; ) {
    grown = false
    for (const [name, outcome] of outcomes) {
      const table = things.get(name)
      if (table === undefined || excused.has(name) || !holds(name, table, outcome)) continue
      excused.add(name)
      grown = true
    }
  }
  return excused
}

function mailTaken(name: string, table: ModelTable, content: Values, source: View, target: View): boolean {
  if (!table.unique || content.mail === null) return false
  for (const [other, entity] of target.entities) {
    if (entity.table !== table || other === name || entity.content.mail !== content.mail) continue
    // Where the mail says who somebody is, a row that is nobody's on the source is the same customer.
    return !table.match || source.entities.has(other) || target.entities.has(name)
  }
  return false
}

function* referring(play: Play, name: string, target: View): Generator<string> {
  for (const [child, { table, content }] of target.entities)
    if (child !== name && table.references.some((reference) => content[reference.name] === name)) yield child
  for (const table of play.history.schema.tables.filter((each) => each.kind === 'none')) {
    for (const text of target.copies.get(table.name)?.keys() ?? [])
      if (table.references.some((reference) => JSON.parse(text)[reference.name] === name)) yield `copies of ${text}`
  }
}

