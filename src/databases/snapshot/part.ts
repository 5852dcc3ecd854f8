import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as zlib from 'node:zlib'
import { z } from 'zod'
import { codeOf, MigrateError } from '../../base/errors.ts'
import type { Row } from '../port.ts'
import type { Part } from './manifest.ts'

/** A part is closed when it holds so much; both bound what a kill costs and what a reader needs to hold. */
export interface PartLimits {
  readonly rows: number
  /** Before compression. */
  readonly bytes: number
}

export const partLimits: PartLimits = { rows: 50_000, bytes: 32 * 2 ** 20 }

/** Rows handed out at once when a part is read. */
const CHUNK_BYTES = 256 * 1024

const zstd = typeof zlib.createZstdCompress === 'function'

/** Ending of the files written here; a snapshot may hold both kinds when another Node went on with it. */
export const partExtension = zstd ? '.jsonl.zst' : '.jsonl.gz'

// zstd's level 1 packs rows at several hundred MB/s and within a few percent of its default level's size.
const compressor = (): Transform =>
  zstd
    ? zlib.createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } })
    : zlib.createGzip({ chunkSize: CHUNK_BYTES, level: 1 })

function decompressor(file: string): Transform {
  if (!file.endsWith('.zst')) return zlib.createGunzip({ chunkSize: CHUNK_BYTES })
  if (zstd) return zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES })
  throw new MigrateError('snapshot-needs-newer-node', `${file} is compressed with zstd, which this Node.js doesn't have.`, {
    hint: 'Run migrate with Node.js 22.15 or newer, as the snapshot was taken.',
  })
}

export interface WrittenPart {
  readonly rows: number
  readonly bytes: number
  readonly storedBytes: number
  readonly sha256: string
  readonly lastRow: Row | undefined
  /** True when there are no more rows. */
  readonly ended: boolean
}

/**
 * Writes rows to a file, one JSON array of cells a line, compressed, until the limits are reached or the rows end; the file is
 * on disk (fsync) when it returns. Pulls from `batches` no faster than the disk takes it, and leaves it open.
 * Throws `disk-full`.
 */
export async function writePart(file: string, batches: AsyncIterator<readonly Row[]>, limits: PartLimits): Promise<WrittenPart> {
  let rows = 0
  let bytes = 0
  let ended = false
  let lastRow: Row | undefined
  async function* lines(): AsyncGenerator<Buffer> {
    while (rows < limits.rows && bytes < limits.bytes) {
      const next = await batches.next()
      if (next.done === true) {
        ended = true
        return
      }
      if (next.value.length === 0) continue
      const text = Buffer.from(`${next.value.map((row) => JSON.stringify(row)).join('\n')}\n`)
      rows += next.value.length
      bytes += text.length
      lastRow = next.value.at(-1)
      yield text
    }
  }
  const hash = createHash('sha256')
  let storedBytes = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      storedBytes += chunk.length
      done(null, chunk)
    },
  })
  try {
    await pipeline(Readable.from(lines(), { objectMode: false }), compressor(), measure, createWriteStream(file, { flush: true }))
  } catch (error) {
    throw diskError(error, file)
  }
  return { rows, bytes, storedBytes, sha256: hash.digest('hex'), lastRow, ended }
}

/** A full disk as the reader needs it said; anything else as it was. */
export function diskError(error: unknown, file: string): unknown {
  if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') return error
  return new MigrateError(
    'disk-full',
    `The disk of the run's folder is full: ${file} couldn't be written. Neither host was changed.`,
    {
      hint: 'Make room there, or choose another folder with --state, then run again: whole parts are kept.',
      cause: error,
    },
  )
}

/** Throws `snapshot-damaged` with the part's name unless the file is as it was written. Reads it once, holding little of it. */
export async function verifyPart(file: string, part: Part): Promise<void> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(file, { highWaterMark: CHUNK_BYTES }), hash)
  } catch (error) {
    throw damaged(part, codeOf(error) === 'ENOENT' ? 'the file is gone' : "the file can't be read", error)
  }
  if (hash.digest('hex') !== part.sha256) throw damaged(part, 'its checksum differs from the one written with it')
}

const damaged = (part: Part, why: string, cause?: unknown): MigrateError =>
  new MigrateError(
    'snapshot-damaged',
    `${part.file} of the snapshot (${part.table}, part ${part.part}) is damaged: ${why}. No row of it was loaded.`,
    {
      hint: 'Put the file back from a copy and run again; or take the snapshot again with --fresh.',
      ...(cause === undefined ? {} : { cause }),
    },
  )

/**
 * The rows of a part in batches, as they were written. The checksum is proven before the first row is handed out.
 * Throws `snapshot-damaged` when anything is missing or more than was written.
 */
export async function* readPart(file: string, part: Part, columns: number): AsyncGenerator<readonly Row[]> {
  await verifyPart(file, part)
  let rows = 0
  for await (const lines of lineBatches(file)) {
    const batch = lines.map(parseRow)
    if (batch.some((row) => row.length !== columns)) throw damaged(part, `a row hasn't got ${columns} values`)
    rows += batch.length
    yield batch
  }
  if (rows !== part.rows) throw damaged(part, `it holds ${rows} rows instead of ${part.rows}`)
}

const QUOTE = 34
const rowSchema = z.array(z.string().nullable())

/**
 * A line as `writePart` wrote it. Without a backslash in it every quote begins or ends a cell: cutting there takes a quarter of
 * JSON.parse's time, which makes up most of a load's. Any other line is JSON to the letter.
 */
function parseRow(line: string): Row {
  if (line.includes('\\')) return rowSchema.parse(JSON.parse(line))
  const cells: (string | null)[] = []
  for (let at = 1; at < line.length - 1; ) {
    if (line.charCodeAt(at) !== QUOTE) {
      cells.push(null)
      at += 'null,'.length
      continue
    }
    const end = line.indexOf('"', at + 1)
    if (end === -1) break
    cells.push(line.slice(at + 1, end))
    at = end + 2
  }
  return cells
}

async function* lineBatches(file: string): AsyncGenerator<readonly string[]> {
  const source = createReadStream(file, { highWaterMark: CHUNK_BYTES })
  const plain = decompressor(file)
  // A consumer that stops early destroys `plain`; pipeline then closes the file, and its complaint is about that alone.
  const piped = pipeline(source, plain)
  piped.catch(() => undefined)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  // Only the new text is searched for line ends: a row may be many times as long as a chunk.
  let pieces: string[] = []
  for await (const chunk of plain) {
    const text = decoder.decode(chunk as Buffer, { stream: true })
    const end = text.lastIndexOf('\n')
    if (end === -1) {
      pieces.push(text)
      continue
    }
    yield `${pieces.join('')}${text.slice(0, end)}`.split('\n')
    pieces = [text.slice(end + 1)]
  }
  await piped
  const rest = `${pieces.join('')}${decoder.decode()}`
  if (rest !== '') yield [rest]
}
