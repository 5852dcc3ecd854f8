import type { Table } from '../schema.ts'
import { serverNumber } from './errors.ts'
import { chunks } from './keys.ts'
import type { Session } from './session.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

/**
 * ER_TABLE_DEF_CHANGED: a table was emptied or made anew since the snapshot, and the server knows it. ER_UNKNOWN_PARTITION: one is gone of
 * those that the snapshot's catalog names (MySQL since 8.0).
 */
const CHANGED = new Set([1412, 1735])
export const isChanged = (error: unknown): boolean => CHANGED.has(serverNumber(error) ?? 0)

/** Questions that go together into one. */
const AT_ONCE = 50

/** The keys of a table's first row and its last, or that there is one where it has no key; by partition, `WHOLE` of a table that has none. */
export type Ends = ReadonlyMap<string, string>
const WHOLE = ''

const NONE: Ends = new Map()

/** True when all that stood at the ends stands there. Partitions are never other ones: their table then counts as made anew. */
export const isSameEnds = (one: Ends = NONE, other: Ends = NONE): boolean =>
  one.size === other.size && [...other].every(([part, end]) => one.get(part) === end)

/** The names of the lowest parts of a table that is divided. */
const partsSql = ({ name }: Table): string =>
  `SELECT TABLE_NAME, COALESCE(SUBPARTITION_NAME, PARTITION_NAME) FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${quoteText(name.name)}`

/** Each end is the first entry of an index from its side. */
function endsSql(table: Table, part: string): readonly string[] {
  const from = `${quoteTable(table.name)}${part === WHOLE ? '' : ` PARTITION (${quoteName(part)})`}`
  const names = [table.name.name, part].map(quoteText).join(', ')
  if (table.key.length === 0) return [`(SELECT ${names}, '1' FROM ${from} LIMIT 1)`]
  const key = table.key.map(quoteName)
  const text = `CONCAT_WS(' ', ${key.map((column) => `HEX(CONCAT(${column}))`).join(', ')})`
  return ['', ' DESC'].map(
    (way) => `(SELECT ${names}, ${text} FROM ${from} ORDER BY ${key.map((column) => `${column}${way}`).join(', ')} LIMIT 1)`,
  )
}

export async function ask(session: Session, questions: readonly string[]): Promise<readonly (readonly (string | null)[])[]> {
  const rows: (readonly (string | null)[])[] = []
  if (questions.length > 0) await session.resultsAs('text')
  for (const some of chunks(questions, AT_ONCE)) rows.push(...(await session.query(some.join(' UNION ALL '))).rows)
  return rows
}

/** What stands at the ends of some tables, of which `isParted` are divided, by their names. Throws `changed` of a table of which the server says so. */
export async function endsOf(
  session: Session,
  tables: readonly Table[],
  isParted: (table: Table) => boolean,
  changed: (table: Table, error: unknown) => Error,
): Promise<ReadonlyMap<string, Ends>> {
  const parts = Map.groupBy(await ask(session, tables.filter(isParted).map(partsSql)), ([name]) => name ?? '')
  const questions = (table: Table): readonly string[] =>
    (parts.get(table.name.name) ?? [[null, WHOLE]]).flatMap(([, part]) => endsSql(table, part ?? WHOLE))
  const ends = new Map(tables.map(({ name }) => [name.name, new Map<string, string>()]))
  for (const [name, part, end] of await asked(session, tables, questions, changed)) {
    const of = ends.get(name ?? '')
    of?.set(part ?? '', `${of.get(part ?? '') ?? ''} ${end ?? ''}`)
  }
  return ends
}

async function asked(
  session: Session,
  tables: readonly Table[],
  questions: (table: Table) => readonly string[],
  changed: (table: Table, error: unknown) => Error,
): Promise<readonly (readonly (string | null)[])[]> {
  try {
    return await ask(session, tables.flatMap(questions))
  } catch (error) {
    if (!isChanged(error)) throw error
    // Which of them it was, the server doesn't say.
    for (const table of tables)
      await ask(session, questions(table)).catch((each: unknown) => {
        throw isChanged(each) ? changed(table, each) : each
      })
    throw error
  }
}
