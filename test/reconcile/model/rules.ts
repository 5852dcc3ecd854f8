import type { Side, Values } from './hosts.ts'
import type { ConflictRule, ModelTable, NoteRule } from './schema.ts'

/**
 * The rules of the merge as design.md tells them, written a second time and on purpose without a look at the product's: plain maps,
 * one row at a time.
 */

export type Outcome =
  | { readonly do: 'leave' }
  | { readonly do: 'write'; readonly content: Values }
  | { readonly do: 'delete' }
  | { readonly do: 'park' }

const LEAVE: Outcome = { do: 'leave' }
const PARK: Outcome = { do: 'park' }

/** A thing on both hosts: now, and when both last had it in common; `null` where it isn't. */
export interface Sides {
  readonly source: Values | null
  readonly target: Values | null
  readonly sourceBase: Values | null
  readonly targetBase: Values | null
  /** They became one, or were left different: what one of them changes says nothing about the other. */
  readonly diverged: boolean
}

export function outcomeOf(table: ModelTable, from: Side, sides: Sides): Outcome {
  const { source, target, sourceBase, targetBase, diverged } = sides
  if (alike(table, source, sourceBase)) return LEAVE
  if (source === null) {
    if (target === null) return LEAVE
    if (alike(table, target, targetBase) && !diverged) return { do: 'delete' }
    return decided(table.conflict, from, { do: 'delete' })
  }
  if (target === null) {
    const insert: Outcome = { do: 'write', content: source }
    return sourceBase === null && targetBase === null ? insert : decided(table.conflict, from, insert)
  }
  if (sourceBase === null || targetBase === null) return bornOnBoth(table, from, source, target)
  return both(table, from, { source, target, sourceBase, targetBase, diverged })
}

function bornOnBoth(table: ModelTable, from: Side, source: Values, target: Values): Outcome {
  if (alike(table, source, target)) return LEAVE
  const winner = winnerOf(table.conflict, from, source, target)
  // One customer who registered twice: nobody is asked, and what the receiving host knows of them stays.
  if (winner === 'park') return isSameByNature(table, source, target) ? LEAVE : PARK
  if (winner === 'target') return LEAVE
  return { do: 'write', content: table.ignore ? { ...source, hits: target.hits ?? null } : source }
}

const isSameByNature = (table: ModelTable, a: Values, b: Values): boolean => table.match && a.mail !== null && a.mail === b.mail

/** A row that is gone on one side has no date: only a host's name decides. */
function decided(rule: ConflictRule, from: Side, sourceWins: Outcome): Outcome {
  if (rule === 'old' || rule === 'new') return rule === from ? sourceWins : LEAVE
  return PARK
}

interface Whole {
  readonly source: Values
  readonly target: Values
  readonly sourceBase: Values
  readonly targetBase: Values
  readonly diverged: boolean
}

function both(table: ModelTable, from: Side, row: Whole): Outcome {
  const { source, target, sourceBase, targetBase } = row
  const content: Record<string, string | null> = { ...target }
  const apart = apartColumns(table)
  for (const name of apart) {
    const cell = apartCell(table, from, name, row)
    if (cell === undefined) return PARK
    content[name] = cell
  }
  const rest = Object.keys(source).filter((name) => !apart.includes(name) && !isIgnored(table, name))
  const differ = (a: Values, b: Values): boolean => rest.some((name) => a[name] !== b[name])
  if (differ(source, sourceBase) && differ(source, target)) {
    // What was made of both hosts' rows isn't the source's to replace.
    const isOwn = row.diverged || differ(target, targetBase) || differ(sourceBase, targetBase)
    const winner = isOwn ? winnerOf(table.conflict, from, source, target) : 'source'
    if (winner === 'park') return PARK
    if (winner === 'source') for (const name of rest) content[name] = source[name] ?? null
  }
  return alike(table, content, target) ? LEAVE : { do: 'write', content }
}

const apartColumns = (table: ModelTable): readonly string[] => [
  ...(table.add ? ['amount'] : []),
  ...(table.noteRule === 'none' ? [] : ['note']),
]

/** What becomes of a cell that has a rule of its own; `undefined` = a person decides. */
function apartCell(table: ModelTable, from: Side, name: string, row: Whole): string | null | undefined {
  const [s, t] = [row.source[name] ?? null, row.target[name] ?? null]
  const [sb, tb] = [row.sourceBase[name], row.targetBase[name]]
  if (s === sb) return t
  if (name === 'amount') return String(BigInt(t ?? 0) + BigInt(s ?? 0) - BigInt(sb ?? 0))
  if (t === tb && tb === sb) return s
  if (s === t) return t
  const winner = winnerOf(table.noteRule, from, row.source, row.target)
  if (winner === 'park') return undefined
  return winner === 'source' ? s : t
}

function winnerOf(rule: ConflictRule | NoteRule, from: Side, source: Values, target: Values): 'source' | 'target' | 'park' {
  if (rule === 'old' || rule === 'new') return rule === from ? 'source' : 'target'
  if (rule !== 'newest') return 'park'
  const [s, t] = [source.stamp ?? '', target.stamp ?? '']
  if (s === t) return 'park'
  return s > t ? 'source' : 'target'
}

const isIgnored = (table: ModelTable, name: string): boolean => table.ignore && name === 'hits'

/** Equal in all that is compared. */
export function alike(table: ModelTable, a: Values | null, b: Values | null): boolean {
  if (a === null || b === null) return a === b
  return Object.keys(a).every((name) => isIgnored(table, name) || a[name] === b[name])
}

/** Equal to the last cell. */
export const identical = (a: Values | null, b: Values | null): boolean =>
  a === null || b === null ? a === b : Object.keys(a).every((name) => a[name] === b[name])
