import fc from 'fast-check'
import { type ModelShop, Refused, type Side, type Values } from './hosts.ts'
import type { ModelReference, ModelSchema, ModelTable } from './schema.ts'

/** Small numbers that choose among what is there, so that a failing history shrinks. */
const choice = fc.nat({ max: 7 })
const values = fc.record({
  key: choice,
  references: fc.tuple(fc.option(choice, { freq: 3 }), fc.option(choice, { freq: 3 })),
  note: fc.option(fc.nat({ max: 3 })),
  amount: fc.integer({ min: -3, max: 5 }),
  stamp: fc.option(fc.nat({ max: 5 }), { freq: 4 }),
  mail: fc.option(fc.nat({ max: 3 })),
  hits: fc.nat({ max: 3 }),
})
type Wishes = typeof values extends fc.Arbitrary<infer V> ? V : never

const side = fc.constantFrom<Side>('old', 'new')

/** What somebody does on one of the hosts. `twin`: the same person does the same on both. */
export const deed = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('insert' as const), side, table: choice, wishes: values }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('update' as const),
      side,
      table: choice,
      row: choice,
      columns: fc.subarray(['references', 'note', 'amount', 'stamp', 'mail', 'hits'] as const, { minLength: 1 }),
      wishes: values,
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('remove' as const), side, table: choice, row: choice }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('twin' as const), table: choice, wishes: values }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('copy' as const), side, table: choice, row: choice }) },
)
export type Deed = typeof deed extends fc.Arbitrary<infer D> ? D : never

/** Does what shops do: what the database refuses is given up, and the shop keeps the references that it alone knows of. */
export class Shopkeeper {
  readonly #schema: ModelSchema
  readonly #shops: Readonly<Record<Side, ModelShop>>
  #births = 0

  constructor(schema: ModelSchema, shops: Readonly<Record<Side, ModelShop>>) {
    this.#schema = schema
    this.#shops = shops
  }

  async perform(each: Deed): Promise<void> {
    const table = this.#schema.tables[each.table % this.#schema.tables.length]
    if (table === undefined) return
    this.#births += 1
    const born = `x${this.#births}`
    if (each.what === 'twin') {
      await this.#insert('old', table, each.wishes, born)
      // A number is given by the host: two rows of it are two things, however alike.
      await this.#insert('new', table, each.wishes, table.kind === 'identity' ? `${born}b` : born)
    } else if (each.what === 'insert') await this.#insert(each.side, table, each.wishes, born)
    else if (each.what === 'update') await this.#update(each, table)
    else if (each.what === 'remove') await this.#remove(each.side, table, each.row)
    else if (table.kind === 'none') await this.#copy(each.side, table, each.row)
  }

  async #insert(side: Side, table: ModelTable, wishes: Wishes, tag: string): Promise<void> {
    const references = await this.#references(side, table.references, wishes)
    if (references === undefined) return
    const row = { ...keyValues(table, wishes, tag), ...plain(wishes), ...references, tag }
    await unlessRefused(this.#shops[side].insert(table, row))
  }

  async #update(each: Extract<Deed, { what: 'update' }>, table: ModelTable): Promise<void> {
    const row = await this.#row(each.side, table, each.row)
    const loose = table.references.filter((reference) => !table.key.includes(reference.columns[0] ?? ''))
    const references = each.columns.includes('references') ? await this.#references(each.side, loose, each.wishes) : {}
    if (row === undefined || references === undefined) return
    const all: Values = plain(each.wishes)
    const chosen = Object.fromEntries(each.columns.flatMap((name) => (name === 'references' ? [] : [[name, all[name] ?? null]])))
    const change = { ...chosen, ...references }
    if (Object.keys(change).length > 0) await unlessRefused(this.#shops[each.side].update(table, whereOf(table, row), change))
  }

