import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { fullName, type Identity, type IdentityState, type Layout } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { chunks } from './keys.ts'
import { quoteName, quoteTable, quoteText } from './names.ts'
import type { Session } from './session.ts'

/**
 * Where an identity column stands, as the server tells it.
 *
 * "DBCC CHECKIDENT (Transact-SQL)": after RESEED the next row gets the value itself when the table never had rows (or was truncated),
 * and the value plus the increment otherwise. sys.identity_columns.last_value is null when no value was ever given; servers differ
 * in whether it stays so after a reseed, so for a table without rows CHECKIDENT with NORESEED is asked, which says NULL for one
 * that never gave a value. Where there are rows and no last_value, the server hides it from this account, and the rows count.
 */
interface Standing {
  readonly lastValue: bigint | null
  readonly current: bigint | null
  /** The largest value in the column, smallest for a negative increment; null without rows. */
  readonly furthest: bigint | null
  /** True when the next value is the current one, not the one after it. */
  readonly untouched: boolean
}

const further = (a: bigint, b: bigint, increment: bigint): boolean => (increment < 0n ? a < b : a > b)

/** The state that the port speaks of. Pure. */
export function stateOf(identity: Identity, standing: Standing): IdentityState {
  const increment = BigInt(identity.increment)
  const { lastValue, current, furthest, untouched } = standing
  const told = lastValue ?? current ?? BigInt(identity.seed)
  if (untouched) return { identity, last: furthest, next: told }
  const last = furthest !== null && further(furthest, told, increment) ? furthest : told
  // Rows beyond last_value were given their numbers, and the server will come to those; without it, all it gave is in the rows.
  return { identity, last, next: (lastValue === null ? last : told) + increment }
}

/** The value to reseed to so that the next one is `next`. Pure. */
export const reseedFor = (next: bigint, increment: bigint, untouched: boolean): bigint => (untouched ? next : next - increment)

const standingRow = z.object({
  position: z.number(),
  last: z.string().nullable(),
  current: z.string().nullable(),
  furthest: z.string().nullable(),
})

/** One row for each identity column: its place in the list, last_value, IDENT_CURRENT, the furthest value in the column. */
export function standingSql(identities: readonly Identity[]): string {
  return identities
    .map((identity, position) => {
      const name = quoteText(quoteTable(identity.table))
      const furthest = `${BigInt(identity.increment) < 0n ? 'MIN' : 'MAX'}(${quoteName(identity.column)})`
      return `SELECT ${position} AS [position],
  (SELECT CONVERT(nvarchar(40), ic.last_value) FROM sys.identity_columns ic WHERE ic.object_id = OBJECT_ID(${name})) AS [last],
  CONVERT(nvarchar(40), IDENT_CURRENT(${name})) AS [current],
  (SELECT CONVERT(nvarchar(40), ${furthest}) FROM ${quoteTable(identity.table)}) AS [furthest]`
    })
    .join('\nUNION ALL\n')
}

const integer = (text: string | null): bigint | null => (text === null ? null : BigInt(text.split('.')[0] ?? text))

async function standings(session: Session, identities: readonly Identity[]): Promise<readonly Standing[]> {
  const found = new Map<number, Standing>()
  for (const row of await session.ask(standingRow, standingSql(identities))) {
    const lastValue = integer(row.last)
    const furthest = integer(row.furthest)
    const identity = identities[row.position]
    if (identity === undefined) continue
    const untouched = furthest === null && (lastValue === null || (await neverGave(session, identity)))
    found.set(row.position, { lastValue, current: integer(row.current), furthest, untouched })
  }
  return identities.map((identity, position) => {
    const standing = found.get(position)
    if (standing !== undefined) return standing
    throw new MigrateError(
      'database-statement-failed',
      `${session.where.label}: the server didn't tell where ${nameOf(identity)} stands.`,
    )
  })
}

/** CHECKIDENT's own word; the account may lack the right to ask, and then last_value counts. */
async function neverGave(session: Session, identity: Identity): Promise<boolean> {
  try {
    const { messages } = await session.batch(`DBCC CHECKIDENT (${checkedTable(identity)}, NORESEED)`)
    return messages.some((message) => /current identity value 'NULL'/i.test(message))
  } catch (error) {
    if (error instanceof MigrateError && error.code !== 'database-connection-lost' && !session.broken) return false
    throw error
  }
}

const sequenceRow = z.object({
  current: z.string(),
  start: z.string(),
  used: z.string().nullable(),
})

