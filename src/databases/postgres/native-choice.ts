import type { Finding } from '../../base/errors.ts'
import { type Program, programName } from '../native/programs.ts'
import type { NativeWishes } from '../native-port.ts'

/** pg_dump's directory format, read by pg_restore. */
export const FORMAT = 'pg_dump-directory'

export interface Choice {
  readonly program: Program | undefined
  readonly reason: string
  readonly findings: readonly Finding[]
}

const majorOf = (program: Program): number => program.version[0] ?? 0

const oldestFirst = (programs: readonly Program[]): readonly Program[] => [...programs].sort((a, b) => majorOf(a) - majorOf(b))

const none = (reason: string): Choice => ({ program: undefined, reason, findings: [] })

/**
 * The pg_dump to use for a server of this release. It "will refuse to dump from a server with a major version newer than its own"
 * (PostgreSQL documentation, "pg_dump", Notes); of those that are new enough the oldest is closest to what the new host knows. Pure.
 */
export function chooseDump(
  dumps: readonly Program[],
  restores: readonly Program[],
  server: number,
  wishes: NativeWishes,
): Choice {
  if (wishes.server !== undefined) return none('PostgreSQL writes no backups on its own disk for others: leave backup: out')
  if (wishes.from !== undefined) return none('a dump of PostgreSQL that is there already is not taken over: leave from: out')
  const newest = oldestFirst(dumps).at(-1)
  if (newest === undefined) return none(`pg_dump isn't installed here (postgresql-client-${server} on Debian)`)
  const program = oldestFirst(dumps).find((each) => majorOf(each) >= server)
  if (program === undefined) return none(`${programName(newest)} is older than the server, ${server}`)
  const restoring = chooseRestore(restores, 0, { format: FORMAT, savedBy: programName(program) })
  if (restoring.program === undefined) return restoring
  return {
    program,
    reason: `${programName(program)} is installed here, and the server is ${server}`,
    findings: [
      {
        severity: 'info',
        code: 'native-locks',
        message:
          'pg_dump reads everything in one transaction and holds a lock on every table that stops nobody but ALTER, DROP and TRUNCATE (ACCESS SHARE) until it ends.',
        hint: 'Change no tables on the old host meanwhile. method: portable can be throttled and resumed.',
      },
    ],
  }
}

/** The pg_restore for an archive: one at least as new as the pg_dump that wrote it. `server` 0: any. Pure. */
export function chooseRestore(restores: readonly Program[], server: number, wishes: NativeWishes): Choice {
  if (wishes.format !== undefined && wishes.format !== FORMAT) return none(`pg_restore reads no ${wishes.format}`)
  const wanted = Number(/(\d+)/.exec(wishes.savedBy ?? '')?.[1] ?? 0)
  const newest = oldestFirst(restores).at(-1)
  if (newest === undefined) return none("pg_restore isn't installed here (postgresql-client on Debian)")
  const program = oldestFirst(restores).find((each) => majorOf(each) >= wanted)
  if (program === undefined) return none(`${programName(newest)} is older than the ${wishes.savedBy} that saved the snapshot`)
  const findings: readonly Finding[] =
    server === 0 || majorOf(program) <= server
      ? []
      : [
          {
            severity: 'warning',
            code: 'native-tool-newer',
            message: `${programName(program)} is newer than the new server, ${server}: it may use settings that the server doesn't know, and then stops at once.`,
            hint: `Install postgresql-client-${server} here, or set method: portable.`,
          },
        ]
  return { program, reason: `${programName(program)} is installed here`, findings }
}