  async #remove(side: Side, table: ModelTable, index: number): Promise<void> {
    const row = await this.#row(side, table, index)
    if (row === undefined || (await this.#isNeeded(side, table, row))) return
    await unlessRefused(this.#shops[side].remove(table, whereOf(table, row)))
  }

  async #copy(side: Side, table: ModelTable, index: number): Promise<void> {
    const row = await this.#row(side, table, index)
    if (row !== undefined) await unlessRefused(this.#shops[side].insert(table, row))
  }

  /** Whether a reference that only the shop knows of would be left without its row. */
  async #isNeeded(side: Side, table: ModelTable, row: Values): Promise<boolean> {
    for (const child of this.#schema.tables) {
      for (const reference of child.references) {
        if (reference.declared || reference.parent !== table.name) continue
        const [column = ''] = reference.columns
        const [key = ''] = table.key
        const children = await this.#shops[side].rows(child)
        if (children.some((each) => each[column] === row[key])) return true
      }
    }
    return false
  }

  async #row(side: Side, table: ModelTable, index: number): Promise<Values | undefined> {
    const rows = inOrder(await this.#shops[side].rows(table))
    return rows[index % Math.max(rows.length, 1)]
  }

  /** Cells of the columns that refer; `undefined` when a mandatory one has nothing to refer to. */
  async #references(side: Side, references: readonly ModelReference[], wishes: Wishes): Promise<Values | undefined> {
    const cells: Record<string, string | null> = {}
    for (const [at, reference] of references.entries()) {
      const parent = this.#schema.tables.find((table) => table.name === reference.parent)
      const wish = wishes.references[at % 2] ?? null
      const wanted = wish === null && !reference.nullable ? 0 : wish
      const row = parent === undefined || wanted === null ? undefined : await this.#row(side, parent, wanted)
      if (row === undefined && !reference.nullable) return undefined
      for (const [position, column] of reference.columns.entries()) cells[column] = row?.[parent?.key[position] ?? ''] ?? null
    }
    return cells
  }
}

/** By birth: the same on every engine. */
const inOrder = (rows: readonly Values[]): readonly Values[] => {
  const place = (row: Values): number => Number((row.tag ?? '').replaceAll(/\D/g, ''))
  return rows.toSorted((a, b) => place(a) - place(b) || ((a.tag ?? '') < (b.tag ?? '') ? -1 : 1))
}

const whereOf = (table: ModelTable, row: Values): Values => {
  const names = table.key.length === 0 ? ['tag'] : table.key
  return Object.fromEntries(names.map((name) => [name, row[name] ?? null]))
}

function keyValues(table: ModelTable, wishes: Wishes, tag: string): Values {
  switch (table.kind) {
    case 'natural':
      return { code: `k${wishes.key % 5}` }
    case 'guid':
      return { gid: guidOf(tag) }
    case 'owned':
      return { line: String((wishes.key % 3) - 1) }
    case 'pair':
      return { a: String((wishes.key % 3) - 1), b: `b${wishes.key % 2}` }
    default:
      return {}
  }
}

/** Two births are two numbers, on whichever host. */
const guidOf = (tag: string): string => {
  const number = tag.replaceAll(/\D/g, '').padStart(12, '0')
  return `0b5e55ed-cafe-4bad-8000-${number}`
}

const plain = (wishes: Wishes): Values => ({
  note: wishes.note === null ? null : (NOTES[wishes.note] ?? null),
  amount: String(wishes.amount),
  stamp: wishes.stamp === null ? null : `2026-11-2${wishes.stamp} 07:00:00`,
  mail: wishes.mail === null ? null : `m${wishes.mail}@example.com`,
  hits: String(wishes.hits),
})

/** NULL apart from '', a bar, a space at the end: what a careless comparison takes for the same. */
const NOTES = ['', 'a|b', 'ß 👕 ', 'plain']

async function unlessRefused(deed: Promise<void>): Promise<void> {
  try {
    await deed
  } catch (error) {
    if (!(error instanceof Refused)) throw error
  }
}
