import type { Finding } from '../base/errors.ts'
import { fullName, type Schema, type Table } from '../databases/schema.ts'
import { declaredReferences, rulesFor } from './rules.ts'
import type { World } from './world.ts'

/** Whole numbers as the engines spell them: `int`, `bigint unsigned`, `int(11)`, `decimal(18,0)`, `numeric(10)`. */
const WHOLE =
  /^(?:(?:tiny|small|medium|big)?int(?:eger)?|(?:numeric|decimal)\(\d+(?:, ?0)?\))(?:\(\d+\))?(?: unsigned)?(?: zerofill)?$/i

/** So many names tell enough. */
const NAMED = 8

/**
 * Tables whose key is one whole number that nothing in the database hands out: perhaps a list that never grows, perhaps one that the
 * shop numbers by itself, by the largest so far plus one or by a counter in another table. Which of them it is can't be seen.
 */
export function numberedByShop(world: World, schema: Schema): readonly Finding[] {
  const rules = rulesFor(world, schema)
  const numbered = new Set(schema.identities.map(({ table, column }) => `${fullName(table)}.${column}`))
  const children = new Set(
    [...schema.foreignKeys, ...declaredReferences(world, schema.tables)].flatMap(({ table, columns }) =>
      columns.map((column) => `${fullName(table)}.${column}`),
    ),
  )
  const own = schema.tables.flatMap((table) => {
    const name = rules(table).mode === 'track' ? wholeKey(table) : undefined
    return name === undefined || numbered.has(name) || children.has(name) ? [] : [name]
  })
  return own.length === 0 ? [] : [findingOf(own)]
}

/** The column that is the primary key by itself, by its full name, where it is a whole number without a default. */
function wholeKey(table: Table): string | undefined {
  const [name, ...others] = table.primaryKey?.columns ?? []
  const column = table.columns.find((each) => each.name === name)
  if (column === undefined || others.length > 0 || column.identity !== null) return undefined
  if (column.computed !== null || column.default !== null || !WHOLE.test(column.type)) return undefined
  return `${fullName(table.name)}.${column.name}`
}

function findingOf(own: readonly string[]): Finding {
  const more = own.length > NAMED ? ` and ${own.length - NAMED} more` : ''
  const names = `${own.slice(0, NAMED).join(', ')}${more}`
  return {
    severity: 'warning',
    code: 'numbered-by-the-shop',
    message: `How does your shop number ${names}? Nothing in the database hands these out: if the shop counts by itself (the largest so far plus one), both hosts will hand out the same numbers, and no headroom keeps them apart.`,
    hint: 'Lists that never grow are fine. For the others: stop writing to them while both hosts take orders, or let the database number them (identity, AUTO_INCREMENT, a sequence) before you move. Rows that meet are found by reconcile and parked, not lost.',
  }
}
