import type { Ruling } from './plan-items.ts'

/** What holds when both hosts changed something, as the playbook names it: by host. */
export type HostRule = 'park' | 'old' | 'new' | 'add' | { readonly newest: string }

/** What the playbook says of one table's merge. */
export interface TablePolicy {
  readonly conflict: Exclude<HostRule, 'add'>
  /** Counters: target + (source − base). */
  readonly add: readonly string[]
  /** Natural key: the same on both hosts is the same thing. */
  readonly match: readonly string[]
  /** Columns left out of comparison: they keep the target's value. */
  readonly ignore: readonly string[]
  readonly columns: Readonly<Record<string, HostRule>>
  /** Columns whose sums the proof compares. */
  readonly sums: readonly string[]
}

export const PARKING: TablePolicy = { conflict: 'park', add: [], match: [], ignore: [], columns: {}, sums: [] }

/** The same, seen from the direction in which rows are carried. */
export type Rule = 'park' | 'source' | 'target' | 'add' | { readonly newest: string }

/** Which host the rows come from. */
export type SourceSide = 'old' | 'new'

export function directed(rule: HostRule, source: SourceSide): Rule {
  if (rule === 'old' || rule === 'new') return rule === source ? 'source' : 'target'
  return rule
}

/** The rule that a column has by itself; `undefined` where the table's policy holds for it. */
export function columnRule(policy: TablePolicy, column: string, source: SourceSide): Rule | undefined {
  const name = column.toLowerCase()
  if (policy.add.some((each) => each.toLowerCase() === name)) return 'add'
  const own = Object.entries(policy.columns).find(([each]) => each.toLowerCase() === name)
  return own === undefined ? undefined : directed(own[1], source)
}

/** A person's decision, seen from the direction in which rows are carried. */
export function rulingOf(take: 'old' | 'new' | 'skip' | { readonly merge: string }, source: SourceSide): Ruling {
  if (take === 'old' || take === 'new') return take === source ? 'source' : 'target'
  return take
}
