import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { MigrateError } from '../../base/errors.ts'
import { runProgram } from '../../base/program.ts'
import { expectSuccess } from '../native/process.ts'
import { findPrograms, type Program, pathFolders, programName } from '../native/programs.ts'
import type { NativePower, NativeRestore, NativeSave, NativeSaved, NativeWishes } from '../native-port.ts'
import { fullName } from '../schema.ts'
import { definitionArguments, dumpArguments, loadArguments, type MysqlNativeOptions, optionFile } from './native-argv.ts'
import { chooseProgram, engineFindings, FORMAT, familyOf, serverOf } from './native-choice.ts'
import { DumpReader, withoutDefiners } from './native-dump.ts'

export type { MysqlNativeOptions } from './native-argv.ts'

/** Runs one statement on a connection of its own; rows, every value as text. */
export type MysqlQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>

interface Tools {
  readonly options: MysqlNativeOptions
  readonly query: MysqlQuery
  readonly folders: readonly string[]
}

const DUMPS = ['mariadb-dump', 'mysqldump']
const CLIENTS = ['mariadb', 'mysql']
const DEFINITIONS = '1-definitions.sql.gz'
const DATABASE = '2-database.sql.gz'

/** mariadb-dump or mysqldump, and the client of the same family, found in PATH (or in `folders`). */
export function mysqlNative(
  options: MysqlNativeOptions,
  query: MysqlQuery,
  folders: readonly string[] = pathFolders(),
): NativePower {
  const tools: Tools = { options, query, folders }
  return {
    replaces: false,
    tools: async (purpose, wishes) => {
      const { program, reason, findings } = await choose(tools, purpose, wishes)
      if (program === undefined) return { tool: null, format: null, reason, findings }
      return { tool: programName(program), format: FORMAT, reason, findings }
    },
    save: (work) => save(tools, work),
    restore: (work) => restore(tools, work),
    discard: (run) => endSession(tools, lockName(run)),
  }
}

async function choose({ query, folders }: Tools, purpose: 'save' | 'restore', wishes: NativeWishes) {
  const [[version] = []] = await query('SELECT VERSION()')
  const names = purpose === 'save' ? DUMPS : CLIENTS
  const programs = (await Promise.all(names.map((name) => findPrograms(name, folders)))).flat()
  const choice = chooseProgram(programs, serverOf(version ?? ''), wishes, names[0] ?? '')
  if (choice.program === undefined || purpose === 'restore') return choice
  const plain = await query(`SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
    AND TABLE_TYPE = 'BASE TABLE' AND ENGINE NOT IN ('InnoDB', 'ROCKSDB', 'NDB')`)
  const faster = await findPrograms('mydumper', folders)
  // FLUSH TABLES WITH READ LOCK waits for the longest query and holds up every writer behind it (MySQL reference manual, "FLUSH").
  const why =
    faster.length === 0 ? '' : '; mydumper, though faster, would hold up every writer for a moment (FLUSH TABLES WITH READ LOCK)'
  return { ...choice, reason: `${choice.reason}${why}`, findings: engineFindings(plain.flatMap(([name]) => name ?? [])) }
}

async function programFor(tools: Tools, purpose: 'save' | 'restore', wishes: NativeWishes): Promise<Program> {
  const { program, reason } = await choose(tools, purpose, wishes)
  if (program !== undefined) return program
  throw new MigrateError('native-not-possible', `The ${tools.options.label}: ${reason}. It was left untouched.`, {
    hint: 'Install what is missing, or set method: portable.',
  })
}

/** Lends `work` an option file with the password, in a folder that only this account may enter; gone when it returns. */
async function withOptionFile<T>(tools: Tools, program: Program, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'migrate-client-'))
  const file = join(folder, 'client.cnf')
  try {
    await writeFile(file, optionFile(tools.options, familyOf(program)), { mode: 0o600 })
    return await work(file)
  } finally {
    await rm(file, { force: true })
    await rmdir(dirname(file))
  }
}

