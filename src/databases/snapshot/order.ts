import { type ForeignKey, fullName, type Table } from '../schema.ts'

/** Hands out tables to several readers, each as soon as it may be read. */
export interface Schedule {
  /** Tables that weren't handed out yet. */
  readonly left: number
  /** The next table that may be read now and, where it is given, that `wanted` holds for. */
  take(wanted?: (table: Table) => boolean): Table | undefined
  /** Tells that a table was read to its end. */
  finished(table: Table): void
}

/** Any order, as given: for readers that all see one instant. */
export function anyOrder(tables: readonly Table[]): Schedule {
  const waiting = [...tables]
  return {
    get left() {
      return waiting.length
    },
    take: (wanted = () => true) => {
      const [next] = waiting
      return next !== undefined && wanted(next) ? waiting.shift() : undefined
    },
    finished: () => undefined,
  }
}

/**
 * A table is handed out once every table that refers to it was read: a row that was read then finds its parent, unless the parent
 * was deleted in between. Tables that refer to each other in a circle come in the order given.
 */
export function childrenFirst(tables: readonly Table[], foreignKeys: readonly ForeignKey[]): Schedule {
  const waiting = [...tables]
  const open = new Set(tables.map((table) => fullName(table.name)))
  const ready = (table: Table): boolean => {
    const name = fullName(table.name)
    return !foreignKeys.some((key) => {
      const child = fullName(key.table)
      return fullName(key.parent) === name && child !== name && open.has(child)
    })
  }
  return {
    get left() {
      return waiting.length
    },
    take: (wanted = () => true) => {
      const found = waiting.findIndex(ready)
      const nobodyReads = open.size === waiting.length
      const index = found === -1 && nobodyReads ? 0 : found
      const table = waiting[index]
      if (table === undefined || !wanted(table)) return undefined
      waiting.splice(index, 1)
      return table
    },
    finished: (table) => {
      open.delete(fullName(table.name))
    },
  }
}
