import type { Cell, Row } from '../databases/port.ts'
import { type ForeignKey, fullName, placeOf, readableColumns, type Table } from '../databases/schema.ts'
import { columnAt } from './columns.ts'
import { keyCells, keyText } from './fingerprint.ts'

/** A reference of a table's rows to a parent's key, by position of the cells. */
export interface KeyReference {
  readonly foreignKey: ForeignKey
  readonly parent: string
  /** Positions among the child's cells, in the order of the parent's key. */
  readonly positions: readonly number[]
  /** Those of the reference's cells that may be NULL and aren't in the child's own key: without them it refers to nothing. */
  readonly loose: readonly number[]
}

/**
 * The references of `child` that name a parent by its key, alone or beside other columns. A reference to another unique key isn't
 * changed by a new number: its cells are the parent's own content.
 */
export function keyReferences(
  child: Table,
  foreignKeys: readonly ForeignKey[],
  parents: ReadonlyMap<string, Table>,
): readonly KeyReference[] {
  const columns = readableColumns(child)
  const position = (name: string): number => columnAt(child, name)
  const own = new Set(child.key)
  return foreignKeys.flatMap((foreignKey) => {
    const parent = parents.get(fullName(foreignKey.parent))
    if (fullName(foreignKey.table) !== fullName(child.name) || parent === undefined || parent.key.length === 0) return []
    const positions = parent.key.map((name) => {
      const at = placeOf(foreignKey.parentColumns, name)
      return at === -1 ? -1 : position(foreignKey.columns[at] ?? '')
    })
    if (positions.includes(-1)) return []
    const loose = foreignKey.columns.map(position).filter((at) => {
      const column = columns[at]
      return column?.nullable === true && !own.has(column.name)
    })
    return [{ foreignKey, parent: fullName(parent.name), positions, loose }]
  })
}

/** The key of the parent that a row refers to; `undefined` when it refers to none. */
export function parentKey(row: Row, { positions }: KeyReference): string | undefined {
  const cells = positions.map((at): Cell => row[at] ?? null)
  return cells.includes(null) ? undefined : keyText(cells)
}

/** What a parent is called on the target, or that it can't be referred to (yet). */
export type ParentStanding = { readonly key: string } | 'parked' | 'later' | 'coming'

export interface Translated {
  /** With the parents' keys on the target, as far as they are known. */
  readonly row: Row
  /** References whose parent can't be referred to yet, or never. */
  readonly open: readonly {
    readonly reference: KeyReference
    readonly parentKey: string
    readonly standing: 'parked' | 'later' | 'coming'
  }[]
  /** The two numbers that one column would need at once; `undefined` when all goes well. */
  readonly torn: string | undefined
}

/** Rewrites the references of a row of the source to what the parents are called on the target. `row` is the source's. */
export function translate(
  row: Row,
  references: readonly KeyReference[],
  standingOf: (parent: string, key: string) => ParentStanding,
): Translated {
  const cells = [...row]
  const open: Translated['open'][number][] = []
  const written = new Map<number, Cell>()
  let torn: string | undefined
  for (const reference of references) {
    const key = parentKey(row, reference)
    if (key === undefined) continue
    const standing = standingOf(reference.parent, key)
    if (typeof standing === 'string') {
      open.push({ reference, parentKey: key, standing })
      continue
    }
    for (const [index, cell] of keyCells(standing.key).entries()) {
      const at = reference.positions[index] ?? -1
      if (written.has(at) && written.get(at) !== cell) torn = reference.foreignKey.name
      written.set(at, cell)
      cells[at] = cell
    }
  }
  return { row: cells, open, torn }
}
