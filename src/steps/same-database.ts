import { randomBytes } from 'node:crypto'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'

/**
 * Whether two databases of one fingerprint are one. That they are two is believed on evidence alone: both had the same lock at the same
 * time, and their servers were started at different times and write by themselves. What isn't certain counts as one: to take one database
 * for two would have it copied over itself.
 */
export async function sameDatabase(old: Database, target: Database, name: string): Promise<Finding> {
  const doubt = await whyNotTwo(old, target)
  if (doubt === undefined)
    return {
      severity: 'info',
      code: 'server-copied',
      message: `The server of new.database has the number of the old one's (it was made from a copy of its files), but runs by itself: ${name} is there twice.`,
    }
  return {
    severity: 'error',
    code: 'same-database',
    message: `old.database and new.database are the same database (${name}).`,
    hint: `Give the new host's database as new.database.${doubt === '' ? '' : ` If the new server was made from a copy of the old one's files: ${doubt}`}`,
  }
}

/** '' when they are one for certain. */
async function whyNotTwo(old: Database, target: Database): Promise<string | undefined> {
  const [first, second] = [old.presence, target.presence]
  if (first === undefined || second === undefined) return ''
  const sign = String(BigInt(`0x${randomBytes(8).toString('hex')}`) >> 1n)
  try {
    const { presence: one, result } = await first.hold(sign, () => second.hold(sign, async () => undefined))
    const other = result.presence
    if (one.had && !other.had && one.started === other.started) return ''
    if (!one.leads || !other.leads)
      return 'one of the two is a standby, which has what the other one writes. Promote the new one (pg_promote), or make it anew with initdb.'
    if (one.had && other.had && one.started !== other.started) return undefined
    return 'the two could not be told apart for certain. Restart the new server, or make it anew with initdb.'
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    return `whether they are two could not be found out (${messageOf(error)}). Make the new server anew with initdb.`
  }
}
