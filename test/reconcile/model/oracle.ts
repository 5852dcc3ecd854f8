import type { LedgerEntry } from '../../../src/databases/port.ts'
import { Copies } from './copies.ts'
import type { Entity, Names, View } from './entities.ts'
import { opposite, type Side, type Values } from './hosts.ts'
import { identical, type Outcome, outcomeOf } from './rules.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

/** What a thing was on each host when both last had it in common. */
interface Ground {
  readonly old: Values | null
  readonly new: Values | null
  /** From which host it was carried last; `null` while it is as it was restored. */
  readonly from: Side | null
  /** `one`: two things became one; `different`: they were left different by a rule. */
  readonly how: 'carried' | 'one' | 'different'
  /**
   * What the row was at other moments of the pass, where it was changed on the source while the pass ran and nothing was written by which
   * it could be told when it was read: the merge may have taken any of them for what both have in common.
   */
  readonly or?: readonly Ground[]
}

/** Views of both hosts around one transaction of the merge; `sources`: all that the source was while the pass ran. */
export interface Step {
  readonly from: Side
  readonly sources: readonly View[]
  readonly before: View
  readonly after: View
  readonly entries: readonly LedgerEntry[]
}

const NOWHERE: Ground = { old: null, new: null, from: null, how: 'carried' }

/** Follows what the merge does to the host that receives, transaction by transaction, and says what no rule allows. */
export class Oracle {
  readonly #schema: ModelSchema
  readonly #names: Names
  #ground = new Map<string, Ground>()
  readonly copies: Copies
  readonly complaints: string[] = []

  constructor(schema: ModelSchema, names: Names, restored: View) {
    this.#schema = schema
    this.#names = names
    for (const [name, { content }] of restored.entities)
      this.#ground.set(name, { old: content, new: content, from: null, how: 'carried' })
    this.copies = new Copies(restored)
  }

  /** What is right, by each ground that both may have in common; the likeliest first. */
  outcomes(name: string, table: ModelTable, from: Side, source: View, target: View): readonly Outcome[] {
    const ground = this.#ground.get(name) ?? NOWHERE
    return [ground, ...(ground.or ?? [])].map((each) => this.#outcome(each, name, table, from, source, target))
  }

  /** Of several grounds, those that are borne out by what is seen now: one story has to hold for all that comes. */
  narrow(name: string, borneOut: readonly boolean[]): void {
    const ground = this.#ground.get(name)
    if (ground?.or === undefined) return
    const { or, ...first } = ground
    const [likeliest, ...more] = [first, ...or].filter((_, at) => borneOut[at])
    if (likeliest !== undefined) this.#ground.set(name, more.length === 0 ? likeliest : { ...likeliest, or: more })
  }

  #outcome(ground: Ground, name: string, table: ModelTable, from: Side, source: View, target: View): Outcome {
    const there = ground[from]
    const here = ground[opposite(from)]
    // On the way back, what both have in common is what the other host had when it was carried: all that this one made of it is new.
    const isBack = ground.from !== null && ground.from !== from && ground.how !== 'one'
    return outcomeOf(table, from, {
      source: source.entities.get(name)?.content ?? null,
      target: target.entities.get(name)?.content ?? null,
      sourceBase: isBack ? here : there,
      targetBase: here,
      diverged: ground.how !== 'carried' && !isBack,
    })
  }

  /** Whether both hosts ever had it in common. */
  knows(name: string): boolean {
    return this.#ground.has(name)
  }

  /** Every thing that either host has or that both last had in common. */
  things(...views: readonly View[]): ReadonlyMap<string, ModelTable> {
    const tables = new Map<string, ModelTable>()
    for (const view of views) for (const [name, { table }] of view.entities) tables.set(name, table)
    for (const name of this.#ground.keys()) {
      const table = this.#schema.tables.find((each) => name.startsWith(`⟨${each.name} `))
      if (table !== undefined) tables.set(name, table)
    }
    return tables
  }

