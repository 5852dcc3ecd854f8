import { MigrateError } from '../../base/errors.ts'
import { fullName, type Identity, type IdentityState, type Layout, type Table } from '../schema.ts'
import { sequenceNames } from './introspect-objects.ts'
import { chunks } from './keys.ts'
import type { Session } from './session.ts'
import { defineLayout } from './strict-layout.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

const BITS: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 }

/** The largest value of a type, "Integer Types"; float and double number exactly up to 2^24 and 2^53. */
function largestOf(type: string): bigint {
  const name = /^\w+/.exec(type)?.[0] ?? ''
  if (name === 'float') return 2n ** 24n
  const bits = BITS[name]
  if (bits === undefined) return 2n ** 53n
  return 2n ** BigInt(/unsigned/i.test(type) ? bits : bits - 1) - 1n
}

/**
 * Every auto-numbered column, every column that a sequence numbers by its default, every sequence that numbers none. Nobody notes where
 * an auto-numbered column began: its smallest value says it.
 */
export async function readIdentities(session: Session, tables: readonly Table[]): Promise<readonly Identity[]> {
  const steps = await stepsOf(session)
  const columns = tables.flatMap((table) =>
    table.columns
      .filter((column) => column.identity !== null)
      .map(
        (column): Identity => ({
          kind: 'column',
          table: table.name,
          column: column.name,
          sequence: null,
          seed: '1',
          increment: String(steps.increment),
          minimum: '1',
          maximum: String(largestOf(column.type)),
        }),
      ),
  )
  const firsts = await edgesOf(session, columns, 'first')
  const begun = columns.map((identity, at) => {
    const first = firsts[at] ?? null
    return first !== null && first > 1n ? { ...identity, seed: String(first) } : identity
  })
  const sequences: Identity[] = []
  for (const name of await sequenceNames(session)) sequences.push(...(await sequenceIdentities(session, name, tables, steps)))
  return [...begun, ...sequences]
}

async function sequenceIdentities(
  session: Session,
  name: string,
  tables: readonly Table[],
  steps: Steps,
): Promise<readonly Identity[]> {
  const { rows } = await session.query(
    `SELECT start_value, increment, minimum_value, maximum_value, cycle_option FROM ${quoteName(name)}`,
  )
  const [seed, increment, minimum, maximum, cycles] = (rows[0] ?? []).map((cell) => cell ?? '0')
  const sequence = { schema: '', name }
  const common = {
    kind: 'sequence',
    sequence,
    seed: seed ?? '1',
    // 0 stands for the server's own ("CREATE SEQUENCE", INCREMENT).
    increment: increment === '0' ? String(steps.increment) : (increment ?? '1'),
    minimum: minimum ?? '1',
    maximum: maximum ?? '1',
    ...(cycles === '1' ? { cycles: true } : {}),
  } as const
  const call = `nextval(${quoteName(name)})`
  const users = tables.flatMap((table) =>
    table.columns
      .filter((column) => column.default?.sql.toLowerCase() === call.toLowerCase())
      .map((column): Identity => ({ ...common, table: table.name, column: column.name })),
  )
  return users.length > 0 ? users : [{ ...common, table: sequence, column: '' }]
}

interface Steps {
  readonly increment: bigint
  readonly offset: bigint
}

/** How the server numbers: @@auto_increment_increment and offset, which replicas that are both written to set apart. */
async function stepsOf(session: Session): Promise<Steps> {
  const { rows } = await session.query('SELECT @@GLOBAL.auto_increment_increment, @@GLOBAL.auto_increment_offset')
  return { increment: BigInt(rows[0]?.[0] ?? 1), offset: BigInt(rows[0]?.[1] ?? 1) }
}

/** The next value really given: the first of the server's series that isn't below the counter ("auto_increment_offset"). */
function inSeries(counter: bigint, { increment, offset }: Steps): bigint {
  const start = offset > increment ? 1n : offset
  if (counter <= start) return start
  return start + ((counter - start + increment - 1n) / increment) * increment
}