async function save(tools: Tools, work: NativeSave): Promise<NativeSaved> {
  const program = await programFor(tools, 'save', work.wishes)
  await rm(work.directory, { recursive: true, force: true })
  await mkdir(work.directory, { recursive: true })
  const about = { family: familyOf(program), database: tools.options.database, skip: work.skip }
  if (work.skip.length > 0) {
    await dump(tools, program, work, DEFINITIONS, (file) => definitionArguments({ ...about, optionFile: file }))
  }
  const found = await dump(tools, program, work, DATABASE, (file) => dumpArguments({ ...about, optionFile: file }))
  const skipped = new Set(work.skip.map(fullName))
  const carried = work.schema.tables.map((table) => table.name).filter((name) => !skipped.has(fullName(name)))
  const plain = (await choose(tools, 'save', work.wishes)).findings.length > 0
  return {
    consistent: !plain,
    rows: Object.fromEntries(carried.map((name) => [fullName(name), found.rows.get(name.name) ?? 0])),
    place: 'directory',
  }
}

async function dump(
  tools: Tools,
  program: Program,
  work: NativeSave,
  name: string,
  args: (file: string) => readonly string[],
): Promise<DumpReader> {
  const reader = new DumpReader()
  let bytes = 0
  const seen = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      reader.read(chunk)
      bytes += chunk.length
      work.progress(bytes, null, 'bytes', name)
      yield chunk
    }
  }
  const output = (stream: Readable): Promise<void> =>
    pipeline(stream, seen, createGzip({ level: 1 }), createWriteStream(join(work.directory, name)), { signal: work.signal })
  const end = await withOptionFile(tools, program, (file) =>
    runProgram({ program: program.path, args: args(file), signal: work.signal, secretFile: file, output }),
  )
  const doing = `${programName(program)} on the ${tools.options.label}`
  expectSuccess(end, doing, 'Neither host was changed.')
  if (!reader.completed) throw notWhole(doing, `${end.stderr}\nIts output doesn't end as a whole dump does.`.trim())
  return reader
}

const notWhole = (doing: string, words: string): MigrateError =>
  new MigrateError('native-tool-failed', `${doing} didn't save everything. Neither host was changed. ${words}`, {
    hint: 'Mend what it complains of and run again; or set method: portable.',
  })

/** A lock that the restoring session holds as long as it lives; at most 64 characters (MySQL reference manual, "GET_LOCK"). */
const lockName = (run: string): string => `migrate restore ${run}`.slice(0, 64)

const quoteText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

async function restore(tools: Tools, work: NativeRestore): Promise<void> {
  const program = await programFor(tools, 'restore', work.wishes)
  for (const name of work.skip.length > 0 ? [DEFINITIONS, DATABASE] : [DATABASE]) {
    const script = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from(`SELECT GET_LOCK(${quoteText(lockName(work.run))}, 0);\n`)
      let bytes = 0
      for await (const chunk of withoutDefiners(plain(join(work.directory, name)))) {
        bytes += chunk.length
        work.progress(bytes, null, 'bytes', name)
        yield chunk
      }
    }
    const end = await withOptionFile(tools, program, (file) =>
      runProgram({
        program: program.path,
        args: loadArguments(file, tools.options.database),
        signal: work.signal,
        secretFile: file,
        input: script(),
      }),
    )
    expectSuccess(
      end,
      `${programName(program)} on the ${tools.options.label} (${name})`,
      'What it restored so far is dropped when it is run again.',
    )
  }
}

async function* plain(file: string): AsyncGenerator<Buffer> {
  const stream = createReadStream(file)
  const gunzip = createGunzip()
  const done = pipeline(stream, gunzip)
  // Its failure is the reader's too, by which it is told.
  done.catch(() => undefined)
  for await (const chunk of gunzip) yield chunk
  await done
}

/**
 * Ends the session that holds the lock, and waits until it has let go. What it had not committed is rolled back by then. An account
 * may end its own sessions (MySQL reference manual, "KILL").
 */
async function endSession({ query, options }: Tools, name: string): Promise<void> {
  const lock = quoteText(name)
  const [[holder] = []] = await query(`SELECT IS_USED_LOCK(${lock})`)
  if (holder === null || holder === undefined) return
  // It may have ended by itself in between: whether it has is told by the lock, not by this.
  await query(`KILL ${BigInt(holder)}`).catch(() => undefined)
  const [[free] = []] = await query(`SELECT GET_LOCK(${lock}, 60) + RELEASE_LOCK(${lock})`)
  if (free === '2') return
  throw new MigrateError(
    'database-busy',
    `A restore that was cut off still works on the ${options.label}. Nothing more was begun.`,
    {
      hint: `Look for its session (SHOW PROCESSLIST, number ${holder}) and wait until it has rolled back, then run again.`,
      retrySafe: true,
    },
  )
}
