import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { MysqlPrograms } from './mysql-programs.ts'

export interface MysqlInstall {
  readonly programs: MysqlPrograms
  /** A folder for what the installer needs meanwhile, open to `user`. */
  readonly temporary: string
  /** The server's account. */
  readonly user: string
  /** Options that a folder of MySQL keeps from its making. */
  readonly kept?: readonly string[]
}

/** Makes an empty data folder. Throws with the installer's own words. */
export function installMysql(data: string, { programs, temporary, user, kept = [] }: MysqlInstall): void {
  const { server, installer } = programs
  const common = ['--no-defaults', `--datadir=${data}`, `--tmpdir=${temporary}`, `--user=${user}`]
  const [program, args] =
    installer === undefined
      ? [server, [...common, ...kept, '--initialize-insecure']]
      : [installer, [...common, '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=48M']]
  const made = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, TMPDIR: temporary } })
  if (made.status !== 0) throw new Error(`${program} failed:\n${made.stdout}${made.stderr}`)
  // MySQL's own number, which copies mustn't share: each makes another when it starts.
  rmSync(join(data, 'auto.cnf'), { force: true })
}
