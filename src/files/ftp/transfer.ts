import { createHash } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { MigrateError } from '../../base/errors.ts'
import { connectionLost } from '../failures.ts'
import type { WriteOptions, WrittenFile } from '../port.ts'
import type { FtpConnection } from './connection.ts'
import { timeText } from './listing.ts'
import { secured } from './passive.ts'

const REPLY_CODE = 3

/** True for a server's answer that says yes. */
const isYes = ({ code }: { readonly code: number }): boolean => code >= 200 && code < 300

export interface Download {
  readonly stream: Readable
  /** Settles when the transfer has ended, with the error that the stream was destroyed with. */
  readonly ended: Promise<unknown>
}

/**
 * The bytes of a file from `offset` on, as a stream that ends only when the server has said that all was sent and as much came as `size`
 * promised (all when `null`); of a file that grew, no more than that. `failed` makes the error to destroy it with.
 */
export function download(
  connection: FtpConnection,
  at: string,
  { offset, size, failed }: { offset: number; size: number | null; failed: (error: unknown) => Promise<Error> },
): Download {
  const stream = new PassThrough({ highWaterMark: 256 * 1024 })
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
      if (size !== null && got < wanted) throw cutShort(got + offset, size)
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

const cutShort = (got: number, size: number): Error =>
  Object.assign(new Error(`${got} of ${size} bytes came, though the host said that it was all`), { code: 'ERR_CUT_SHORT' })

/** Sends a whole file to `part` and gives it time and mode; throws unless the host then holds as many bytes as were sent. */
export async function upload(
  connection: FtpConnection,
  part: string,
  content: Readable,
  options: WriteOptions,
  { label, path, signal }: { label: string; path: string; signal: AbortSignal | undefined },
): Promise<WrittenFile> {
  const { client, features } = connection
  const hash = createHash('sha256')
  let size = 0
  const stop = (): void => void content.destroy(asError(signal?.reason))
  signal?.addEventListener('abort', stop, { once: true })
  let broken: unknown
  const counted = async function* (): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) {
        hash.update(chunk)
        size += chunk.length
        yield chunk
      }
    } catch (error) {
      broken = error
      throw error
    }
    await secured(client.ftp)
  }
  try {
    await client.uploadFrom(Readable.from(counted(), { objectMode: false }), part)
  } catch (error) {
    throw broken ?? error
  } finally {
    signal?.removeEventListener('abort', stop)
  }
  if (features.has('SIZE')) {
    const stands = await client.size(part)
    if (stands !== size) throw connectionLost(label, path, new Error(`${stands} of ${size} bytes stand there`))
  }
  await setTime(connection, part, options.mtimeSeconds)
  // Hosts without modes refuse it; whether there are any is told by `powers`.
  if (options.mode !== null) await client.sendIgnoringError(`SITE CHMOD ${(options.mode & 0o7777).toString(8)} ${part}`)
  return { size, sha256: hash.digest('hex') }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)))

/** MFMT (draft-somers-ftp-mfxx-04), or the older way that MDTM with a time in front has; a host with neither keeps its own time. */
async function setTime({ client, features }: FtpConnection, path: string, seconds: number): Promise<void> {
  const command = features.has('MFMT') ? 'MFMT' : features.has('MDTM') ? 'MDTM' : undefined
  if (command !== undefined) await client.sendIgnoringError(`${command} ${timeText(seconds)} ${path}`)
}

const HASHES = ['XSHA256', 'HASH'] as const

/** SHA-256 by the server (draft-bryan-ftpext-hash-02, and the older XSHA256), hexadecimal; `undefined` where it can't. */
export async function serverHash({ client, features }: FtpConnection, path: string): Promise<string | undefined> {
  for (const command of HASHES) {
    if (!features.has(command)) continue
    if (command === 'HASH' && !isYes(await client.sendIgnoringError('OPTS HASH SHA-256'))) continue
    const answer = await client.sendIgnoringError(`${command} ${path}`)
    const found = isYes(answer) ? /\b[0-9a-f]{64}\b/i.exec(answer.message.slice(REPLY_CODE)) : null
    if (found !== null) return found[0].toLowerCase()
  }
  return undefined
}

/** FTP has no command that makes a link. */
export const noLinks = (label: string, path: string): MigrateError =>
  new MigrateError('files-failed', `${label} can't make the link ${JSON.stringify(path)}: FTP has no command for it.`, {
    hint: 'Exclude it in the playbook, or reach that host over SFTP. Nothing was changed.',
  })
