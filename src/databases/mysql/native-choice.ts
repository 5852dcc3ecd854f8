import type { Finding } from '../../base/errors.ts'
import { type Program, programName } from '../native/programs.ts'
import type { NativeWishes } from '../native-port.ts'
import type { Family } from './native-argv.ts'

/** SQL as mysqldump and mariadb-dump write it. */
export const FORMAT = 'mysql-sql'

export interface Server {
  readonly family: Family
  readonly version: readonly number[]
}

export interface Choice {
  readonly program: Program | undefined
  readonly reason: string
  readonly findings: readonly Finding[]
}

const none = (reason: string): Choice => ({ program: undefined, reason, findings: [] })

/** A program's family, by its own words; Debian's mysqldump is mariadb-dump under another name. */
export const familyOf = (program: Program): Family => (/mariadb/i.test(program.words) ? 'mariadb' : 'mysql')

/** What a server says of itself (VERSION()): "10.11.6-MariaDB-log", "8.0.36". */
export const serverOf = (version: string): Server => ({
  family: /mariadb/i.test(version) ? 'mariadb' : 'mysql',
  // Old clients are told 5.5.5- before MariaDB's own number.
  version: (/(\d+(?:\.\d+)+)/.exec(version.replace(/^5\.5\.5-/, ''))?.[1] ?? '').split('.').map(Number),
})

const FAMILY_NAMES: Readonly<Record<Family, string>> = { mariadb: 'MariaDB', mysql: 'MySQL' }

const newestFirst = (programs: readonly Program[]): readonly Program[] =>
  [...programs].sort((a, b) => (b.version[0] ?? 0) - (a.version[0] ?? 0) || (b.version[1] ?? 0) - (a.version[1] ?? 0))

/**
 * The program to use with a server: its own family's, of its release or newer. The other family's doesn't know what this one has of
 * its own (sequences, system versioning; roles, invisible columns), so it is refused. Pure.
 */
export function chooseProgram(programs: readonly Program[], server: Server, wishes: NativeWishes, name: string): Choice {
  if (wishes.server !== undefined) return none('the server writes no backups on its own disk for others: leave backup: out')
  if (wishes.from !== undefined) return none('a dump that is there already is not taken over: leave from: out')
  if (wishes.format !== undefined && wishes.format !== FORMAT) return none(`${name} reads no ${wishes.format}`)
  const needs = `the ${FAMILY_NAMES[server.family]} ${server.version.slice(0, 2).join('.')} server needs ${server.family}'s own`
  const [newest] = newestFirst(programs)
  if (newest === undefined)
    return none(`${name} isn't installed here (${server.family === 'mariadb' ? 'mariadb-client' : 'mysql-client'})`)
  const [program] = newestFirst(programs.filter((each) => familyOf(each) === server.family))
  if (program === undefined) return none(`${programName(newest)} is ${FAMILY_NAMES[familyOf(newest)]}'s; ${needs}`)
  if ((program.version[0] ?? 0) < (server.version[0] ?? 0))
    return none(`${programName(program)} is older than the server, ${server.version.slice(0, 2).join('.')}`)
  return {
    program,
    reason: `${programName(program)} is installed here, and the server is ${server.version.slice(0, 3).join('.')}`,
    findings: [],
  }
}

/** Tables of engines without transactions are read while customers write to them: they are of no one instant. Pure. */
export const engineFindings = (tables: readonly string[]): readonly Finding[] =>
  tables.length === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'native-not-consistent',
          message: `${tables.join(', ')} have an engine without transactions: what is written to them meanwhile is saved or not, table by table.`,
          hint: 'Nothing to do where such rows have no parents: reconcile carries what was missed. ALTER TABLE … ENGINE=InnoDB ends it for good.',
        },
      ]