/**
 * sys.sequences.last_used_value exists since SQL Server 2017. Before, one that stands at its start may have given that value or not
 * ("sys.sequences (Transact-SQL)", current_value): it counts as given where others go by it, and as still to come where it is moved.
 */
async function sequenceState(
  session: Session,
  identity: Identity,
  tellsUsed: boolean,
  sharing: readonly Identity[] = [],
): Promise<IdentityState | null> {
  if (identity.sequence === null) return null
  const [row] = await session.ask(
    sequenceRow,
    `SELECT CONVERT(nvarchar(40), current_value) AS [current], CONVERT(nvarchar(40), start_value) AS [start],
  CONVERT(nvarchar(40), ${tellsUsed ? 'last_used_value' : 'NULL'}) AS [used]
FROM sys.sequences WHERE object_id = OBJECT_ID(@p0)`,
    [quoteTable(identity.sequence)],
  )
  if (row === undefined) return null
  const furthest = await furthestValues(session, sharing, BigInt(identity.increment))
  const state = sequenceStateOf(identity, tellsUsed ? row : { ...row, used: row.current }, furthest)
  return tellsUsed || row.current !== row.start ? state : { ...state, next: BigInt(row.current) }
}

/** The state that the port speaks of; `furthest`: of each column that the sequence numbers. Pure. */
export function sequenceStateOf(
  identity: Identity,
  row: Pick<z.infer<typeof sequenceRow>, 'current' | 'used'>,
  furthest: readonly bigint[],
): IdentityState {
  const current = BigInt(row.current)
  const increment = BigInt(identity.increment)
  // The current value is the last one used, or the first to come when it was restarted there.
  const used = integer(row.used) === current
  let last = used ? current : null
  for (const value of furthest) if (last === null || further(value, last, increment)) last = value
  return { identity, last, next: used ? current + increment : current }
}

/** The furthest value in each column that a sequence numbers; those without rows left out. */
async function furthestValues(session: Session, numbered: readonly Identity[], increment: bigint): Promise<readonly bigint[]> {
  const edge = increment < 0n ? 'MIN' : 'MAX'
  const values: bigint[] = []
  for (const { table, column } of numbered) {
    if (column === '') continue
    const sql = `SELECT CONVERT(nvarchar(40), ${edge}(${quoteName(column)})) AS [furthest] FROM ${quoteTable(table)}`
    const [row] = await session.ask(z.object({ furthest: z.string().nullable() }), sql)
    const value = integer(row?.furthest ?? null)
    if (value !== null) values.push(value)
  }
  return values
}

const tellsLastUsed = async (session: Session): Promise<boolean> =>
  (await catalogColumns(session)).has('sequences.last_used_value')

/** Identity columns by fifty a statement: more would make plans that take longer than the answers. */
const COLUMNS_PER_STATEMENT = 50

/** Every identity as it stands now; what was dropped since the schema was read is left out. */
export async function identityStates(session: Session, schema: Pick<Layout, 'identities'>): Promise<readonly IdentityState[]> {
  const states: IdentityState[] = []
  const columns = schema.identities.filter((identity) => identity.kind === 'column')
  for (const chunk of chunks(columns, COLUMNS_PER_STATEMENT)) {
    const found = await standings(session, chunk)
    states.push(...found.flatMap((standing, index) => (chunk[index] === undefined ? [] : [stateOf(chunk[index], standing)])))
  }
  const sequences = schema.identities.filter((identity) => identity.kind === 'sequence')
  if (sequences.length === 0) return states
  const tellsUsed = await tellsLastUsed(session)
  for (const identity of sequences) {
    const sharing = sequences.filter((other) => sameSequence(other, identity))
    const state = await sequenceState(session, identity, tellsUsed, sharing)
    if (state !== null) states.push(state)
  }
  return states
}

const sameSequence = (a: Identity, b: Identity): boolean =>
  a.sequence !== null && b.sequence !== null && fullName(a.sequence) === fullName(b.sequence)

const nameOf = (identity: Identity): string =>
  identity.column === '' ? fullName(identity.sequence ?? identity.table) : `${fullName(identity.table)}.${identity.column}`

async function standing(
  session: Session,
  identity: Identity,
): Promise<IdentityState & { readonly empty: boolean; readonly untouched: boolean }> {
  if (identity.kind === 'column') {
    const [found] = await standings(session, [identity])
    if (found !== undefined) return { ...stateOf(identity, found), empty: found.furthest === null, untouched: found.untouched }
  }
  const state = await sequenceState(session, identity, await tellsLastUsed(session))
  if (state !== null) return { ...state, empty: false, untouched: false }
  throw new MigrateError('database-statement-failed', `${session.where.label}: there is no ${nameOf(identity)} to move.`, {
    hint: 'Was it dropped while the run went on?',
  })
}

