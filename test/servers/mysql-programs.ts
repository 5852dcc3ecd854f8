import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** What a server of MySQL's or MariaDB's is run by. */
export interface MysqlPrograms {
  readonly server: string
  /** MariaDB's; MySQL's server makes its data folder itself. */
  readonly installer: string | undefined
}

const DEBIAN: MysqlPrograms = { server: '/usr/sbin/mariadbd', installer: 'mariadb-install-db' }

/**
 * `mysqld`: a program of MySQL's or Percona's, or a script that runs one. `mariadb`: a folder with `mariadbd` and `mariadb-install-db` of
 * another release than Debian's.
 */
function programsOf(mysqld: string | undefined, mariadb: string | undefined): MysqlPrograms | undefined {
  if (mysqld) return { server: mysqld, installer: undefined }
  return mariadb ? { server: join(mariadb, 'mariadbd'), installer: join(mariadb, 'mariadb-install-db') } : undefined
}

const { env } = process
const chosen = programsOf(env.MIGRATE_TEST_MYSQLD, env.MIGRATE_TEST_MARIADB)

/** What the suites run on: Debian's MariaDB, unless a variable names another server. */
export const programs: MysqlPrograms = chosen ?? DEBIAN

/** The new host's in the tests end to end, where a shop moves to another release. */
export const newPrograms: MysqlPrograms = programsOf(env.MIGRATE_TEST_NEW_MYSQLD, env.MIGRATE_TEST_NEW_MARIADB) ?? programs

/** Why the server can't be had here; `null` when it can. For the titles of skipped suites. */
export const mysqlMissing: string | null = existsSync(programs.server)
  ? null
  : `${chosen === undefined ? 'mariadb-server' : programs.server} is not installed`

/** The title of a suite, with the reason when it is skipped. */
export const mysqlTitle = (title: string): string => (mysqlMissing === null ? title : `${title} (skipped: ${mysqlMissing})`)

/** False on MIGRATE_TEST_MYSQLD: for what only MariaDB has. */
export const isMariadb = programs.installer !== undefined

/** By the program's own word where it isn't Debian's. */
const release = chosen === undefined ? [10, 11] : releaseOf(programs.server)

function releaseOf(program: string): readonly number[] {
  const words = spawnSync(program, ['--no-defaults', '--version'], { encoding: 'utf8' }).stdout
  const [, major, minor] = /Ver (\d+)\.(\d+)/.exec(words) ?? []
  return [Number(major), Number(minor)]
}

/** True when the suites run on this family from this release on: for what older ones, which they run on too, don't have. */
export function isRelease(family: 'mysql' | 'mariadb', major: number, minor: number): boolean {
  const [ours = 0, ourMinor = 0] = release
  return isMariadb === (family === 'mariadb') && (ours > major || (ours === major && ourMinor >= minor))
}

/** What lets an account read the bodies of routines that aren't its own. */
export const READ_ROUTINES = isRelease('mysql', 8, 0) ? 'SHOW_ROUTINE ON *.*' : 'SELECT ON mysql.proc'

/** A private server's settings; what it keeps is thrown away. */
export const privateSettings = ({ installer }: MysqlPrograms): Readonly<Record<string, string>> => ({
  'innodb-flush-log-at-trx-commit': '0',
  'innodb-doublewrite': '0',
  'innodb-buffer-pool-size': '64M',
  'skip-name-resolve': '1',
  'character-set-server': 'utf8mb4',
  'collation-server': 'utf8mb4_unicode_ci',
  'max-connections': '80',
  'performance-schema': '0',
  ...(installer !== undefined
    ? { 'innodb-log-file-size': '48M' }
    : {
        'innodb-redo-log-capacity': '96M',
        mysqlx: 'OFF',
        'local-infile': '1',
        'skip-log-bin': '1',
        'secure-file-priv': '',
        'innodb-strict-mode': 'OFF',
        // As MariaDB's own, and as the hint says where more is to be told.
        'sql-mode': 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
        'max-error-count': '65535',
      }),
})
