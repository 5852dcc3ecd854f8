import { ask } from './catalog.ts'
import type { Session } from './session.ts'

/** "Server System Variables", read_only and innodb_read_only: accounts like a shop's write nothing then. Off is 0, OFF or FALSE. */
export async function refusesRows(session: Session): Promise<string | undefined> {
  const [row] = await ask(session, ['server', 'innodb'] as const, 'SELECT @@global.read_only, @@global.innodb_read_only')
  const isOn = (value: string | null | undefined): boolean => !['0', 'OFF', 'FALSE'].includes((value ?? '0').toUpperCase())
  if (isOn(row?.server)) return 'its server is read_only'
  return isOn(row?.innodb) ? 'its server is innodb_read_only' : undefined
}