/** The last value that it can give. */
const endOf = (identity: Identity): bigint => BigInt(BigInt(identity.increment) < 0n ? identity.minimum : identity.maximum)

const restartSql = (identity: Identity, next: bigint): string =>
  `ALTER SEQUENCE ${quoteTable(identity.sequence ?? identity.table)} RESTART WITH ${next}`

/** As Microsoft's examples have it; a name beyond ASCII needs the Unicode constant, which no code page can spoil. */
function checkedTable(identity: Identity): string {
  const text = quoteText(quoteTable(identity.table))
  return /^[ -~]*$/.test(text) ? text.slice(1) : text
}

const reseedSql = (identity: Identity, value: bigint): string => `DBCC CHECKIDENT (${checkedTable(identity)}, RESEED, ${value})`

/** See the port: for a person to run, on a table that has given numbers. */
export const raiseSql = (identity: Identity, value: bigint): string =>
  `${identity.kind === 'sequence' ? restartSql(identity, value + BigInt(identity.increment)) : reseedSql(identity, value)};`

/**
 * Has a sequence stand at its last value, given: there is no other way to have it used up than to take that value ("ALTER SEQUENCE
 * (Transact-SQL)": RESTART WITH names the next one; "NEXT VALUE FOR (Transact-SQL)").
 */
const usedUpSql = (identity: Identity, last: bigint): string =>
  `${restartSql(identity, last)};\nSELECT NEXT VALUE FOR ${quoteTable(identity.sequence ?? identity.table)} AS [last]`

/**
 * Moves the next value beyond `value`, never back, and reads it back. A table without rows is reseeded as one that never gave a value:
 * if it did give one, a single number is left out, where the other mistake would hand `value` out again. So such a one can't stand where its
 * numbers end.
 */
export async function raise(session: Session, identity: Identity, value: bigint): Promise<void> {
  const increment = BigInt(identity.increment)
  const before = await standing(session, identity)
  if (further(before.next, value, increment)) return
  const next = value + increment
  const end = endOf(identity)
  const isFresh = before.untouched || before.empty
  const isLast = further(next, end, increment)
  if (further(value, end, increment) || (isLast && isFresh)) throw exhausted(session, identity, value, isFresh)
  if (identity.kind === 'column') await session.batch(reseedSql(identity, reseedFor(next, increment, isFresh)))
  else await session.batch(isLast ? usedUpSql(identity, value) : restartSql(identity, next))
  const after = await standing(session, identity)
  if (!further(after.next, value, increment)) throw didNotHold(session, identity, after.next, value)
}

const exhausted = (session: Session, identity: Identity, value: bigint, isEmpty: boolean): MigrateError =>
  new MigrateError(
    'identity-exhausted',
    `${nameOf(identity)} on ${session.where.label} can't be moved beyond ${value}: its type ends at ${endOf(identity)}${isEmpty ? ', and its table is empty' : ''}. Nothing was changed.`,
    {
      hint: `Ask for less headroom in the playbook, or give the column a wider type first.${isEmpty ? ' If the table of the old host is empty too, TRUNCATE TABLE there begins its numbers anew.' : ''}`,
    },
  )

/** Sets it back to where `state` says that it stood, and reads it back. */
export async function reset(session: Session, identity: Identity, state: IdentityState): Promise<void> {
  const increment = BigInt(identity.increment)
  const before = await standing(session, identity)
  if (before.next === state.next) return
  if (identity.kind === 'sequence') {
    const isLast = further(state.next, endOf(identity), increment)
    await session.batch(isLast ? usedUpSql(identity, state.next - increment) : restartSql(identity, state.next))
  } else {
    const untouched = before.untouched || (before.empty && state.last === null)
    await session.batch(reseedSql(identity, reseedFor(state.next, increment, untouched)))
  }
  const after = await standing(session, identity)
  // Where the server doesn't tell whether the table ever gave a value, the next one may seem to lie one step further on.
  if (after.next !== state.next && after.next !== state.next + increment)
    throw didNotHold(session, identity, after.next, state.next)
}

const didNotHold = (session: Session, identity: Identity, next: bigint, wanted: bigint): MigrateError =>
  new MigrateError(
    'identity-not-moved',
    `${nameOf(identity)} on ${session.where.label} was set around ${wanted}, but the server says that its next value is ${next}.`,
    { hint: 'Something else moves it at the same time; stop it and run again.' },
  )
