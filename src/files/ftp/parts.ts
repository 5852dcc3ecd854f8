import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { FTPError } from 'basic-ftp'
import { lastLook } from '../last-look.ts'
import type { FileEntry, WriteOptions, WrittenFile } from '../port.ts'
import { provenBytes } from '../resume.ts'
import type { FtpConnection } from './connection.ts'
import { serverHash } from './powers.ts'
import { download, upload } from './transfer.ts'

/** A file on its way: `part` and `target` are whole paths on the host, `failed` makes the error that a broken reading is told by. */
export interface Place {
  readonly label: string
  readonly path: string
  readonly part: string
  readonly target: string
  failed(error: unknown): Promise<Error>
  /** What stands under the target at this moment. */
  look(): Promise<FileEntry | undefined>
}

/** Writes a file under the name of its part and renames it; goes on with a part of an earlier try where it can. */
export async function writeByPart(
  connection: FtpConnection,
  place: Place,
  content: Readable,
  options: WriteOptions,
  signal: AbortSignal | undefined,
): Promise<WrittenFile> {
  const { label, path, part, target } = place
  const stands = await sizeOf(connection, part)
  const from = await provenBytes(options.again, stands, () => hashOfPart(connection, place, stands, signal))
  // One that an earlier try left may be closed to writing; where none is, the host says so.
  if (stands && from === 0) await connection.client.sendIgnoringError(`DELE ${part}`)
  const written = await upload(connection, part, content, options, { label, path, signal, from })
  await lastLook(options, place, () => place.look())
  await putInPlace(connection, part, target)
  return from === 0 ? written : { ...written, resumedAt: from }
}

/** By this connection alone: there may be no other. */
async function hashOfPart(
  connection: FtpConnection,
  { part, failed }: Place,
  size: number | null,
  signal: AbortSignal | undefined,
): Promise<string> {
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

/** Where a rename won't replace what is there (IIS), that goes first; when it can't, the rename's own refusal says why. */
async function putInPlace({ client }: FtpConnection, part: string, target: string): Promise<void> {
  await client.send(`RNFR ${part}`)
  const renamed = await client.sendIgnoringError(`RNTO ${target}`)
  if (renamed.code < 400) return
  if ((await client.sendIgnoringError(`DELE ${target}`)).code >= 400) throw new FTPError(renamed)
  await client.rename(part, target)
}

/** Bytes of a file; `null` where the server doesn't say, or where none is. */
export async function sizeOf({ client, features }: FtpConnection, path: string): Promise<number | null> {
  if (!features.has('SIZE')) return null
  const { code, message } = await client.sendIgnoringError(`SIZE ${path}`)
  return code === 213 && /^213 \d+/.test(message) ? Number(message.slice(4).trim()) : null
}
