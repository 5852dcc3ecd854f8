import type { Stats } from 'ssh2'
import type { Finding } from '../../base/errors.ts'
import { notAFolder, notReadable, notWritable } from '../findings.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/** Asks, without writing, whether an account can use the root. Connection errors are thrown. */
export async function checkRoot(
  channel: SftpChannel,
  label: string,
  root: string,
  user: string,
  purpose: 'read' | 'write',
): Promise<readonly Finding[]> {
  let stats: Stats
  try {
    stats = await channel.stat(root)
    if (!stats.isDirectory()) return [notAFolder(label)]
    await channel.close(await channel.openFolder(root))
  } catch (error) {
    if (statusOf(error) === STATUS.missing) return [notAFolder(label)]
    if (statusOf(error) === STATUS.denied) return [notReadable(label)]
    throw error
  }
  return purpose === 'read' ? [] : writeFindings(channel, label, root, stats, user)
}

async function writeFindings(
  channel: SftpChannel,
  label: string,
  root: string,
  stats: Stats,
  user: string,
): Promise<readonly Finding[]> {
  // A request to set no attribute at all changes nothing, but a server that takes no writes from this account refuses it.
  const refused = await channel.setAttributes(root, {}).then(
    () => false,
    (error: unknown) => statusOf(error) === STATUS.denied,
  )
  if (refused) return [notWritable(label, 'error')]
  if (user === 'root' || (stats.mode & 0o002) !== 0) return []
  // SFTP doesn't say who one is; the owner of the home folder is the best guess.
  const home = await channel.stat('.').catch(() => undefined)
  if (home === undefined || home.uid === 0) return []
  if (home.uid === stats.uid) return (stats.mode & 0o200) === 0 ? [notWritable(label, 'error')] : []
  const byGroup = (stats.mode & 0o020) !== 0
  return byGroup ? [] : [notWritable(label, 'warning')]
}