  /**
   * Takes the claims of the ledger that two things are one. To be called with the views of a step before it is judged: it says
   * whether names have changed, so that the views must be looked at again.
   */
  unite(step: Step): boolean {
    let changed = false
    for (const entry of step.entries.filter((each) => each.action === 'merged')) {
      const [one, another] = this.#ends(step, entry)
      if (one === undefined || another === undefined) {
        this.complaints.push(`merged ${entry.table} ${entry.sourceKey} into ${entry.targetKey}, which isn't there`)
        continue
      }
      if (one.name === another.name) continue
      // The merge may have read the source before its mail changed: as for every other change, any moment of the pass counts.
      const mails = step.sources.map((source) => source.entities.get(one.name)?.content.mail)
      const isOne = (mail: string | null | undefined): boolean => mails.some((each) => each === mail && typeof mail === 'string')
      if (!one.table.match || !isOne(another.content.mail))
        this.complaints.push(`merged ${one.name} into ${another.name}: nothing says that they are one`)
      if (this.#ground.get(one.name)?.[step.from] ?? null)
        this.complaints.push(`merged ${one.name} into ${another.name}, but it had been on both hosts`)
      if (step.sources.some((source) => source.entities.has(another.name)))
        this.complaints.push(`merged ${one.name} into ${another.name}, which is somebody else on the source`)
      // Had in common once and gone from the source since: what is there now is another row of the same person, not a change of that one.
      if (!this.#ground.has(one.name)) this.#ground.delete(another.name)
      changed = this.#names.unite(one.name, another.name) || changed
    }
    if (changed) this.#rename()
    return changed
  }

  #ends(step: Step, entry: LedgerEntry): readonly [Entity | undefined, Entity | undefined] {
    const find = (views: readonly View[], key: string): Entity | undefined => {
      for (const view of views.toReversed()) {
        const name = view.byKey.get(`${shortName(entry.table)} ${key}`)
        const entity = name === undefined ? undefined : view.entities.get(name)
        if (entity !== undefined) return entity
      }
      return undefined
    }
    return [find(step.sources, entry.sourceKey), find([step.after, step.before], entry.targetKey)]
  }

  #rename(): void {
    const renamed = new Map<string, Ground>()
    for (const [name, ground] of this.#ground) renamed.set(this.#names.canonical(name), this.#canonicalGround(ground))
    this.#ground = renamed
    this.copies.rename(this.#names)
  }

  #canonicalGround(ground: Ground): Ground {
    const mapped = (values: Values | null): Values | null =>
      values === null
        ? null
        : Object.fromEntries(Object.entries(values).map(([k, v]) => [k, v === null ? null : this.#names.canonical(v)]))
    const or = ground.or?.map((each) => this.#canonicalGround(each))
    return { ...ground, old: mapped(ground.old), new: mapped(ground.new), ...(or === undefined ? {} : { or }) }
  }

  /** Holds every change of one transaction against the rules, and takes what it carried as the new common ground. */
  judge(step: Step): void {
    const claimed = new Map<string, Ground['how']>()
    for (const entry of step.entries) {
      const [source, target] = this.#ends(step, entry)
      const name = target?.name ?? source?.name
      // Copies are judged by their number; what both hosts deleted is nowhere.
      if (entry.sourceKey.startsWith('["#') || (name === undefined && entry.action === 'deleted')) continue
      if (name === undefined)
        this.complaints.push(`the ledger has ${entry.action} ${entry.table} ${entry.sourceKey}, which is nowhere`)
      else claimed.set(name, entry.action === 'merged' ? 'one' : entry.action === 'skipped' ? 'different' : 'carried')
    }
    const last = step.sources.at(-1)
    if (last === undefined) return
    for (const [name, table] of this.things(last, step.before, step.after)) {
      const [before, after] = [step.before, step.after].map((view) => view.entities.get(name)?.content ?? null)
      const changed = !identical(before ?? null, after ?? null)
      const keys = [step.before, step.after].map((view) => view.entities.get(name)?.key)
      if (keys.every((key) => key !== undefined) && keys[0] !== keys[1])
        this.complaints.push(`${name} was ${keys[0]} and has become ${keys[1]}`)
      if (changed && !claimed.has(name)) this.complaints.push(`${name} was changed, and the ledger doesn't say so`)
      if (changed || claimed.has(name)) this.#justify(name, table, step, after ?? null, changed, claimed.get(name) ?? 'carried')
    }
    const carried = new Set(step.entries.map((entry) => shortName(entry.table)))
    this.complaints.push(...this.copies.judge(step.sources, step.before, step.after, carried))
    for (const fault of step.after.faults) this.complaints.push(fault)
  }

  #justify(name: string, table: ModelTable, step: Step, after: Values | null, changed: boolean, how: Ground['how']): void {
    const stories: string[] = []
    const grounds: Ground[] = []
    for (const source of step.sources.toReversed()) {
      const now = source.entities.get(name)?.content ?? null
      for (const outcome of this.outcomes(name, table, step.from, source, step.before)) {
        const fits =
          (outcome.do === 'write' && identical(outcome.content, after)) ||
          (outcome.do === 'delete' && after === null) ||
          (outcome.do === 'leave' && !changed)
        const both = step.from === 'old' ? { old: now, new: after } : { old: after, new: now }
        if (fits && !grounds.some((each) => identical(each[step.from], now))) grounds.push({ ...both, from: step.from, how })
        // What refers to a row that isn't there yet may come empty first; until it is filled, the row isn't carried.
        if (outcome.do === 'write' && isHalf(table, outcome.content, after, step.after) && grounds.length === 0)
          grounds.push({ old: after, new: after, from: step.from, how })
        stories.push(`${JSON.stringify(outcome)} for ${JSON.stringify(now)}`)
      }
    }
    const [likeliest, ...or] = grounds
    if (likeliest !== undefined) {
      if (likeliest.old === null && likeliest.new === null) this.#ground.delete(name)
      else this.#ground.set(name, changed || or.length === 0 ? likeliest : { ...likeliest, or })
      return
    }
    const ground = JSON.stringify(this.#ground.get(name) ?? NOWHERE)
    const before = JSON.stringify(step.before.entities.get(name)?.content ?? null)
    this.complaints.push(
      `${name} (${table.conflict}) became ${JSON.stringify(after)}; it was ${before}; ground ${ground}; right would be ${[...new Set(stories)].join(' or ')}`,
    )
  }
}

const shortName = (table: string): string => table.split('.').at(-1) ?? table

/** The row as it should be, but for references to what isn't on the host that receives. */
const isHalf = (table: ModelTable, wanted: Values, is: Values | null, there: View): boolean =>
  is !== null &&
  Object.keys(wanted).every((name) => {
    if (wanted[name] === is[name]) return true
    const reference = table.references.find((each) => each.name === name)
    return reference?.nullable === true && is[name] === null && !there.entities.has(wanted[name] ?? '')
  })
