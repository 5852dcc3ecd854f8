import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import { ask } from './catalog.ts'
import { serverNumber } from './errors.ts'
import { isSince, type Session } from './session.ts'
import { quoteAccount, readTriggers } from './triggers.ts'
import { quoteText } from './values.ts'

/** What lets an account make something that runs as another one ("SET USER" of MariaDB; MySQL's "Privileges Provided by MySQL"). */
function definerRight({ kind }: Session): { readonly enough: readonly string[]; readonly grant: string } {
  if (isSince(kind, 'mariadb', 11)) return { enough: ['SET USER'], grant: 'SET USER' }
  if (isSince(kind, 'mariadb', 10, 5, 2)) return { enough: ['SET USER', 'SUPER'], grant: 'SET USER' }
  if (isSince(kind, 'mysql', 8, 2)) return { enough: ['SET_ANY_DEFINER', 'SUPER'], grant: 'SET_ANY_DEFINER' }
  if (isSince(kind, 'mysql', 8, 0)) return { enough: ['SET_USER_ID', 'SUPER'], grant: 'SET_USER_ID' }
  return { enough: ['SUPER'], grant: 'SUPER' }
}

/** Of an administrator's account: whoever makes something that runs as it needs the same ("Account Categories"; MySQL since 8.0.16). */
const ADMINISTRATOR = 'SYSTEM_USER'

/** ER_TABLEACCESS_DENIED_ERROR: only an administrator sees what others may do. */
const HIDDEN = 1142

/**
 * A guard makes a trigger anew (triggers.ts), for the account that it runs as: on shared hosts often the same name from another address.
 * `has`: the rights on all databases.
 */
export async function definerFindings(session: Session, has: ReadonlySet<string>): Promise<readonly Finding[]> {
  const { enough, grant } = definerRight(session)
  if (has.has('ALL')) return []
  const [row] = await ask(session, ['user'] as const, 'SELECT CURRENT_USER()')
  const user = row?.user ?? ''
  const others = (await readTriggers(session)).filter(({ definer }) => definer !== user)
  if (others.length === 0) return []
  const definers = [...new Set(others.map(({ definer }) => definer))]
  const lacks = !enough.some((right) => has.has(right))
  const administrators =
    has.has(ADMINISTRATOR) || !isSince(session.kind, 'mysql', 8, 0, 16) ? [] : await administratorsAmong(session, definers)
  if (!lacks && administrators?.length === 0) return []
  const isSure = lacks || administrators !== undefined
  const grants = [...(lacks ? [grant] : []), ...(administrators?.length === 0 ? [] : [ADMINISTRATOR])].join(', ')
  return [
    {
      severity: isSure ? 'error' : 'warning',
      code: 'right-to-write',
      message: `The account ${user} may not make triggers silent on the ${session.label} that run as another account${isSure ? '' : `, if that is an administrator’s (${ADMINISTRATOR}), which it may not see`}: ${firstOf(others.map(({ name, definer }) => `${name} (${definer})`))}. Rows can't be carried into their tables${isSure ? '' : ' then'}.`,
      hint: `As an account that may grant it, run: GRANT ${grants} ON *.* TO ${quoteAccount(user)}; Or give the playbook the account that they run as (${definers.join(', ')}), or make them anew as ${user}.`,
    },
  ]
}

/** `undefined` where this account may not see it. */
async function administratorsAmong(session: Session, accounts: readonly string[]): Promise<readonly string[] | undefined> {
  try {
    const rows = await ask(
      session,
      ['account'] as const,
      `SELECT CONCAT(USER, '@', HOST) FROM mysql.global_grants
        WHERE PRIV = '${ADMINISTRATOR}' AND CONCAT(USER, '@', HOST) IN (${accounts.map(quoteText).join(', ')})`,
    )
    return rows.map(({ account }) => account ?? '')
  } catch (error) {
    if (serverNumber(error) === HIDDEN) return undefined
    throw error
  }
}
