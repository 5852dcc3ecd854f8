import { isBeyond } from '../databases/plan/restore.ts'
import type { Database } from '../databases/port.ts'
import { byName, fullName, type Identity, type IdentityState, type Layout } from '../databases/schema.ts'
import type { ReconcileChange } from './plan-items.ts'

/** So many numbers beyond the source's last one the target goes on, so that those that both hand out meanwhile don't meet at once. */
const ROOM = 1000n

const nameOf = (identity: Identity): string => `${fullName(identity.table)}.${identity.column}`

/**
 * Moves of the target's numbering, where it isn't beyond every number that the source has handed out for a tracked table: before rows
 * with those numbers are carried there, and before fresh numbers are given. A target that goes by its largest key follows by itself;
 * one that doesn't (a sequence) would hand such a number out a second time. `numbers`: where the source's columns stand. Read-only.
 */
export async function numberMoves(
  source: { readonly database: Database; readonly schema: Layout },
  target: { readonly database: Database; readonly schema: Layout },
  isTracked: (table: string) => boolean,
): Promise<{ readonly moves: readonly ReconcileChange[]; readonly numbers: readonly IdentityState[] }> {
  const [from, to] = await Promise.all([identitiesOf(source), identitiesOf(target)])
  const stateNamed = byName(from, (state) => nameOf(state.identity))
  const moves = to.flatMap(({ identity, next }): ReconcileChange[] => {
    const last = stateNamed(nameOf(identity))?.last ?? null
    if (last === null || !isTracked(fullName(identity.table)) || isBeyond(next, last, identity.increment)) return []
    return [{ kind: 'number', identity, from: String(last), to: String(withRoom(last, identity)) }]
  })
  return { moves, numbers: from }
}

/** Only columns: a sequence that numbers no column says nothing of any row. */
const identitiesOf = ({
  database,
  schema,
}: {
  readonly database: Database
  readonly schema: Layout
}): Promise<readonly IdentityState[]> =>
  database.identities({ ...schema, identities: schema.identities.filter((identity) => identity.column !== '') })

function withRoom(last: bigint, { increment, minimum, maximum }: Identity): bigint {
  const step = BigInt(increment)
  const far = last + step * ROOM
  const ends = step > 0n ? far >= BigInt(maximum) : far <= BigInt(minimum)
  return ends ? last : far
}
