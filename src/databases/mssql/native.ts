import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { runProgram } from '../../base/program.ts'
import { listDumpFiles } from '../native/files.ts'
import { expectSuccess } from '../native/process.ts'
import { findPrograms, type Program, pathFolders, programName } from '../native/programs.ts'
import type { NativeMeans, NativePower, NativeRestore, NativeSave, NativeSaved, NativeWishes } from '../native-port.ts'
import { fullName } from '../schema.ts'
import type { MssqlOptions } from './connection.ts'
import { BACPAC, BAK, type Credentials, compresses, mayLookInto, restoreMeans, saveMeans, serverRow } from './native-choice.ts'
import { backupSets, chooseSet, databaseFiles } from './native-rows.ts'
import type { BackupServer, ServerMessage } from './native-server.ts'
import {
  aloneSql,
  type BackupPlace,
  backupSql,
  CREDENTIALS_SQL,
  emptySql,
  FOLDERS_SQL,
  fileListSql,
  headerSql,
  holdingSql,
  movesOf,
  OCCUPIED_SQL,
  percentOf,
  restoreSql,
  SERVER_SQL,
  stateSql,
  togetherSql,
  verifySql,
  writableSql,
} from './native-sql.ts'
import { exportArguments, importArguments, responseFile, unwritable } from './native-sqlpackage.ts'

interface Tools {
  readonly options: MssqlOptions
  readonly server: BackupServer
  readonly folders: readonly string[]
  /** Removes migrate's own tables, which an import would take for the shop's. */
  readonly removeOwnTables: () => Promise<void>
}

/** BACKUP and RESTORE of the server itself, and sqlpackage where it is installed. */
export function mssqlNative(
  options: MssqlOptions,
  server: BackupServer,
  removeOwnTables: () => Promise<void>,
  folders: readonly string[] = pathFolders(),
): NativePower {
  const tools: Tools = { options, server, folders, removeOwnTables }
  return {
    replaces: true,
    tools: async (purpose, wishes) => (await means(tools, purpose, wishes)).means,
    save: (work) => save(tools, work),
    restore: (work) => restore(tools, work),
    // The server takes back by itself what its RESTORE, cut off, had begun; the next one replaces what is left of it.
    discard: () => refuseRestoring(tools),
  }
}

interface Found {
  readonly means: NativeMeans
  readonly sqlpackage: Program | undefined
  readonly info: z.infer<typeof serverRow>
}

async function means(tools: Tools, purpose: 'save' | 'restore', wishes: NativeWishes): Promise<Found> {
  const [row] = await tools.server.ask('own', SERVER_SQL)
  const info = serverRow.parse(row)
  const [sqlpackage] = await findPrograms('sqlpackage', tools.folders, ['/Version'])
  const hindrance = unwritable(tools.options.password?.reveal() ?? '')
  const asked = wishes.server !== undefined && 'url' in wishes.server
  const credentials = asked ? await credentialsOf(tools) : { names: [], complete: true }
  const at = { server: info, wishes, sqlpackage, hindrance, credentials }
  return { means: purpose === 'save' ? saveMeans(at) : restoreMeans(at), sqlpackage, info }
}

const credentialRow = z.object({ name: z.string().nullable(), seen: z.number() })

async function credentialsOf({ server }: Tools): Promise<Credentials> {
  try {
    const rows = z.array(credentialRow).parse(await server.ask('master', CREDENTIALS_SQL))
    return { names: rows.flatMap(({ name }) => name ?? []), complete: rows.every(({ seen }) => seen === 1) }
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'database-permission-denied') return { names: [], complete: false }
    throw error
  }
}

const PACKAGE = 'database.bacpac'

/** Names our backup set among others in the same file. */
const SET_NAME = 'migrate'

async function save(tools: Tools, work: NativeSave): Promise<NativeSaved> {
  const { means: found, sqlpackage, info } = await means(tools, 'save', work.wishes)
  const place = work.wishes.server
  if (found.format === BACPAC && sqlpackage !== undefined) {
    await mkdir(work.directory, { recursive: true })
    const skipped = new Set(work.skip.map(fullName))
    const taken = work.schema.tables.map((table) => table.name).filter((name) => !skipped.has(fullName(name)))
    const args = exportArguments(tools.options, join(work.directory, PACKAGE), work.skip.length === 0 ? [] : taken)
    await runPackage(tools, sqlpackage, args, work.signal, 'Neither host was changed.')
    return { consistent: false, rows: null, place: 'directory' }
  }
  if (found.format !== BAK || place === undefined) throw notPossible(tools, found)
  await tools.server.run(
    'own',
    backupSql(tools.options.database, place, SET_NAME, compresses(info)),
    work.signal,
    percent(work, 'BACKUP'),
  )
  // Without the right to look into it, the new server does so before it restores it.
  if (mayLookInto(info)) {
    const { position, checksums } = await ourSet(tools, place, info.version, true)
    await tools.server.run('master', verifySql(place, position, checksums, []), work.signal, percent(work, 'VERIFYONLY'))
  }
  return { consistent: true, rows: null, place: 'server' }
}

/** The server tells how far it is, of a hundred. */
const percent =
  ({ progress }: Pick<NativeSave, 'progress'>, what: string) =>
  (said: ServerMessage): void => {
    const done = percentOf(said)
    if (done !== undefined) progress(done, 100, 'changes', `${what} (per cent)`)
  }

const where = (place: BackupPlace): string => ('url' in place ? place.url : place.path)

async function ourSet({ server }: Tools, place: BackupPlace, version: string, ours: boolean) {
  const sets = backupSets(await server.ask('master', headerSql(place)))
  return chooseSet(sets, ours ? SET_NAME : undefined, Number.parseInt(version, 10), where(place))
}

