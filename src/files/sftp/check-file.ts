import { nameBytes } from '../raw-names.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/**
 * A server's own hash of a file, asked for in the session itself: for hosts that give no shell, such as proftpd's mod_sftp
 * (draft-ietf-secsh-filexfer-09, section 9.1.2, "check-file-name": the file, the hash's name, from where, how long, blocks of which size, 0 for
 * all of it; answered by the hash's name and the hash).
 */
const REQUEST = 'check-file-name'
const HASH = 'sha256'
const BYTES = 32
/**
 * Larger files are not asked about: while a host hashes, it answers nothing, and one that answers nothing for a minute is taken for lost (a disk
 * may give no more than 20 MB/s).
 */
const MOST_BYTES = 1024 * 1024 * 1024
/**
 * Announced by who speaks later versions of the protocol too: those have the request. Others are not asked for what they may not expect, and a
 * session of version 3 isn't told of it by name.
 */
const LATER = ['versions', 'check-file', 'check-file-name']

const mayKnow = (channel: SftpChannel): boolean => LATER.some((extension) => channel.has(extension))

/** Whether a server hashes files by itself. `root`: whole path of the folder: it is refused for that, but known. */
export async function checksFiles(channel: SftpChannel, root: string): Promise<boolean> {
  if (!mayKnow(channel)) return false
  try {
    await ask(channel, root)
    return true
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    return statusOf(error) !== STATUS.unsupported && statusOf(error) !== STATUS.badMessage
  }
}

/** SHA-256 of files by whole paths, hexadecimal; `null` for what the server can't hash, or not soon enough. */
export function checkedFiles(channel: SftpChannel, paths: readonly string[]): Promise<readonly (string | null)[]> {
  return Promise.all(paths.map((path) => (mayKnow(channel) ? checked(channel, path) : null)))
}

async function checked(channel: SftpChannel, path: string): Promise<string | null> {
  try {
    if ((await channel.stat(path)).size > MOST_BYTES) return null
    const reply = await ask(channel, path)
    const length = reply.readUInt32BE(0)
    const isAll = reply.toString('latin1', 4, 4 + length) === HASH && reply.length === 4 + length + BYTES
    return isAll ? reply.toString('hex', 4 + length) : null
  } catch (error) {
    if (statusOf(error) !== undefined || error instanceof RangeError) return null
    throw error
  }
}

function ask(channel: SftpChannel, path: string): Promise<Buffer> {
  // From its beginning, to its end, in one block.
  return channel.extended(REQUEST, Buffer.concat([counted(nameBytes(path)), counted(Buffer.from(HASH)), Buffer.alloc(8 + 8 + 4)]))
}

function counted(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
