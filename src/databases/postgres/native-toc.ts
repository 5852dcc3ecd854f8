import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { MigrateError } from '../../base/errors.ts'
import { fullName, type TableName } from '../schema.ts'

/** An entry of an archive's table of contents, as `pg_restore --list` writes it: `215; 1259 16389 TABLE public orders shop`. */
const ENTRY = /^(\d+); \d+ \d+ (.+)$/

/**
 * Kinds that are never restored: grants and owners aren't carried, event triggers and subscriptions belong to a superuser, and a
 * comment on an extension may only be written by its owner.
 */
const LEFT_OUT =
  /^(ACL|DEFAULT ACL|EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE|SUBSCRIPTION|SECURITY LABEL|COMMENT - (EXTENSION|SCHEMA)) /

/**
 * The list of what is restored: the archive's own, without what isn't carried and without schemas that stand there already (`public`
 * does on every server). Pure.
 */
export function restoreList(list: string, standingSchemas: ReadonlySet<string>): string {
  const stands = (entry: string): boolean => [...standingSchemas].some((name) => entry.startsWith(`SCHEMA - ${name} `))
  const lines = list.split('\n').filter((line) => {
    const entry = ENTRY.exec(line)?.[2]
    return entry !== undefined && !LEFT_OUT.test(`${entry} `) && !stands(`${entry} `)
  })
  return `${lines.join('\n')}\n`
}

/**
 * Which file holds which table's rows, by full name. The list puts names side by side with blanks between them: the longest name that
 * fits is the table's. `undefined` when two entries fit one table, or one none: then the rows can't be told apart. Pure.
 */
export function dataFiles(list: string, tables: readonly TableName[]): ReadonlyMap<string, string> | undefined {
  const names = tables
    .map((table) => ({ name: fullName(table), start: `TABLE DATA ${table.schema} ${table.name} ` }))
    .sort((a, b) => b.start.length - a.start.length)
  const files = new Map<string, string>()
  for (const line of list.split('\n')) {
    const [, id, entry] = ENTRY.exec(line) ?? []
    if (id === undefined || !entry?.startsWith('TABLE DATA ')) continue
    const found = names.find(({ start }) => `${entry} `.startsWith(start))
    if (found === undefined || files.has(found.name)) return undefined
    files.set(found.name, `${id}.dat`)
  }
  return files
}

const NEWLINE = 10
/** What follows the last row: the end of the data (PostgreSQL documentation, "COPY", "Text Format") and two empty lines. */
const END = '\\.\n\n\n'

/**
 * Rows of a table's file: text of COPY, in which a row is exactly one line. Throws `native-tool-failed` when the file doesn't end as a
 * whole one does.
 */
export async function countDumpedRows(directory: string, file: string, signal: AbortSignal): Promise<number> {
  const path = join(directory, file)
  const plain = await access(path).then(
    () => true,
    () => false,
  )
  let lines = 0
  let tail = ''
  const count = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) {
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1
      tail = (tail + chunk.subarray(-END.length).toString('latin1')).slice(-END.length)
    }
  }
  if (plain) await pipeline(createReadStream(path), count, { signal })
  else await pipeline(createReadStream(`${path}.gz`), createGunzip(), count, { signal })
  if (tail === END) return lines - END.split('\n').length + 1
  throw new MigrateError(
    'native-tool-failed',
    `${path} doesn't end as a table's rows do: it isn't whole. Neither host was changed.`,
    {
      hint: 'Run again: the snapshot is taken anew. Is the disk full?',
    },
  )
}
