import { layoutOf } from '../databases/layout.ts'
import type { Database, ServerInfo, TableSize } from '../databases/port.ts'
import type { IdentityState, Layout, Schema, Table } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'

/** Answers by round and database. */
type Seen<T> = WeakMap<object, Map<Database, Promise<T>>>

/** What a database answers, asked once in a round of checks: anew for whoever asks outside a round, and after a question that failed. */
function onceARound<T>(rounds: Seen<T>, { round }: StepRun, database: Database, ask: () => Promise<T>): Promise<T> {
  if (round === undefined) return ask()
  const seen = rounds.get(round) ?? new Map<Database, Promise<T>>()
  rounds.set(round, seen)
  const known = seen.get(database)
  if (known !== undefined) return known
  const asked = ask()
  seen.set(database, asked)
  asked.catch(() => seen.delete(database))
  return asked
}

const schemas: Seen<Schema> = new WeakMap()
const infos: Seen<ServerInfo> = new WeakMap()
const sizes: Seen<readonly TableSize[]> = new WeakMap()

/** A host's schema, for a step's `check`: all checks of one round go by one reading, which takes some servers tens of seconds. */
export const schemaForCheck = (run: StepRun, database: Database): Promise<Schema> =>
  onceARound(schemas, run, database, () => database.schema())

/** Its tables alone: those of the schema where a check has asked for that. */
export async function tablesForCheck(run: StepRun, database: Database): Promise<readonly Table[]> {
  const { tables } = database
  const isRead = run.round !== undefined && schemas.get(run.round)?.has(database) === true
  if (isRead || tables === undefined) return (await schemaForCheck(run, database)).tables
  return await tables.call(database)
}

/** What a host's server says of itself, for a step's `check`. */
export const infoForCheck = (run: StepRun, database: Database): Promise<ServerInfo> =>
  onceARound(infos, run, database, () => database.info())

/** How large a host's tables are about, for a step's `check`. */
export const sizesForCheck = (run: StepRun, database: Database): Promise<readonly TableSize[]> =>
  onceARound(sizes, run, database, () => database.sizes())

/** The tables as they are now, for whoever needs nothing else of the schema. */
export const tablesOf = async (database: Database): Promise<readonly Table[]> =>
  (await database.tables?.()) ?? (await layoutOf(database)).tables

/**
 * Where a host's identities stand now, by a schema that was read earlier; by one read anew where they can't be asked by that one, since shops
 * make and drop tables all day long. Returns the one that it went by.
 */
export async function identitiesBy(
  database: Database,
  earlier: Layout,
): Promise<{ readonly schema: Layout; readonly states: readonly IdentityState[] }> {
  const states = await database.identities(earlier).catch(() => undefined)
  if (states !== undefined) return { schema: earlier, states }
  const schema = await layoutOf(database)
  return { schema, states: await database.identities(schema) }
}
