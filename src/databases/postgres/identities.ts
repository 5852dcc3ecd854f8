import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { fullName, type Identity, type IdentityState, type Layout, type TableName } from '../schema.ts'
import { ask, notOfExtension, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'
import { inTransaction } from './transaction.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

/**
 * Every column that a sequence numbers, and every sequence that numbers none. A column is numbered by the sequence that belongs to
 * it (identity, serial) or that its default takes a value from. One that isn't a number has only a part of its value from there
 * (`'ORD-' || nextval(…)`): how far that went, the sequence alone says. Numbers have the category N ("pg_type"), and so do domains over
 * them; oid has as well, but can't be read as one.
 */
const IDENTITIES = `WITH used AS (
  SELECT s.oid AS sequence, d.refobjid AS relation, d.refobjsubid AS num FROM pg_class s
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
    AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  WHERE s.relkind = 'S'
  UNION
  SELECT s.oid, f.adrelid, f.adnum FROM pg_class s
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.classid = 'pg_attrdef'::regclass
  JOIN pg_attrdef f ON f.oid = d.objid
  WHERE s.relkind = 'S'
), numbered AS (
  SELECT u.* FROM used u JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.num
  JOIN pg_type y ON y.oid = a.atttypid WHERE y.typcategory = 'N' AND y.oid <> 'oid'::regtype
)
SELECT DISTINCT coalesce(nullif(a.attidentity, ''), '') <> '' AS own, sn.nspname AS "sequenceSchema", s.relname AS "sequenceName",
  n.nspname AS schema, c.relname AS "table", a.attname AS "column", q.seqstart::text AS seed, q.seqincrement::text AS increment,
  q.seqmin::text AS minimum, q.seqmax::text AS maximum, q.seqcache::text AS cache, q.seqcycle AS cycles,
  format_type(a.atttypid, NULL) AS type
FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace
LEFT JOIN numbered u ON u.sequence = s.oid
-- A partition's column is its table's.
LEFT JOIN pg_class c ON c.oid = coalesce(pg_partition_root(u.relation), u.relation) LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute own ON own.attrelid = u.relation AND own.attnum = u.num
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = own.attname AND NOT a.attisdropped
WHERE ${SHOP_SCHEMA.replaceAll('n.nspname', 'sn.nspname')} AND ${notOfExtension('pg_class', 's.oid')}
  AND (c.oid IS NULL OR (c.relkind IN ('r', 'p') AND ${SHOP_RELATION}))
ORDER BY 2, 3, 4, 5, 6`

const identityRow = z.object({
  own: z.boolean(),
  sequenceSchema: z.string(),
  sequenceName: z.string(),
  schema: z.string().nullable(),
  table: z.string().nullable(),
  column: z.string().nullable(),
  seed: z.string(),
  increment: z.string(),
  minimum: z.string(),
  maximum: z.string(),
  cache: z.string(),
  cycles: z.boolean(),
  type: z.string().nullable(),
})

/**
 * A sequence writes so many values ahead to the log, and goes on after them when the server was ended by force: SEQ_LOG_VALS in
 * PostgreSQL's src/backend/commands/sequence.c.
 */
const LOGGED_AHEAD = 32n

/** With CACHE, `last_value` counts what sessions hold in store already; the next session that comes takes as many at once. */
const jumpOf = (cache: string): string => String(LOGGED_AHEAD + (cache === '1' ? 0n : BigInt(cache)))

const TYPE_RANGE: Readonly<Record<string, readonly [bigint, bigint]>> = {
  smallint: [-32_768n, 32_767n],
  integer: [-2_147_483_648n, 2_147_483_647n],
}

export async function readIdentities(session: Session): Promise<readonly Identity[]> {
  const rows = await ask(session, identityRow, IDENTITIES)
  return rows.map((row) => {
    const sequence = { schema: row.sequenceSchema, name: row.sequenceName }
    const range = TYPE_RANGE[row.type ?? '']
    return {
      kind: row.own ? 'column' : 'sequence',
      table: row.schema === null || row.table === null ? sequence : { schema: row.schema, name: row.table },
      column: row.column ?? '',
      sequence,
      seed: row.seed,
      increment: row.increment,
      minimum: range !== undefined && BigInt(row.minimum) < range[0] ? String(range[0]) : row.minimum,
      maximum: range !== undefined && BigInt(row.maximum) > range[1] ? String(range[1]) : row.maximum,
      jump: jumpOf(row.cache),
      ...(row.cache === '1' ? {} : { batch: row.cache }),
      ...(row.cycles ? { cycles: true } : {}),
    }
  })
}

/** Where every identity of the schema stands now. */
export async function identityStates(session: Session, schema: Pick<Layout, 'identities'>): Promise<readonly IdentityState[]> {
  const states: IdentityState[] = []
  const named = new Map(schema.identities.map((identity) => [nameOf(identity), identity]))
  for (const identity of named.values()) {
    const sharing = schema.identities.filter((other) => sequenceKey(other) === sequenceKey(identity))
    states.push(await identityState(session, identity, sharing))
  }
  return states
}

const nameOf = (identity: Identity): string => JSON.stringify([identity.table, identity.column, sequenceKey(identity)])

const sequenceKey = (identity: Identity): string =>
  identity.sequence === null ? JSON.stringify([identity.table, identity.column]) : fullName(identity.sequence)

/** The sequence that stands behind an identity on this server: a column's own may have another name here. */
async function sequenceOf(session: Session, identity: Identity): Promise<TableName> {
  if (identity.kind === 'sequence' && identity.sequence !== null) return identity.sequence
  const found = await ask(
    session,
    z.object({ schema: z.string(), name: z.string() }),
    `SELECT n.nspname AS schema, s.relname AS name FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
     WHERE s.oid = pg_get_serial_sequence(${quoteText(quoteTable(identity.table))}, ${quoteText(identity.column)})::regclass`,
  )
  const [sequence] = found
  if (sequence === undefined) {
    throw new MigrateError(
      'database-statement-failed',
      `${fullName(identity.table)}.${identity.column} isn't numbered by itself on the ${session.label}.`,
      {
        hint: 'The table was changed since its schema was read: run again from the step that reads it.',
      },
    )
  }
  return sequence
}

interface Position {
  readonly last: bigint
  readonly called: boolean
}

async function position(session: Session, sequence: TableName): Promise<Position> {
  const { rows } = await session.query(`SELECT last_value, is_called::text FROM ${quoteTable(sequence)}`)
  const [last, called] = rows[0] ?? []
  return { last: BigInt(last ?? 0), called: called === 'true' }
}

const nextOf = (at: Position, increment: bigint): bigint => (at.called ? at.last + increment : at.last)

async function identityState(session: Session, identity: Identity, sharing: readonly Identity[]): Promise<IdentityState> {
  const increment = BigInt(identity.increment)
  const at = await position(session, await sequenceOf(session, identity))
  const given = at.called ? [at.last] : []
  for (const other of sharing) given.push(...(await furthest(session, other, increment)))
  return { identity, last: furthestOf(given, increment), next: nextOf(at, increment) }
}

const furthestOf = (values: readonly bigint[], increment: bigint): bigint | null =>
  values.reduce<bigint | null>(
    (best, value) => (best === null || (increment < 0n ? value < best : value > best) ? value : best),
    null,
  )

/** The largest value in the column (the smallest for a negative increment); [] when it is empty. */
async function furthest(session: Session, identity: Identity, increment: bigint): Promise<readonly bigint[]> {
  if (identity.column === '') return []
  const edge = increment < 0n ? 'min' : 'max'
  const sql = `SELECT trunc(${edge}(${quoteName(identity.column)})::numeric)::text FROM ${quoteTable(identity.table)}`
  const { rows } = await session.query(sql)
  const value = rows[0]?.[0] ?? null
  return value === null ? [] : [BigInt(value)]
}

const setvalSql = (sequence: TableName, value: bigint): string =>
  `SELECT setval(${quoteText(quoteTable(sequence))}::regclass, ${value}, true)`

/** See the port: for a person to run. */
export const raiseSql = (identity: Identity, value: bigint): string => `${setvalSql(identity.sequence ?? identity.table, value)};`

/** See the port: never back, read back, beyond `value` also when the sequence was never used. */
export async function raise(session: Session, identity: Identity, value: bigint): Promise<void> {
  const increment = BigInt(identity.increment)
  const sequence = await sequenceOf(session, identity)
  const beyond = (next: bigint): boolean => (increment < 0n ? next < value : next > value)
  // One that is to stand at its very end hands out nothing more, as where it comes from.
  if (value > BigInt(identity.maximum) || value < BigInt(identity.minimum)) {
    if (beyond(nextOf(await position(session, sequence), increment))) return
    throw new MigrateError(
      'identity-out-of-range',
      `${describe(identity)} on the ${session.label} can't be raised beyond ${value}: it ends at ${increment < 0n ? identity.minimum : identity.maximum}. It was left as it is.`,
      { hint: 'Give this table a smaller headroom in the playbook, or widen the column to bigint first.' },
    )
  }
  await inTransaction(
    session,
    'write',
    async () => {
      await holdSequence(session, sequence, increment)
      if (beyond(nextOf(await position(session, sequence), increment))) return
      await session.query(setvalSql(sequence, value))
    },
    true,
  )
  const next = nextOf(await position(session, sequence), increment)
  if (beyond(next)) return
  throw new MigrateError(
    'identity-not-raised',
    `${describe(identity)} on the ${session.label} still gives ${next} after it was moved beyond ${value}.`,
    {
      hint: 'Something else sets it at the same time. Find out what, then run again.',
    },
  )
}

/**
 * Keeps others from taking numbers until the transaction ends, so that none is taken between looking and setting. Only the owner
 * can (ALTER SEQUENCE takes a lock that nextval waits for); an account that may merely UPDATE the sequence goes on without.
 */
async function holdSequence(session: Session, sequence: TableName, increment: bigint): Promise<void> {
  await session.query('SAVEPOINT hold')
  try {
    await session.query(`ALTER SEQUENCE ${quoteTable(sequence)} INCREMENT BY ${increment}`)
    await session.query('RELEASE SAVEPOINT hold')
  } catch (error) {
    if (session.error(error).code !== 'database-permission-denied') throw error
    await session.query('ROLLBACK TO SAVEPOINT hold')
  }
}

/** Puts a sequence back to where `state` says it stood. */
export async function reset(session: Session, identity: Identity, state: IdentityState): Promise<void> {
  const increment = BigInt(identity.increment)
  const sequence = await sequenceOf(session, identity)
  const before = state.next - increment
  const inRange = before >= BigInt(identity.minimum) && before <= BigInt(identity.maximum)
  const target = quoteText(quoteTable(sequence))
  const called = state.last !== null && inRange
  await session.query(`SELECT setval(${target}::regclass, ${called ? before : state.next}, ${called})`)
  const next = nextOf(await position(session, sequence), increment)
  if (next === state.next) return
  throw new MigrateError(
    'identity-not-raised',
    `${describe(identity)} on the ${session.label} gives ${next} after it was set back to ${state.next}.`,
  )
}

const describe = (identity: Identity): string =>
  identity.column === '' ? `Sequence ${fullName(identity.table)}` : `${fullName(identity.table)}.${identity.column}`
