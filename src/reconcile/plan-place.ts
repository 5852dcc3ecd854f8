import { REASONS } from './apply-decide.ts'
import { type DifferentRow, MIXED, type RowState } from './difference.ts'
import type { CarryItem } from './plan-items.ts'
import { columnRule, directed, type Rule, type SourceSide, type TablePolicy } from './policy.ts'

/** What a difference comes to before the rows are looked at: carried (how, is a forecast), parked, or left as it is. */
export type Place =
  | { readonly place: 'carry'; readonly action: CarryItem['action'] }
  | { readonly place: 'park'; readonly reason: string }
  /** The playbook decides for the target. */
  | { readonly place: 'skipped' }
  | { readonly place: 'kept' }
  | { readonly place: 'alike' }
  | { readonly place: 'same' }

export interface PlaceRules {
  readonly policy: TablePolicy
  readonly sourceSide: SourceSide
  /** Names of the columns apart, in the states' order. */
  readonly apart: readonly string[]
  /** True where the key is a number that the target can give anew. */
  readonly numbered: boolean
}

const carry = (action: CarryItem['action']): Place => ({ place: 'carry', action })

/** Pure: by the states alone. */
export function place(row: DifferentRow, rules: PlaceRules): Place {
  switch (row.difference) {
    case 'kept':
      return { place: 'kept' }
    case 'update':
      return row.target.base?.mixed === undefined ? carry('update') : bothChanged(row, rules)
    case 'insert':
    case 'delete':
      return carry(row.difference)
    case 'changed-and-deleted':
      if (isBroughtBack(row)) return carry('insert')
      return bySide(rules, 'insert', REASONS.changedAndDeleted)
    case 'deleted-and-changed':
      return bySide(rules, 'delete', REASONS.deletedAndChanged)
    case 'alike':
      if (row.hasBase) return countedTwice(row, rules) ? carry('merge') : { place: 'same' }
      // Whether it belongs to the same thing on both hosts is seen once its parents are known (`Planner.settleRelated`).
      return { place: 'alike' }
    case 'same-key':
      if (rules.policy.match.length > 0 || rules.numbered) return carry('remap')
      return byRule(directed(rules.policy.conflict, rules.sourceSide), 'update', REASONS.sameKey)
    case 'both-changed':
      return isBroughtBack(row) ? carry('update') : bothChanged(row, rules)
  }
}

/** True for a row that was decided about on the way there, and that the other host now gets as it came out. */
const isBroughtBack = ({ source, target }: DifferentRow): boolean =>
  source.base?.print === MIXED && target.now?.print === target.base?.print

/** Where a row is gone from one host there is nothing to compare by age. */
function bySide({ policy, sourceSide }: PlaceRules, action: CarryItem['action'], reason: string): Place {
  const rule = directed(policy.conflict, sourceSide)
  return typeof rule === 'object' ? { place: 'park', reason } : byRule(rule, action, reason)
}

function byRule(rule: Rule, action: CarryItem['action'], reason: string): Place {
  if (rule === 'park') return { place: 'park', reason }
  return rule === 'target' ? { place: 'skipped' } : carry(rule === 'source' ? action : 'merge')
}

function bothChanged({ source, target }: DifferentRow, rules: PlaceRules): Place {
  const { policy, sourceSide, apart } = rules
  if (source.now === null || target.now === null) return { place: 'park', reason: REASONS.bothChanged }
  const mixed = target.base?.mixed !== undefined
  const diverged = !mixed && target.base !== null && target.now.print === target.base.print
  const restMoved = source.now.rest !== target.now.rest && (source.base === null || source.now.rest !== source.base.rest)
  const restThere = diverged || target.base === null || target.base.mixed === 'rest' || target.now.rest !== target.base.rest
  const wins: (Rule | 'nobody')[] = [restMoved ? (restThere ? directed(policy.conflict, sourceSide) : 'source') : 'nobody']
  for (const [at, name] of apart.entries()) {
    const rule = columnRule(policy, name, sourceSide) ?? 'park'
    const outcome = apartRule(
      rule,
      cell(source.base, at),
      cell(source.now, at),
      cell(target.base, at),
      cell(target.now, at),
      mixed,
    )
    if (outcome === 'park') return { place: 'park', reason: `${name} changed on both hosts` }
    wins.push(outcome)
  }
  if (wins[0] === 'park') return { place: 'park', reason: REASONS.bothChanged }
  return wins.every((each) => each === 'target' || each === 'nobody') ? { place: 'skipped' } : carry('merge')
}

/** True where the source counted, and both came to the same number: each sold two of a hundred shirts, and 96 are left, not 98. */
const countedTwice = ({ source }: DifferentRow, { policy, sourceSide, apart }: PlaceRules): boolean =>
  apart.some((name, at) => {
    const [was, is] = [cell(source.base, at), cell(source.now, at)]
    return columnRule(policy, name, sourceSide) === 'add' && was !== undefined && is !== was
  })

type Known = string | null | undefined

const cell = (state: RowState | null, at: number): Known =>
  state === null || at >= state.apart.length ? undefined : state.apart[at]

/** Who decides about one column apart; `nobody` where the source has nothing to say about it. */
function apartRule(rule: Rule, was: Known, is: Known, stood: Known, stands: Known, mixed: boolean): Rule | 'nobody' {
  if (was !== undefined && is === was) return 'nobody'
  // Two hosts that counted to the same number have counted twice.
  if (rule === 'add' && (was !== undefined || is !== stands)) return 'add'
  if (is === stands) return 'nobody'
  return stood !== undefined && stands === stood && (!mixed || stood === was) ? 'source' : rule
}
