import type { Finding } from '../../base/errors.ts'
import { notAFolder, notWritable } from '../findings.ts'
import type { FtpConnection } from './connection.ts'
import { DENIED, noWay } from './failures.ts'
import type { FtpOptions } from './options.ts'
import { toWire } from './wire.ts'

/** The root's whole path on the host, as commands name it; `undefined` when it isn't there. */
export async function findRoot({ client, home }: FtpConnection, { root }: FtpOptions): Promise<string | undefined> {
  const below = (path: string): string => (path === '' ? home : `${home === '/' ? '' : home}/${path}`)
  const own = toWire(root)
  const candidates = own.startsWith('~') ? [below(own.slice(2))] : [own, below(own.slice(1))]
  for (const path of candidates) {
    const { code } = await client.sendIgnoringError(`CWD ${path}`)
    if (code < 400) return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  }
  return undefined
}

/** A path below the root, as commands name it. Throws for one that no command can name. */
export function wholePath(root: string, path: string, label: string): string {
  const own = toWire(path)
  // Telnet's escape, which some servers take as such (RFC 959, section 4.1; RFC 854) and others don't.
  if (own.includes('\xff')) throw noWay(label, path, 'the byte 0xFF')
  if (own === '') return root === '' ? '/' : root
  return root === '/' || root === '' ? `/${own}` : `${root}/${own}`
}

/** Asks, without writing, whether an account can use the root. */
export async function checkRoot(
  connection: FtpConnection,
  label: string,
  options: FtpOptions,
  purpose: 'read' | 'write',
): Promise<readonly Finding[]> {
  const root = await findRoot(connection, options)
  if (root === undefined) return [notAFolder(label)]
  const plain = options.tls === 'none' ? [inTheClear(connection, label)].flat() : []
  return [...(purpose === 'write' ? await writeFindings(connection, label, root) : []), ...plain]
}

/**
 * What the server says of the root's rights (RFC 3659, section 7.5.5: `c` creates files in it). One that doesn't say is asked to begin
 * a rename, which changes nothing until a second command names the end, and is refused to who may not write.
 */
async function writeFindings({ client, features }: FtpConnection, label: string, root: string): Promise<readonly Finding[]> {
  if (features.has('MLST')) {
    const { message } = await client.sendIgnoringError(`MLST ${root}`)
    const rights = /\bperm=([a-z]*)/i.exec(message)?.[1]
    if (rights !== undefined) return rights.includes('c') ? [] : [notWritable(label, 'error')]
  }
  const { code, message } = await client.sendIgnoringError(`RNFR ${root}`)
  // It waits for the end of the renaming: another login forgets it.
  client.close()
  return code < 400 ? [] : [notWritable(label, DENIED.test(message) ? 'error' : 'warning')]
}

/** A host that could encrypt, and isn't asked to. */
const inTheClear = ({ features }: FtpConnection, label: string): readonly Finding[] =>
  features.has('AUTH')
    ? [
        {
          severity: 'warning',
          code: 'files-in-the-clear',
          message: `The password for ${label} and every file go over the network for anybody on the way to read, though the host can encrypt.`,
          hint: 'Write ftps:// instead of ftp:// in the playbook.',
        },
      ]
    : []
