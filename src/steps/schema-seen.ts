import type { Database } from '../databases/port.ts'
import type { IdentityState, Schema } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'

const rounds = new WeakMap<object, Map<Database, Promise<Schema>>>()

/**
 * A host's schema, for a step's `check`: all checks of one round go by one reading, which takes some servers tens of seconds. Read anew
 * for whoever asks outside a round, and after a reading that failed.
 */
export function schemaForCheck({ round }: StepRun, database: Database): Promise<Schema> {
  if (round === undefined) return database.schema()
  const seen = rounds.get(round) ?? new Map<Database, Promise<Schema>>()
  rounds.set(round, seen)
  const known = seen.get(database)
  if (known !== undefined) return known
  const asked = database.schema()
  seen.set(database, asked)
  asked.catch(() => seen.delete(database))
  return asked
}

/**
 * Where a host's identities stand now, by a schema that was read earlier; by one read anew where they can't be asked by that one, since shops
 * make and drop tables all day long. Returns the one that it went by.
 */
export async function identitiesBy(
  database: Database,
  earlier: Schema,
): Promise<{ readonly schema: Schema; readonly states: readonly IdentityState[] }> {
  const states = await database.identities(earlier).catch(() => undefined)
  if (states !== undefined) return { schema: earlier, states }
  const schema = await database.schema()
  return { schema, states: await database.identities(schema) }
}