/** Where every identity of the schema stands now. */
export async function identityStates(session: Session, schema: Pick<Layout, 'identities'>): Promise<readonly IdentityState[]> {
  const steps = await stepsOf(session)
  // First: after a restart MySQL knows of a table's counter only what it noted long ago, until somebody reads the table.
  const edges = await edgesOf(session, schema.identities, 'last')
  const counters = await autoIncrements(session)
  const states: IdentityState[] = []
  for (const [at, identity] of schema.identities.entries()) {
    const edge = edges[at] ?? null
    if (identity.kind === 'column') states.push(columnState(identity, counters.get(identity.table.name) ?? 1n, edge, steps))
    else states.push(await sequenceState(session, identity, sharedEdge(schema.identities, edges, identity), steps))
  }
  return states
}

async function autoIncrements(session: Session): Promise<ReadonlyMap<string, bigint>> {
  const { rows } = await session.query(
    `SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND AUTO_INCREMENT IS NOT NULL`,
  )
  return new Map(rows.map(([name, counter]) => [name ?? '', BigInt(counter ?? 1)]))
}

const IDENTITIES_AT_ONCE = 100

/** The first or the furthest value in each identity's column, `null` where there is none. */
async function edgesOf(
  session: Session,
  identities: readonly Identity[],
  which: 'first' | 'last',
): Promise<readonly (bigint | null)[]> {
  const edges: (bigint | null)[] = []
  for (const chunk of chunks(identities, IDENTITIES_AT_ONCE)) {
    const values = chunk.map((identity) => {
      if (identity.column === '') return 'NULL'
      const edge = BigInt(identity.increment) < 0n === (which === 'last') ? 'MIN' : 'MAX'
      return `(SELECT CAST(${edge}(${quoteName(identity.column)}) AS CHAR) FROM ${quoteTable(identity.table)})`
    })
    const { rows } = await session.question(`SELECT ${values.join(', ')}`)
    edges.push(...(rows[0] ?? []).map((text) => (text === null ? null : BigInt(text.replace(/\..*$/, '')))))
  }
  return edges
}

/**
 * A counter beyond 1 has given numbers, even when the rows are gone. MySQL up to 5.7 and MariaDB up to 10.2.3 forget it at a restart
 * and go on after the largest row ("InnoDB AUTO_INCREMENT Counter Initialization"), so the larger of the two is taken.
 */
export function columnState(identity: Identity, counter: bigint, edge: bigint | null, steps: Steps): IdentityState {
  const beyondRows = edge === null || edge < 0n ? 1n : edge + 1n
  const first = counter > beyondRows ? counter : beyondRows
  const given = counter > 1n && (edge === null || counter - 1n > edge) ? counter - 1n : edge
  return { identity, last: given, next: inSeries(first, steps) }
}

const sharedEdge = (identities: readonly Identity[], edges: readonly (bigint | null)[], identity: Identity): readonly bigint[] =>
  identities.flatMap((other, at) => {
    const edge = edges[at]
    return other.sequence?.name === identity.sequence?.name && edge !== null && edge !== undefined ? [edge] : []
  })

/**
 * A sequence with a cache has set values aside that it may give or lose ("CREATE SEQUENCE", CACHE): what it says is the first value
 * beyond all of those, and it stands there for what it may give.
 */
async function sequenceState(
  session: Session,
  identity: Identity,
  edges: readonly bigint[],
  steps: Steps,
): Promise<IdentityState> {
  const increment = BigInt(identity.increment)
  const name = identity.sequence?.name ?? identity.table.name
  const next = await nextOfSequence(session, name, steps)
  const given = next === BigInt(identity.seed) ? edges : [...edges, next - increment]
  const last = given.reduce<bigint | null>(
    (far, value) => (far === null || (increment < 0n ? value < far : value > far) ? value : far),
    null,
  )
  return { identity, last, next }
}

