import type { ModelShop, Values } from './hosts.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

/** One thing, whatever number a host gave it. */
export interface Entity {
  readonly table: ModelTable
  /** The same on both hosts: by birth where a number is the key, else by the key. */
  readonly name: string
  /** JSON of the key's cells on this host. */
  readonly key: string
  /** All but the key; references as the names of what they refer to. */
  readonly content: Values
}

/** What one database holds, told in things instead of numbers. */
export interface View {
  readonly entities: ReadonlyMap<string, Entity>
  /** Rows that have no key: their content as text, how many, by table. */
  readonly copies: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** The thing that has a key: `table key`. */
  readonly byKey: ReadonlyMap<string, string>
  readonly rows: ReadonlyMap<string, readonly Values[]>
  /** Rows without what they refer to, and things that are there twice. */
  readonly faults: readonly string[]
}

const SIMPLE = /⟨(t\d+ [^⟨⟩]*)⟩/g

/** Which names mean the same thing: a customer who registered twice has two births. */
export class Names {
  readonly #same = new Map<string, string>()

  /** From now on both are one; says whether they weren't. */
  unite(one: string, another: string): boolean {
    const [a, b] = [this.canonical(one), this.canonical(another)]
    if (a !== b) this.#same.set(a, b)
    return a !== b
  }

  /** Every name in a text as the one that stands for all of the same thing. */
  canonical(text: string): string {
    if (this.#same.size === 0) return text
    return text.replaceAll(SIMPLE, (name) => this.#chief(name))
  }

  #chief(name: string): string {
    const next = this.#same.get(name)
    return next === undefined ? name : this.#chief(next)
  }
}

export const keyText = (table: ModelTable, row: Values): string => JSON.stringify(table.key.map((name) => row[name] ?? null))

export async function look(schema: ModelSchema, shop: Pick<ModelShop, 'rows'>, names: Names): Promise<View> {
  const rows = new Map<string, readonly Values[]>()
  for (const table of schema.tables) rows.set(table.name, await shop.rows(table))
  return viewOf(schema, rows, names)
}

function viewOf(schema: ModelSchema, rows: ReadonlyMap<string, readonly Values[]>, names: Names): View {
  const byKey = new Map<string, string>()
  const faults: string[] = []
  for (const table of schema.tables) {
    for (const row of table.key.length === 0 ? [] : (rows.get(table.name) ?? []))
      byKey.set(`${table.name} ${keyText(table, row)}`, names.canonical(nameOf(table, row, byKey)))
  }
  const entities = new Map<string, Entity>()
  const copies = new Map<string, Map<string, number>>()
  for (const table of schema.tables) {
    const own = new Map<string, number>()
    for (const row of rows.get(table.name) ?? []) {
      const content = contentOf(table, row, byKey, faults)
      const text = JSON.stringify(content)
      if (table.key.length === 0) own.set(text, (own.get(text) ?? 0) + 1)
      else {
        const key = keyText(table, row)
        const name = byKey.get(`${table.name} ${key}`) ?? ''
        if (entities.has(name)) faults.push(`${name} is there twice: ${entities.get(name)?.key} and ${key}`)
        entities.set(name, { table, name, key, content })
      }
    }
    if (table.key.length === 0) copies.set(table.name, own)
  }
  return { entities, copies, byKey, rows, faults }
}

function nameOf(table: ModelTable, row: Values, byKey: ReadonlyMap<string, string>): string {
  if (table.kind === 'identity') return `⟨${table.name} ${row.tag}⟩`
  if (table.kind !== 'owned' && table.kind !== 'annex') return `⟨${table.name} ${table.key.map((name) => row[name]).join(' ')}⟩`
  const [owner] = table.references
  const parent = byKey.get(`${owner?.parent} ${JSON.stringify([row.owner ?? null])}`) ?? `missing ${row.owner}`
  return `⟨${table.name} ${parent} ${row.line ?? ''}⟩`
}

function contentOf(table: ModelTable, row: Values, byKey: ReadonlyMap<string, string>, faults: string[]): Values {
  const content: Record<string, string | null> = {}
  const referring = new Set(table.references.flatMap((reference) => reference.columns))
  for (const column of table.columns) {
    if (!table.key.includes(column.name) && !referring.has(column.name)) content[column.name] = row[column.name] ?? null
  }
  for (const reference of table.references) {
    const cells = reference.columns.map((name) => row[name] ?? null)
    if (cells.every((cell) => cell === null)) content[reference.name] = null
    else {
      const found = byKey.get(`${reference.parent} ${JSON.stringify(cells)}`)
      if (found === undefined) faults.push(`${table.name} ${keyText(table, row)}.${reference.name} has no ${cells}`)
      content[reference.name] = found ?? `missing ${cells}`
    }
  }
  return content
}