async function restore(tools: Tools, work: NativeRestore): Promise<void> {
  const { means: found, sqlpackage, info } = await means(tools, 'restore', work.wishes)
  await refuseOccupied(tools)
  if (found.format === BACPAC && sqlpackage !== undefined) {
    const [file] = await listDumpFiles(work.directory)
    if (file === undefined) throw notPossible(tools, { reason: `${work.directory} holds no .bacpac` })
    await tools.removeOwnTables()
    const args = importArguments(tools.options, join(work.directory, file))
    await runPackage(tools, sqlpackage, args, work.signal, 'What it brought in so far is dropped when it is run again.')
    return emptySkipped(tools, work)
  }
  const place = work.wishes.server
  if (found.format !== BAK || place === undefined) throw notPossible(tools, found)
  const ours = work.wishes.savedBy?.startsWith('BACKUP DATABASE') === true
  const { position, checksums } = await ourSet(tools, place, info.version, ours)
  const files = databaseFiles(await tools.server.ask('master', fileListSql(place, position)))
  const { database } = tools.options
  const moves = movesOf(files, await folders(tools), `${database}_${work.run}`)
  const quiet = (): void => undefined
  await tools.server.run('master', verifySql(place, position, checksums, moves), work.signal, percent(work, 'VERIFYONLY'))
  try {
    // In one batch: nobody is to take the one place that SINGLE_USER leaves.
    const sql = `${aloneSql(database)};\n${restoreSql({ database, place, position, checksums, moves, replace: true })}`
    await tools.server.run('master', sql, work.signal, percent(work, 'RESTORE'))
  } finally {
    // Also when it was refused: whoever was sent away may come back. The signal may have aborted already.
    await tools.server.run('master', togetherSql(database), NEVER, quiet)
  }
  await tools.server.run('master', writableSql(database), work.signal, quiet)
  await emptySkipped(tools, work)
}

/** A backup, or an export that somebody else made, holds the rows of every table. */
async function emptySkipped({ server }: Tools, { skip, signal }: NativeRestore): Promise<void> {
  if (skip.length === 0) return
  const keys = z.array(holdingRow).parse(await server.ask('own', holdingSql(skip)))
  for (const sql of emptySql(skip, keys)) await server.run('own', sql, signal, () => undefined)
}

const holdingRow = z
  .object({ schema: z.string(), table: z.string(), name: z.string(), untrusted: z.number() })
  .transform(({ untrusted, ...key }) => ({ ...key, trusted: untrusted === 0 }))

const NEVER = new AbortController().signal

const folderRow = z.object({ path: z.string(), type: z.number() })

/** Where the database that is replaced has its own files: there the server may write. */
async function folders({ server, options }: Tools): Promise<{ readonly data: string; readonly log: string }> {
  const rows = z.array(folderRow).parse(await server.ask('own', FOLDERS_SQL))
  const folderOf = (type: number): string | undefined => rows.find((row) => row.type === type)?.path.replace(/[\\/][^\\/]*$/, '')
  const data = folderOf(0)
  if (data === undefined)
    throw new MigrateError(
      'native-not-possible',
      `The ${options.label} doesn't say where its files lie. It was left untouched.`,
      {
        hint: 'Use method: portable.',
      },
    )
  return { data, log: folderOf(1) ?? data }
}

/** REPLACE is for a database that holds nothing: asked just before. One that a RESTORE left half done holds nothing that could be read. */
async function refuseOccupied(tools: Tools): Promise<void> {
  if ((await state(tools)) === 'RESTORING') return
  const tables = z.array(z.object({ name: z.string() })).parse(await tools.server.ask('own', OCCUPIED_SQL))
  if (tables.length === 0) return
  throw new MigrateError(
    'target-not-empty',
    `The ${tools.options.label} holds ${tables.map(({ name }) => name).join(', ')}: it isn't replaced. Nothing was touched.`,
    { hint: 'Give an empty database as new.database.' },
  )
}

async function state({ server, options }: Tools): Promise<string | undefined> {
  const rows = z.array(z.object({ state: z.string().nullable() })).parse(await server.ask('master', stateSql(options.database)))
  return rows[0]?.state ?? undefined
}

/** A database in the middle of a RESTORE can't be opened, so nothing can be dropped in it. */
async function refuseRestoring(tools: Tools): Promise<void> {
  if ((await state(tools)) !== 'RESTORING') return
  const { label, database } = tools.options
  throw new MigrateError(
    'database-restoring',
    `The ${label} is in the middle of a RESTORE that was cut off: nobody can open it.`,
    {
      hint: `As the server's administrator, run: DROP DATABASE [${database}]; CREATE DATABASE [${database}]; then run again.`,
    },
  )
}

async function runPackage(
  tools: Tools,
  program: Program,
  args: readonly string[],
  signal: AbortSignal,
  untouched: string,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'migrate-sqlpackage-'))
  const file = join(folder, 'arguments.rsp')
  try {
    await writeFile(file, responseFile(args), { mode: 0o600 })
    const end = await runProgram({ program: program.path, args: [`@${file}`], signal, secretFile: file })
    expectSuccess(end, `${programName(program)} ${args[0] ?? ''} on the ${tools.options.label}`, untouched)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const notPossible = ({ options }: Tools, { reason }: Pick<NativeMeans, 'reason'>): MigrateError =>
  new MigrateError('native-not-possible', `The ${options.label}: ${reason}. It was left untouched.`, {
    hint: 'Bring in what is missing, or use method: portable.',
  })
