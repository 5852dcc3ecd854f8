import { rm, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { type ProgramEnd, runProgram } from '../../base/program.ts'
import { expectSuccess } from '../native/process.ts'
import { findPrograms, type Program, programName } from '../native/programs.ts'
import type { NativeMeans, NativePower, NativeRestore, NativeSave, NativeSaved, NativeWishes } from '../native-port.ts'
import { fullName, type Schema, type TableName } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Connections, PostgresOptions, Session } from './connection.ts'
import { runStatements } from './execute.ts'
import { isLargeObjects } from './large-objects.ts'
import { dumpArguments, libpqEnvironment, restoreArguments, type Section } from './native-argv.ts'
import { chooseDump, chooseRestore, FORMAT } from './native-choice.ts'
import { installedPrograms } from './native-programs.ts'
import { countDumpedRows, dataFiles, restoreList } from './native-toc.ts'
import { PUBLIC_RIGHTS_KIND } from './objects-rights.ts'
import { quoteText } from './values.ts'

interface Tools {
  readonly options: PostgresOptions
  readonly connections: Connections
  readonly find: (name: string) => Promise<readonly Program[]>
}

/** pg_dump and pg_restore, found in `folders`; among all that are installed when absent. */
export function postgresNative(options: PostgresOptions, connections: Connections, folders?: readonly string[]): NativePower {
  const find = (name: string): Promise<readonly Program[]> =>
    folders === undefined ? installedPrograms(name) : findPrograms(name, folders)
  const tools: Tools = { options, connections, find }
  return {
    replaces: false,
    tools: async (purpose, wishes) => (await choice(tools, purpose, wishes)).means,
    save: (work) => save(tools, work),
    restore: (work) => restore(tools, work),
    discard: (run) => connections.use((session) => endSessions(session, sessionName(run))),
  }
}

const serverRow = z.object({ number: z.number(), large: z.boolean() })
const SERVER = `SELECT current_setting('server_version_num')::int AS number, EXISTS (SELECT FROM pg_largeobject_metadata) AS large`

/** pg_restore can't make them side by side with the rows, nor tell which it made. */
const LARGE_OBJECTS_TOO: NativeMeans = {
  tool: null,
  format: null,
  reason: 'the database holds large objects, which are carried by method: portable',
  findings: [],
}

async function choice(tools: Tools, purpose: 'save' | 'restore', wishes: NativeWishes) {
  const [server] = await tools.connections.use((session) => ask(session, serverRow, SERVER))
  const major = Math.trunc((server?.number ?? 0) / 10_000)
  if (purpose === 'save' && server?.large === true) return { means: LARGE_OBJECTS_TOO, program: undefined }
  const [dumps, restores] = await Promise.all([tools.find('pg_dump'), tools.find('pg_restore')])
  const chosen = purpose === 'save' ? chooseDump(dumps, restores, major, wishes) : chooseRestore(restores, major, wishes)
  const trust = certificateFinding(tools.options, chosen.program)
  const means: NativeMeans =
    chosen.program === undefined || trust !== undefined
      ? { tool: null, format: null, reason: trust ?? chosen.reason, findings: [] }
      : { tool: programName(chosen.program), format: FORMAT, reason: chosen.reason, findings: chosen.findings }
  return { means, program: trust === undefined ? chosen.program : undefined }
}

/** libpq trusts the system's authorities from release 16 on alone (PostgreSQL documentation, "libpq", sslrootcert). */
function certificateFinding({ sslmode, ca }: PostgresOptions, program: Program | undefined): string | undefined {
  if (sslmode !== 'verify-full' || ca !== undefined || program === undefined || (program.version[0] ?? 0) >= 16) return undefined
  return `${programName(program)} doesn't know the system's certificate authorities: sslmode verify-full needs ca: with it`
}

async function programFor(tools: Tools, purpose: 'save' | 'restore', wishes: NativeWishes): Promise<Program> {
  const { means, program } = await choice(tools, purpose, wishes)
  if (program !== undefined) return program
  throw new MigrateError('native-not-possible', `The ${tools.options.label}: ${means.reason}. It was left untouched.`, {
    hint: 'Install what is missing, or set method: portable.',
  })
}

/** pg_dump uses a connection for each job and one more, the driver one besides ("pg_dump", --jobs). */
const dumpJobs = (connections: number): number => Math.max(1, connections - 2)

async function save(tools: Tools, work: NativeSave): Promise<NativeSaved> {
  const program = await programFor(tools, 'save', work.wishes)
  let tables = 0
  await rm(work.directory, { recursive: true, force: true })
  const end = await run(tools, program, 'migrate', {
    args: dumpArguments(work.directory, dumpJobs(work.connections), work.skip),
    signal: work.signal,
    line: (text) => {
      const table = /dumping contents of table "(.*)"/.exec(text)?.[1]
      if (table === undefined) return
      tables += 1
      work.progress(tables, Math.max(tables, work.schema.tables.length - work.skip.length), 'changes', `${table} (tables)`)
    },
  })
  expectSuccess(end, `${programName(program)} on the ${tools.options.label}`, 'Neither host was changed.')
  return { consistent: true, rows: await countRows(tools, program, work), place: 'directory' }
}

