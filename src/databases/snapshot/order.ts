import { type ForeignKey, fullName, type Table } from '../schema.ts'

/** Hands out tables to several readers, each as soon as it may be read. */
export interface Schedule {
  /** The next table; waits while the rest depend on tables that are still being read. `undefined` when none is left. */
  next(): Promise<Table | undefined>
  /** Tells that a table was read to its end, or given up. */
  finished(table: Table): void
}

/** Any order, as given: for readers that all see one instant. */
export function anyOrder(tables: readonly Table[]): Schedule {
  const waiting = [...tables]
  return { next: async () => waiting.shift(), finished: () => undefined }
}

/**
 * A table is handed out once every table that refers to it was read: a row that was read then finds its parent, unless the parent
 * was deleted in between. Tables that refer to each other in a circle come in the order given.
 */
export function childrenFirst(tables: readonly Table[], foreignKeys: readonly ForeignKey[]): Schedule {
  const waiting = [...tables]
  const open = new Set(tables.map((table) => fullName(table.name)))
  let wake: (() => void)[] = []
  const ready = (table: Table): boolean => {
    const name = fullName(table.name)
    return !foreignKeys.some((key) => {
      const child = fullName(key.table)
      return fullName(key.parent) === name && child !== name && open.has(child)
    })
  }
  const take = (): Table | undefined => {
    const index = waiting.findIndex(ready)
    const nobodyReads = open.size === waiting.length
    if (index === -1 && !nobodyReads) return undefined
    return waiting.splice(Math.max(index, 0), 1)[0]
  }
  return {
    next: async () => {
      while (waiting.length > 0) {
        const table = take()
        if (table !== undefined) return table
        await new Promise<void>((resolve) => wake.push(resolve))
      }
      return undefined
    },
    finished: (table) => {
      open.delete(fullName(table.name))
      const sleepers = wake
      wake = []
      for (const each of sleepers) each()
    },
  }
}
