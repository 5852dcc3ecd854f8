import { createHash } from 'node:crypto'
import { open, readFile, stat, truncate } from 'node:fs/promises'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { canonicalJson, type Json } from '../../base/json.ts'
import { entrySchema, fold, type Manifest, type ManifestEntry } from './manifest.ts'

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

const lineOf = (entry: ManifestEntry): string => {
  const text = canonicalJson(entry as Json)
  return `${checksum(text)} ${text}\n`
}

/** The line's entry; `undefined` when it isn't whole. */
function entryOf(line: string): ManifestEntry | undefined {
  const text = line.slice(17)
  if (line.slice(0, 17) !== `${checksum(text)} `) return undefined
  return entrySchema.parse(JSON.parse(text))
}

/** Entries of a manifest file, and how many of its bytes hold them: a line that a kill cut off at the end is left out. */
async function entriesOf(file: string): Promise<{ readonly entries: readonly ManifestEntry[]; readonly bytes: number }> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  })
  const entries: ManifestEntry[] = []
  let bytes = 0
  const lines = text.split('\n')
  const tail = lines.pop()
  for (const [index, line] of lines.entries()) {
    const entry = entryOf(line)
    const last = index === lines.length - 1 && tail === ''
    if (entry === undefined && !last) {
      throw new MigrateError(
        'snapshot-damaged',
        `Line ${index + 1} of ${file} is damaged. Nothing was loaded from this snapshot.`,
        {
          hint: 'Take the snapshot again: run with --fresh, or remove the folder "database" from the run\'s folder.',
        },
      )
    }
    if (entry === undefined) break
    entries.push(entry)
    bytes += Buffer.byteLength(line) + 1
  }
  return { entries, bytes }
}

/** Reads a manifest; an absent file is an empty manifest. Throws `snapshot-damaged` when a line in the middle isn't whole. */
export async function readManifest(file: string): Promise<Manifest> {
  const { entries } = await entriesOf(file)
  return fold(entries)
}

/** Size of a manifest file; 0 when it isn't there. */
export async function manifestBytes(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0
    throw error
  }
}

/**
 * Reads a manifest that somebody else may be writing. What was read is on disk (fsync) when it is returned: whoever acts on a line
 * must find it again after a loss of power.
 */
export async function readManifestDurably(file: string): Promise<Manifest> {
  const manifest = await readManifest(file)
  if (manifest.schemaSha256 === null) return manifest
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  return manifest
}

/**
 * Appends entries, each on disk (fsync) before `append` returns. Several callers may append at the same time: what comes while a
 * write is under way goes to disk together in the next.
 */
export class ManifestWriter {
  readonly #file: string
  #lines: string[] = []
  #next: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()

  private constructor(file: string) {
    this.#file = file
  }

  /** Opens a manifest for appending; cuts off a last line that isn't whole. */
  static async open(file: string): Promise<ManifestWriter> {
    const { bytes } = await entriesOf(file)
    await truncate(file, bytes).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    return new ManifestWriter(file)
  }

  append(entries: readonly ManifestEntry[]): Promise<void> {
    this.#lines.push(...entries.map(lineOf))
    if (this.#next !== undefined) return this.#next
    // After a failed write the last line may be cut off: nothing more is appended through this writer.
    const mine = this.#last.then(() => {
      const text = this.#lines.join('')
      this.#lines = []
      this.#next = undefined
      return this.#write(text)
    })
    mine.catch(() => undefined)
    this.#next = mine
    this.#last = mine
    return mine
  }

  async #write(text: string): Promise<void> {
    const handle = await open(this.#file, 'a')
    try {
      await handle.appendFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}