async function countRows(tools: Tools, dump: Program, work: NativeSave): Promise<NativeSaved['rows']> {
  const restoring = await programFor(tools, 'restore', { format: FORMAT, savedBy: programName(dump) })
  const list = await listOf(tools, restoring, work.directory, work.signal)
  const files = dataFiles(
    list,
    work.schema.tables.map((table) => table.name),
  )
  if (files === undefined) return null
  const rows: Record<string, number> = {}
  const skipped = new Set(work.skip.map(fullName))
  for (const { name } of work.schema.tables.filter((each) => !isLargeObjects(each))) {
    if (skipped.has(fullName(name))) continue
    const file = files.get(fullName(name))
    if (file === undefined) throw missingTable(name, work.directory)
    rows[fullName(name)] = await countDumpedRows(work.directory, file, work.signal)
  }
  return rows
}

const missingTable = (table: TableName, directory: string): MigrateError =>
  new MigrateError(
    'native-tool-failed',
    `The dump in ${directory} doesn't hold the rows of ${fullName(table)}. Neither host was changed.`,
    {
      hint: 'Run again: the snapshot is taken anew. If it stays so, set method: portable.',
    },
  )

async function listOf(tools: Tools, program: Program, directory: string, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  const end = await run(tools, program, 'migrate', {
    args: ['--list', directory],
    signal,
    output: async (stream) => {
      for await (const chunk of stream) chunks.push(chunk)
    },
  })
  expectSuccess(end, `${programName(program)} --list ${directory}`, 'Nothing was restored from it.')
  return Buffer.concat(chunks).toString()
}

/** How the server lists the sessions of a run's restore. At most 63 bytes are kept ("Error Reporting and Logging", application_name). */
const sessionName = (run: string): string => `migrate restore ${run}`.slice(0, 63)

const SECTIONS: readonly Section[] = ['pre-data', 'data', 'post-data']

async function restore(tools: Tools, work: NativeRestore): Promise<void> {
  const program = await programFor(tools, 'restore', work.wishes)
  const standing = await tools.connections.use((session) =>
    ask(session, z.object({ name: z.string() }), 'SELECT nspname AS name FROM pg_namespace'),
  )
  const list = await listOf(tools, program, work.directory, work.signal)
  // Beside the dump, whose files are known one by one.
  const listFile = `${work.directory}.list`
  await writeFile(listFile, restoreList(list, new Set(standing.map(({ name }) => name))))
  const jobs = Math.max(1, work.connections - 1)
  let tables = 0
  try {
    for (const section of SECTIONS) {
      const end = await run(tools, program, sessionName(work.run), {
        args: restoreArguments(work.directory, tools.options.database, section, jobs, listFile),
        signal: work.signal,
        line: (text) => {
          const table = /processing data for table "(.*)"/.exec(text)?.[1]
          if (table === undefined) return
          tables += 1
          work.progress(tables, Math.max(tables, work.schema.tables.length - work.skip.length), 'changes', `${table} (tables)`)
        },
      })
      expectSuccess(
        end,
        `${programName(program)} (${section}) on the ${tools.options.label}`,
        'What it restored so far is dropped when it is run again.',
      )
    }
    await tools.connections.use((session) => finish(session, work.schema))
  } finally {
    await rm(listFile, { force: true })
  }
}

/** What pg_restore isn't trusted with: the rights of everybody, without those of accounts. */
async function finish(session: Session, { objects }: Schema): Promise<void> {
  await runStatements(
    session,
    objects.filter(({ kind }) => kind === PUBLIC_RIGHTS_KIND).map(({ sql }) => sql),
  )
  await session.query('ANALYZE')
}

const run = (
  { options }: Tools,
  program: Program,
  name: string,
  rest: Omit<Parameters<typeof runProgram>[0], 'program' | 'environment'>,
): Promise<ProgramEnd> => runProgram({ program: program.path, environment: libpqEnvironment(options, name), ...rest })

const LOOKS = 300

/** Ends sessions by their name, and waits for at most half a minute. An account may end its own ("Server Signaling Functions"). */
async function endSessions(session: Session, name: string): Promise<void> {
  const own = `application_name = ${quoteText(name)} AND usename = current_user AND pid <> pg_backend_pid()`
  for (let look = 0; look < LOOKS; look += 1) {
    const { rows } = await session.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${own}`)
    if (rows.length === 0) return
    await session.query('SELECT pg_sleep(0.1)')
  }
  throw new MigrateError(
    'database-busy',
    `A restore that was cut off still works on the ${session.label}. Nothing more was begun.`,
    {
      hint: `End its sessions (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${quoteText(name)}), then run again.`,
      retrySafe: true,
    },
  )
}
