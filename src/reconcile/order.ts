import { type ForeignKey, fullName, type Table } from '../databases/schema.ts'

/**
 * Tables in groups, parents before children: rows are inserted in this order and deleted in the opposite one. Tables that refer
 * to each other in a circle share a group; a table that refers to itself is a group of its own. (Tarjan, "Depth-first search and
 * linear graph algorithms", 1972: components leave the stack children last when edges point at parents.)
 */
export function parentsFirst(tables: readonly Table[], foreignKeys: readonly ForeignKey[]): readonly (readonly Table[])[] {
  const byName = new Map(tables.map((table) => [fullName(table.name), table]))
  const parents = new Map<string, string[]>()
  for (const key of foreignKeys) {
    const parent = fullName(key.parent)
    if (byName.has(parent)) parents.set(fullName(key.table), [...(parents.get(fullName(key.table)) ?? []), parent])
  }
  return components([...byName.keys()], (name) => parents.get(name) ?? []).map((group) =>
    group.flatMap((name) => byName.get(name) ?? []),
  )
}

interface Visit {
  readonly index: number
  low: number
  onStack: boolean
}

function components(names: readonly string[], next: (name: string) => readonly string[]): readonly (readonly string[])[] {
  const visits = new Map<string, Visit>()
  const stack: string[] = []
  const found: string[][] = []
  const enter = (name: string): Visit => {
    const visit: Visit = { index: visits.size, low: visits.size, onStack: true }
    visits.set(name, visit)
    stack.push(name)
    for (const parent of next(name)) {
      const seen = visits.get(parent)
      if (seen === undefined) visit.low = Math.min(visit.low, enter(parent).low)
      else if (seen.onStack) visit.low = Math.min(visit.low, seen.index)
    }
    if (visit.low === visit.index) found.push(popComponent(stack, visits, name))
    return visit
  }
  for (const name of names) if (!visits.has(name)) enter(name)
  return found
}

function popComponent(stack: string[], visits: ReadonlyMap<string, Visit>, root: string): string[] {
  const members: string[] = []
  for (;;) {
    const name = stack.pop()
    if (name === undefined) return members
    const visit = visits.get(name)
    if (visit !== undefined) visit.onStack = false
    members.push(name)
    if (name === root) return members
  }
}

/** True when the group's rows may refer to each other, so that they go into one transaction, references last. */
export const isCyclic = (group: readonly Table[], foreignKeys: readonly ForeignKey[]): boolean => {
  const names = new Set(group.map((table) => fullName(table.name)))
  return foreignKeys.some((key) => names.has(fullName(key.table)) && names.has(fullName(key.parent)))
}