/** One that counts in the server's own steps gives the next number that leaves the server's offset over when divided by them. */
async function nextOfSequence(session: Session, name: string, { increment, offset }: Steps): Promise<bigint> {
  const { rows } = await session.query(`SELECT next_not_cached_value, increment FROM ${quoteName(name)}`)
  const next = BigInt(rows[0]?.[0] ?? 0)
  return rows[0]?.[1] === '0' ? next + ((((offset - next) % increment) + increment) % increment) : next
}

async function stateOf(session: Session, identity: Identity): Promise<IdentityState> {
  const none = { tables: [], foreignKeys: [], objects: [], principals: [], findings: [] }
  const [state] = await identityStates(session, { ...none, identities: [identity] })
  if (state === undefined) throw new MigrateError('fault', `${describe(identity)} can't be found on the ${session.label}.`)
  return state
}

/** See the port. */
export const raiseSql = (identity: Identity, value: bigint): string =>
  identity.kind === 'column'
    ? `ALTER TABLE ${quoteTable(identity.table)} AUTO_INCREMENT = ${value + 1n};`
    : `${setvalSql(identity, value)};`

const setvalSql = (identity: Identity, value: bigint): string =>
  `SELECT SETVAL(${quoteName(identity.sequence?.name ?? '')}, ${value}, 1)`

/** See the port: never back, read back, beyond `value` also when the table was never used. */
export async function raise(session: Session, identity: Identity, value: bigint): Promise<void> {
  const increment = BigInt(identity.increment)
  const beyond = (next: bigint): boolean => (increment < 0n ? next < value : next > value)
  if (beyond((await stateOf(session, identity)).next)) return
  // A sequence that is to stand at its very end hands out nothing more, as where it comes from.
  const wanted = identity.kind === 'column' ? value + 1n : value
  if (wanted > BigInt(identity.maximum) || wanted < BigInt(identity.minimum)) {
    throw new MigrateError(
      'identity-out-of-range',
      `${describe(identity)} on the ${session.label} can't be raised beyond ${value}: it ends at ${increment < 0n ? identity.minimum : identity.maximum}. It was left as it is.`,
      { hint: 'Give this table a smaller headroom in the playbook, or widen the column to bigint first.' },
    )
  }
  if (identity.kind === 'column') await setCounter(session, identity, wanted)
  else await session.query(setvalSql(identity, value))
  const { next } = await stateOf(session, identity)
  if (beyond(next)) return
  throw new MigrateError(
    'identity-not-raised',
    `${describe(identity)} on the ${session.label} still gives ${next} after it was moved beyond ${value}.`,
    { hint: 'Something else sets it at the same time. Find out what, then run again.' },
  )
}

/**
 * InnoDB only notes the number, nobody is kept from writing ("Online DDL Operations", Changing the auto-increment value); others
 * build the table anew.
 */
async function setCounter(session: Session, identity: Identity, value: bigint): Promise<void> {
  const { rows } = await session.query(
    `SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${quoteText(identity.table.name)}`,
  )
  const online = rows[0]?.[0] === 'InnoDB' ? ', ALGORITHM=INPLACE, LOCK=NONE' : ''
  await defineLayout(session, `ALTER TABLE ${quoteTable(identity.table)} AUTO_INCREMENT = ${value}${online}`)
}

/** Puts an identity back to where `state` says it stood. */
export async function reset(session: Session, identity: Identity, state: IdentityState): Promise<void> {
  if (identity.kind === 'column') await setCounter(session, identity, state.next)
  else await session.query(`ALTER SEQUENCE ${quoteName(identity.sequence?.name ?? '')} RESTART WITH ${state.next}`)
  const { next } = await stateOf(session, identity)
  if (next === state.next) return
  throw new MigrateError(
    'identity-not-raised',
    `${describe(identity)} on the ${session.label} gives ${next} after it was set back to ${state.next}.`,
  )
}

const describe = (identity: Identity): string =>
  identity.column === '' ? `Sequence ${fullName(identity.table)}` : `${fullName(identity.table)}.${identity.column}`
