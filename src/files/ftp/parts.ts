import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { FTPError } from 'basic-ftp'
import type { Asides, Renaming } from '../asides.ts'
import { lastLook } from '../last-look.ts'
import { partPath } from '../paths.ts'
import type { FileEntry, WriteOptions, WrittenFile } from '../port.ts'
import { provenBytes } from '../resume.ts'
import type { FtpConnection } from './connection.ts'
import { meaningOf } from './failures.ts'
import { serverHash } from './powers.ts'
import { download, upload } from './transfer.ts'

/** "Service not available, closing control connection" (RFC 959, section 4.2). */
const GOING_AWAY = 421

/** A file on its way. Paths are relative to the root but for what `full` makes of them. */
export interface Place {
  readonly label: string
  readonly path: string
  readonly asides: Asides
  full(path: string): string
  /** Makes the error that a broken reading is told by. */
  failed(error: unknown): Promise<Error>
  /** What stands under a path at this moment. */
  look(path: string): Promise<FileEntry | undefined>
}

/** Writes a file under the name of its part and renames it; goes on with a part of an earlier try where it can. */
export async function writeByPart(
  connection: FtpConnection,
  place: Place,
  content: Readable,
  options: WriteOptions,
  signal: AbortSignal | undefined,
): Promise<WrittenFile> {
  const { label, path } = place
  const part = place.full(partPath(path))
  const stands = await sizeOf(connection, part)
  const from = await provenBytes(options.again, stands, () => hashOfPart(connection, place, stands, signal))
  // One that an earlier try left may be closed to writing; where none is, the host says so.
  if (stands && from === 0) await connection.client.sendIgnoringError(`DELE ${part}`)
  const written = await upload(connection, part, content, options, { label, path, signal, from })
  await place.asides.mend(renamingBy(connection, place), path)
  await lastLook(options, place, () => place.look(path))
  await putInPlace(connection, place)
  return from === 0 ? written : { ...written, resumedAt: from }
}

/** By this connection alone: there may be no other. */
async function hashOfPart(
  connection: FtpConnection,
  { full, path, failed }: Place,
  size: number | null,
  signal: AbortSignal | undefined,
): Promise<string> {
  const part = full(partPath(path))
  const found = await serverHash(connection, part)
  if (found !== undefined) return found
  const { stream, ended } = download(connection, part, { offset: 0, size, failed })
  const hash = createHash('sha256')
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    signal?.throwIfAborted()
    hash.update(chunk)
  }
  await ended
  return hash.digest('hex')
}

/** Where a rename won't replace what is there (IIS), that steps aside first. A server's words for it are in its own language: only other reasons are known by theirs. */
async function putInPlace(connection: FtpConnection, place: Place): Promise<void> {
  const { client } = connection
  await client.send(`RNFR ${place.full(partPath(place.path))}`)
  const renamed = await client.sendIgnoringError(`RNTO ${place.full(place.path)}`)
  if (renamed.code < 400) return
  const refusal = new FTPError(renamed)
  if (!['unclear', 'other'].includes(meaningOf(refusal, connection))) throw refusal
  await place.asides.replace(renamingBy(connection, place), place.path, refusal)
}

/** What `Asides` needs of a connection. */
export const renamingBy = (
  connection: FtpConnection,
  { label, full, look }: Pick<Place, 'label' | 'full' | 'look'>,
): Renaming => ({
  label,
  isLost: (error) => connection.client.closed || (error instanceof FTPError && error.code === GOING_AWAY),
  rename: async (from, to) => void (await connection.client.rename(full(from), full(to))),
  // Where names fold case, a listing has it under another one.
  kindAt: async (path) => ((await sizeOf(connection, full(path))) === null ? (await look(path))?.kind : 'file'),
  remove: async (path) => {
    const { code, message } = await connection.client.sendIgnoringError(`DELE ${full(path)}`)
    if (code >= 400 && (await look(path)) !== undefined) throw new FTPError({ code, message })
  },
})

/** Bytes of a file; `null` where the server doesn't say, or where none is. */
export async function sizeOf({ client, features }: FtpConnection, path: string): Promise<number | null> {
  if (!features.has('SIZE')) return null
  const { code, message } = await client.sendIgnoringError(`SIZE ${path}`)
  return code === 213 && /^213 \d+/.test(message) ? Number(message.slice(4).trim()) : null
}
