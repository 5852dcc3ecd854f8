import { fullName, type Table } from '../schema.ts'

/** Prefixes that say nothing of what a table holds, also where only one table has them. */
const BARE_PREFIXES: ReadonlySet<string> = new Set(['tbl', 'tb', 't', 'dbo', 'app', 'shop'])
/** A word of so few letters is a mark rather than a word: `wp_wc_orders`. */
const SHORT = 3

/** Words before the name of a thing that say in which part it is referred to: `BillingAddressId`, `created_by_user_id`. */
const ROLES: ReadonlySet<string> = new Set(
  `parent child billing shipping delivery invoice original old new previous next first last root main primary default related linked
   associated created updated modified changed deleted approved by from to of source target sender recipient author assigned
   current selected duplicate ref reference fk`.split(/\s+/),
)

/** `Customers`, `customer`, `Nop_Customer` and `tblCustomers` are one word to a reader: names in lower case, in the singular. */
export const wordsOf = (name: string): readonly string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map(singular)

function singular(word: string): string {
  if (word.length < 4 || /(?:ss|us|is)$/.test(word)) return word
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`
  if (/(?:ss|x|ch|sh|zz|us)es$/.test(word)) return word.slice(0, -2)
  return word.endsWith('s') ? word.slice(0, -1) : word
}

const ID = /^(?:id|guid|uuid|uid|fk|ref)$/

/** What a column's name says it refers to: `customer_id`, `CustomerID`, `id_customer`, `fk_customer`, `customerid` → customer. */
export interface Stem {
  readonly words: readonly string[]
  /** False where nothing in the name says that it is an id: `customer`, `post_parent`. */
  readonly marked: boolean
}

export function stemOf(column: string): Stem {
  const words = wordsOf(column)
  const [first, last] = [words[0] ?? '', words.at(-1) ?? '']
  if (words.length > 1 && ID.test(last)) return { words: words.slice(0, -1), marked: true }
  if (words.length > 1 && ID.test(first)) return { words: words.slice(1), marked: true }
  if (words.length === 1 && ID.test(first)) return { words: [], marked: true }
  const glued = /^(.{3,})(?:id|guid)$/.exec(last)?.[1]
  if (glued !== undefined) return { words: [...words.slice(0, -1), singular(glued)], marked: true }
  return { words, marked: false }
}

/** The names under which a table's rows may be referred to; `whole`: what is left of the prefix that most tables share. */
interface Entity {
  readonly words: readonly string[]
  readonly whole: boolean
}

/** Judges how well columns' names fit tables, by what all tables of the schema are called. Pure. */
export class Names {
  readonly #entities = new Map<string, readonly Entity[]>()

  constructor(tables: readonly Table[]) {
    const all = tables.map((table) => wordsOf(table.name.name))
    const things = new Set(all.map((words) => words.join(' ')))
    const count = (prefix: readonly string[]): number =>
      all.filter((words) => words.length > prefix.length && prefix.every((word, at) => words[at] === word)).length
    for (const table of tables) {
      const words = wordsOf(table.name.name)
      const entities: Entity[] = [{ words, whole: true }]
      for (let length = 1; length <= 2 && length < words.length; length += 1) {
        const prefix = words.slice(0, length)
        const shared = count(prefix)
        const bare = length === 1 && BARE_PREFIXES.has(prefix[0] ?? '')
        // Of `order_status` and `order_note` the first word is no prefix where there are orders: it is what they belong to.
        const short = (prefix.at(-1) ?? '').length <= SHORT
        if (!bare && ((shared < 2 && !short) || things.has(prefix.join(' ')))) continue
        entities.push({ words: words.slice(length), whole: bare || (shared >= 3 && shared * 2 >= tables.length) })
      }
      this.#entities.set(fullName(table.name), entities)
    }
  }

  /**
   * How much a column of `child` looks by its name like the key of `parent`: 5, by its very name, to 1, by half of it; 0, not at all.
   */
  fit(child: Table, column: string, parent: Table): number {
    const self = fullName(child.name) === fullName(parent.name)
    const stem = stemOf(column)
    if (self) return this.#fitSelf(stem, parent)
    const owners = new Set(wordsOf(child.name.name))
    const scores = (this.#entities.get(fullName(parent.name)) ?? []).map((entity) => fitOf(stem, entity, owners))
    return Math.max(0, keyFit(column, parent.key[0] ?? '', owners), ...scores)
  }

  /** A row that refers to another of its own table says in which part: its parent, the original. */
  #fitSelf(stem: Stem, table: Table): number {
    if (stem.words.at(-1) === 'parent') return 4
    const entities = this.#entities.get(fullName(table.name)) ?? []
    const fits = entities.some(({ words }) => {
      const role = rolesBefore(stem.words, words)
      return role !== undefined && role.length > 0 && role.every((word) => ROLES.has(word))
    })
    return fits && stem.marked ? 3 : 0
  }
}

/** Words of `stem` before `entity`, where it ends with that; `undefined` where it doesn't. */
function rolesBefore(stem: readonly string[], entity: readonly string[]): readonly string[] | undefined {
  const start = stem.length - entity.length
  if (start < 0 || entity.some((word, at) => stem[start + at] !== word)) return undefined
  return stem.slice(0, start)
}

function fitOf(stem: Stem, entity: Entity, owners: ReadonlySet<string>): number {
  if (stem.words.length === 0) return 0
  if (stem.words.join('') === entity.words.join('')) return stem.marked ? (entity.whole ? 5 : 4) : entity.whole ? 2 : 0
  const roles = rolesBefore(stem.words, entity.words)
  if (roles === undefined || !stem.marked) return 0
  if (roles.every((word) => ROLES.has(word) || owners.has(word))) return entity.whole ? 3 : 2
  return entity.whole ? 1 : 0
}

/** A key with a name of its own (`CustomerID`, `order_item_id`) is referred to by that name. */
function keyFit(column: string, key: string, owners: ReadonlySet<string>): number {
  const words = wordsOf(key)
  if (words.length < 2 && !/^.{3,}id$/i.test(key)) return 0
  if (column.toLowerCase() === key.toLowerCase() || wordsOf(column).join('') === words.join('')) return 5
  const roles = rolesBefore(wordsOf(column), words)
  if (roles === undefined || roles.length === 0) return 0
  return roles.every((word) => ROLES.has(word) || owners.has(word)) ? 3 : 1
}
