import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { formatBytes } from '../../base/units.ts'
import type { ServerInfo } from '../port.ts'
import { catalogColumns, THIS_DATABASE } from './catalog.ts'
import type { Session } from './session.ts'
import { EXPRESS, fact, warning } from './settings.ts'

const PAGE_BYTES = 8192
/** How much of a limit may be taken before it is worth a word. */
const FULL = 0.8

const fileRow = z.object({ type: z.number(), size: z.string(), most: z.string(), growth: z.string() })
type SizedFile = z.infer<typeof fileRow>

/** "sys.database_files": pages; type 0 holds rows, 1 the log; max_size -1: until the disk is full, 0: no growth; growth 0: never. */
const FILES = `SELECT CONVERT(int, f.type) AS [type], CONVERT(nvarchar(20), f.size) AS [size], CONVERT(nvarchar(20), f.max_size) AS [most], CONVERT(nvarchar(20), f.growth) AS [growth]
FROM sys.database_files f WHERE f.type IN (0, 1)`

/** "DATABASEPROPERTYEX": MaxSizeInBytes is Azure's alone. SCHEMA_NAME: the account's default schema. */
const PROPERTIES = `SELECT CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'MaxSizeInBytes')) AS [most], CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Recovery')) AS [recovery],
  CONVERT(nvarchar(128), SCHEMA_NAME()) AS [schema], OBJECT_ID(N'sys.allocation_units') AS [units]`

const propertyRow = z.object({
  most: z.string().nullable(),
  recovery: z.string().nullable(),
  schema: z.string().nullable(),
  units: z.number().nullable(),
})

/** "sys.databases", group_database_id: of an availability group. */
const GROUPED = `SELECT COUNT(*) AS [databases] FROM sys.databases d WHERE ${THIS_DATABASE} AND d.group_database_id IS NOT NULL`
const groupRow = z.object({ databases: z.number() })

const USED = 'SELECT CONVERT(nvarchar(20), SUM(a.used_pages)) AS [pages] FROM sys.allocation_units a'

/** The most bytes that files may grow to; `undefined` where one may fill its disk, or there are none. Pure. */
function mostOf(files: readonly SizedFile[]): number | undefined {
  let pages = 0
  for (const { size, most, growth } of files) {
    const grows = growth !== '0' && most !== '0'
    if (grows && most === '-1') return undefined
    pages += Number(grows ? most : size)
  }
  return files.length === 0 ? undefined : pages * PAGE_BYTES
}

/** See the port, `furtherFacts`: what the rows and indexes take, what the database may take, where the account looks for names, and whether it is in a group. */
export async function roomFacts(session: Session): Promise<Readonly<Record<string, string>>> {
  const [told] = await session.ask(propertyRow, PROPERTIES)
  const files = await session.ask(fileRow, FILES)
  const [used] = told?.units == null ? [] : await session.ask(z.object({ pages: z.string().nullable() }), USED)
  const grouped = (await catalogColumns(session)).has('databases.group_database_id') ? await session.ask(groupRow, GROUPED) : []
  const data = files.filter(({ type }) => type === 0)
  const limits = [mostOf(data), told?.most == null ? undefined : Number(told.most)].filter(
    (each) => each !== undefined && each > 0,
  )
  const bytes = (number: number | undefined): string => (number === undefined ? '' : String(number))
  return {
    usedBytes: bytes(used?.pages == null ? undefined : Number(used.pages) * PAGE_BYTES),
    dataBytes: bytes(data.length === 0 ? undefined : data.reduce((pages, { size }) => pages + Number(size), 0) * PAGE_BYTES),
    mostBytes: limits.length === 0 ? '' : bytes(Math.min(...limits.map(Number))),
    logMostBytes: bytes(mostOf(files.filter(({ type }) => type === 1))),
    recovery: told?.recovery ?? '',
    defaultSchema: told?.schema ?? '',
    grouped: grouped.some(({ databases }) => databases > 0) ? '1' : '',
  }
}

const bytesOf = (info: ServerInfo, name: string): number | undefined =>
  fact(info, name) === '' ? undefined : Number(fact(info, name))

/** What the new host's limits mean for so large a database. Pure; nothing is said of what a server doesn't tell. */
export const roomConsequences = (source: ServerInfo, target: ServerInfo): readonly Finding[] => {
  const used = bytesOf(source, 'usedBytes')
  return [
    ...express(source, target, used),
    ...(used === undefined ? [] : [...tooSmall(used, target), ...logTooSmall(used, target)]),
  ]
}

/** "Editions and supported features of SQL Server", scale limits: the files of the rows, not the log. 50 GB since SQL Server 2025. */
const expressBytes = ({ version: [major = 0] }: ServerInfo): number => (major >= 17 ? 50 : 10) * 1024 ** 3

function express(source: ServerInfo, target: ServerInfo, used: number | undefined): readonly Finding[] {
  if (fact(target, 'engineEdition') !== EXPRESS) return []
  const [most, held] = [expressBytes(target), used ?? source.sizeBytes ?? 0]
  const limit = `the new host's ${fact(target, 'edition')} takes ${formatBytes(most)} a database at most`
  const hint = 'Ask for another edition, or make the database smaller first.'
  if (held > most * FULL) {
    const message = `The old database has ${formatBytes(held)}; ${limit}.`
    return [{ severity: held > most ? 'error' : 'warning', code: 'express-limit', message, hint }]
  }
  const files = bytesOf(source, 'dataBytes') ?? 0
  if (files <= most) return []
  const message = `The files of the old database have ${formatBytes(files)}, its rows and indexes ${formatBytes(held)}; ${limit}: a backup can't be restored there, while rows are copied one by one.`
  return [warning('express-limit', message, 'Use method: portable, or have the files made smaller first (DBCC SHRINKFILE).')]
}

/** Error 1105 (the files), 40544 (Azure) come in the middle of loading. */
function tooSmall(used: number, target: ServerInfo): readonly Finding[] {
  const most = bytesOf(target, 'mostBytes')
  if (most === undefined || used <= (most - (bytesOf(target, 'usedBytes') ?? 0)) * FULL) return []
  return [
    warning(
      'new-database-too-small',
      `The rows and indexes of the old database take ${formatBytes(used)}; the new one may have ${formatBytes(most)}: loading may stop there (error 1105 or 40544).`,
      'Ask the new host for a larger limit first.',
    ),
  ]
}

/** "The transaction log", truncation: but for SIMPLE, only a backup of the log makes room in it; error 9002 where nobody makes one. */
function logTooSmall(used: number, target: ServerInfo): readonly Finding[] {
  const most = bytesOf(target, 'logMostBytes')
  const recovery = fact(target, 'recovery')
  if (most === undefined || recovery === '' || recovery === 'SIMPLE' || used <= most) return []
  return [
    warning(
      'log-too-small',
      `The new database keeps its log until somebody backs it up (recovery model ${recovery}), and the log may have ${formatBytes(most)}: loading ${formatBytes(used)} may fill it (error 9002).`,
      'ALTER DATABASE CURRENT SET RECOVERY SIMPLE; on the new host until everything is loaded, then back; or have the host back up the log meanwhile.',
    ),
  ]
}
