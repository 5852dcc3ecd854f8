import type { FileHost, Shell } from '../port.ts'
import { SftpFiles } from './host.ts'
import { labelOf, type SftpOptions } from './options.ts'
import { SftpPool } from './pool.ts'
import { sshShell } from './shell.ts'

export type { SftpOptions } from './options.ts'

/** The shell is there whether or not the host gives one: a host without refuses the first command with `files-no-shell`. */
export interface SftpHost extends FileHost {
  readonly shell: Shell
}

/**
 * A folder on a host over SFTP (draft-ietf-secsh-filexfer-02, with OpenSSH's extensions where the server has them). Connects when
 * first used; files and shell share its connections.
 */
export function openSftp(options: SftpOptions): SftpHost {
  const pool = new SftpPool(options)
  const shell = sshShell(labelOf(options), pool)
  return Object.assign(new SftpFiles(options, pool, shell), { shell })
}
