import { createHash } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { MigrateError } from '../../base/errors.ts'
import { connectionLost } from '../failures.ts'
import type { WriteOptions, WrittenFile } from '../port.ts'
import { afterFirst } from '../resume.ts'
import type { FtpConnection } from './connection.ts'
import { timeText } from './listing.ts'
import { secured } from './passive.ts'

export interface Download {
  readonly stream: Readable
  /** Settles when the transfer has ended, with the error that the stream was destroyed with. */
  readonly ended: Promise<unknown>
}

/**
 * The bytes of a file from `offset` on, as a stream that ends only when the server has said that all was sent and as much came as `size`
 * promised (all when `null`), or as the file has by then; of one that grew, no more than that. `failed` makes the error to destroy it with.
 */
export function download(
  connection: FtpConnection,
  at: string,
  { offset, size, failed }: { offset: number; size: number | null; failed: (error: unknown) => Promise<Error> },
): Download {
  const stream = new PassThrough({ highWaterMark: 256 * 1024 })
  heardLater(stream)
  const wanted = size === null ? Number.POSITIVE_INFINITY : Math.max(0, size - offset)
  let got = 0
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const rest = chunk.subarray(0, Math.max(0, wanted - got))
      got += chunk.length
      if (rest.length === 0 || stream.write(rest)) done()
      else stream.once('drain', () => done())
    },
  })
  // A reader that turns away ends the transfer, and with it the connection: the rest is on its way already.
  stream.once('close', () => {
    if (!stream.writableFinished) sink.destroy(new Error('the reader has turned away'))
  })
  const ended = (async (): Promise<unknown> => {
    try {
      await connection.client.downloadTo(sink, at, offset)
      if (size !== null && got < wanted) await refuseCutShort(connection, at, got + offset, size)
      stream.end()
      return undefined
    } catch (error) {
      const failure = await failed(error)
      stream.destroy(failure)
      return failure
    }
  })()
  return { stream, ended }
}

/** A file may have become shorter since it was listed: then that is all of it. */
async function refuseCutShort(connection: FtpConnection, at: string, got: number, size: number): Promise<void> {
  const now = await sizeOf(connection, at)
  if (now !== null && now <= got) return
  throw Object.assign(new Error(`${got} of ${size} bytes came, though the host said that it was all`), { code: 'ERR_CUT_SHORT' })
}

/** Bytes of a file; `null` where the server doesn't say, or where none is. */
export async function sizeOf({ client, features }: FtpConnection, path: string): Promise<number | null> {
  if (!features.has('SIZE')) return null
  const { code, message } = await client.sendIgnoringError(`SIZE ${path}`)
  return code === 213 && /^213 \d+/.test(message) ? Number(message.slice(4).trim()) : null
}

/**
 * Sends a file to `part` and gives it time and mode; throws unless the host then holds as many bytes as it should. `from`: so many of
 * the content's bytes stand there already, and are gone on from (APPE: RFC 959, section 4.1.3).
 */
export async function upload(
  connection: FtpConnection,
  part: string,
  content: Readable,
  options: WriteOptions,
  { label, path, signal, from }: { label: string; path: string; signal: AbortSignal | undefined; from: number },
): Promise<WrittenFile> {
  const { client, features } = connection
  const hash = createHash('sha256')
  let size = 0
  heardLater(content)
  const stop = (): void => void content.destroy(asError(signal?.reason))
  signal?.addEventListener('abort', stop, { once: true })
  let broken: unknown
  const counted = async function* (): AsyncGenerator<Buffer> {
    try {
      const seen = (bytes: Buffer): void => {
        hash.update(bytes)
        size += bytes.length
      }
      yield* afterFirst(content, from, seen)
    } catch (error) {
      broken = error
      throw error
    }
    await secured(client.ftp)
  }
  try {
    const rest = Readable.from(counted(), { objectMode: false })
    await (from > 0 ? client.appendFrom(rest, part) : client.uploadFrom(rest, part))
  } catch (error) {
    throw broken ?? error
  } finally {
    signal?.removeEventListener('abort', stop)
  }
  if (features.has('SIZE')) {
    const stands = await client.size(part)
    if (stands !== size) throw connectionLost(label, path, new Error(`${stands} of ${size} bytes stand there`))
  }
  const isTimed = await setTime(connection, part, options.mtimeSeconds)
  // Hosts without modes refuse it; whether there are any is told by `powers`.
  if (options.mode !== null) await client.sendIgnoringError(`SITE CHMOD ${(options.mode & 0o7777).toString(8)} ${part}`)
  return { size, sha256: hash.digest('hex'), ...(isTimed ? {} : { untimed: true }) }
}

/** Whoever reads the stream is told what broke it, also when that is later: by then nobody may listen, which would end the process. */
const heardLater = (stream: Readable): void => void stream.on('error', () => undefined)

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)))

/**
 * MFMT (draft-somers-ftp-mfxx-04), or the older way that MDTM with a time in front has. False where the host keeps its own time: it knows
 * neither, or refuses, which no FEAT tells (vsftpd lists MDTM also where `mdtm_write` is off), or answers with another time.
 */
async function setTime({ client, features }: FtpConnection, path: string, seconds: number): Promise<boolean> {
  const command = features.has('MFMT') ? 'MFMT' : features.has('MDTM') ? 'MDTM' : undefined
  if (command === undefined) return false
  const wanted = timeText(seconds)
  const { code, message } = await client.sendIgnoringError(`${command} ${wanted} ${path}`)
  const told = /^213 (?:modify=)?(\d{14})\b/i.exec(message)?.[1] ?? wanted
  return code < 400 && told === wanted
}

/** FTP has no command that makes a link. */
export const noLinks = (label: string, path: string): MigrateError =>
  new MigrateError('files-failed', `${label} can't make the link ${JSON.stringify(path)}: FTP has no command for it.`, {
    hint: 'Exclude it in the playbook, or reach that host over SFTP. Nothing was changed.',
  })
