/**
 * `ids` so that each comes after those it needs; otherwise in the order given. A circle is cut where it is first met: what it
 * needs is then created without it (function bodies aren't checked).
 */
export function inOrder(ids: readonly string[], needs: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const wanted = new Set(ids)
  const done = new Set<string>()
  const result: string[] = []
  const visit = (id: string): void => {
    if (done.has(id)) return
    done.add(id)
    for (const other of needs.get(id) ?? []) visit(other)
    if (wanted.has(id)) result.push(id)
  }
  for (const id of ids) visit(id)
  return result
}

/** Everything that `ids` need, directly or not; `ids` themselves left out unless one needs another. */
export function neededBy(ids: readonly string[], needs: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const found = new Set<string>()
  const open = [...ids]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const other of needs.get(id) ?? []) {
      if (found.has(other)) continue
      found.add(other)
      open.push(other)
    }
  }
  return found
}
