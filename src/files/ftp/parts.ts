import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { FTPError } from 'basic-ftp'
import type { Adrift, LanePart } from '../adrift.ts'
import type { Asides, Renaming } from '../asides.ts'
import { lastLook } from '../last-look.ts'
import { parentOf, partPath } from '../paths.ts'
import type { FileEntry, WriteOptions, WrittenFile } from '../port.ts'
import { provenBytes } from '../resume.ts'
import type { FtpConnection } from './connection.ts'
import { meaningOf } from './failures.ts'
import { serverHash } from './powers.ts'
import { download, sizeOf, upload } from './transfer.ts'

/** "Service not available, closing control connection" (RFC 959, section 4.2). */
const GOING_AWAY = 421

/** A file on its way. Paths are relative to the root but for what `full` makes of them. */
export interface Place {
  readonly label: string
  readonly path: string
  readonly asides: Asides
  readonly adrift: Pick<Adrift, 'newPart'>
  /** Paths of files whose rename was sent, and never answered: the server may come to it an hour later. */
  readonly late: Set<string>
  full(path: string): string
  /** Makes the error that a broken reading is told by. */
  failed(error: unknown): Promise<Error>
  /** What stands under a path at this moment. */
  look(path: string): Promise<FileEntry | undefined>
}

/**
 * Writes a file under the name of its part and renames it; goes on with a part of an earlier try where it can. A rename that an earlier try has
 * sent may be carried out late, and must find nothing under the name that it moves: then the part has one of its own, which one that is gone on
 * with is given first.
 */
export async function writeByPart(
  connection: FtpConnection,
  place: Place,
  content: Readable,
  options: WriteOptions,
  signal: AbortSignal | undefined,
): Promise<WrittenFile> {
  const { path, full, late } = place
  const usual = partPath(path)
  const stands = await sizeOf(connection, full(usual))
  const proven = await provenBytes(options.again, stands, () => hashOfPart(connection, place, stands, signal))
  const isLate = late.has(path)
  const moved = proven > 0 && isLate ? await movedAway(connection, place, usual) : undefined
  const from = isLate && moved === undefined ? 0 : proven
  const isLeft = stands !== null && from === 0
  // It may be closed to writing, too.
  if (isLeft) await connection.client.sendIgnoringError(`DELE ${full(usual)}`)
  const own = moved ?? (isLeft || isLate ? place.adrift.newPart(parentOf(path)) : undefined)
  try {
    const written = await sent(connection, place, content, options, { part: own?.path ?? usual, from, signal })
    own?.over(false)
    return written
  } catch (error) {
    own?.over(!(await isRemoved(connection, full(own.path))))
    throw error
  }
}

/** Gives a part another name; `undefined` where it can't be, or was renamed late at this moment: then it is sent anew. */
async function movedAway(connection: FtpConnection, { path, full, adrift }: Place, part: string): Promise<LanePart | undefined> {
  const { client } = connection
  const own = adrift.newPart(parentOf(path))
  const found = await client.sendIgnoringError(`RNFR ${full(part)}`)
  if (found.code < 400 && (await client.sendIgnoringError(`RNTO ${full(own.path)}`)).code < 400) return own
  own.over(false)
  return undefined
}

async function sent(
  connection: FtpConnection,
  place: Place,
  content: Readable,
  options: WriteOptions,
  { part, from, signal }: { readonly part: string; readonly from: number; readonly signal: AbortSignal | undefined },
): Promise<WrittenFile> {
  const { label, path } = place
  const written = await upload(connection, place.full(part), content, options, { label, path, signal, from })
  await place.asides.mend(renamingBy(connection, place), path)
  await lastLook(options, place, () => place.look(path))
  await putInPlace(connection, place, part)
  return from === 0 ? written : { ...written, resumedAt: from }
}

async function isRemoved({ client }: FtpConnection, full: string): Promise<boolean> {
  if (client.closed) return false
  return client.sendIgnoringError(`DELE ${full}`).then(
    ({ code }) => code < 400,
    () => false,
  )
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

async function putInPlace(connection: FtpConnection, place: Place, part: string): Promise<void> {
  const { path, late } = place
  const renaming = renamingBy(connection, place)
  const known = late.has(path)
  late.add(path)
  try {
    await renameOver(connection, place, part, renaming)
  } catch (error) {
    if (!known && !renaming.isLost(error)) late.delete(path)
    throw error
  }
  if (!known) late.delete(path)
}

/** Where a rename won't replace what is there (IIS), that steps aside first. A server's words for it are in its own language: only other reasons are known by theirs. */
async function renameOver(
  connection: FtpConnection,
  { path, full, asides }: Place,
  part: string,
  renaming: Renaming,
): Promise<void> {
  const { client } = connection
  await client.send(`RNFR ${full(part)}`)
  const renamed = await client.sendIgnoringError(`RNTO ${full(path)}`)
  if (renamed.code < 400) return
  const refusal = new FTPError(renamed)
  if (!['unclear', 'other'].includes(meaningOf(refusal, connection))) throw refusal
  await asides.replace(renaming, path, refusal, part)
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
