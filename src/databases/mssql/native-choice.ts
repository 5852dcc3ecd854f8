import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { type Program, programName } from '../native/programs.ts'
import type { NativeMeans, NativeWishes } from '../native-port.ts'
import { quoteName } from './names.ts'
import { createCredentialSql, credentialOf, isS3 } from './native-sql.ts'

/** A backup of SQL Server's own, and a data-tier application's export. */
export const BAK = 'mssql-bak'
export const BACPAC = 'mssql-bacpac'

export const serverRow = z.object({
  engineEdition: z.number(),
  edition: z.string(),
  version: z.string(),
  login: z.string(),
  user: z.string(),
  mayBackUp: z.number().nullable(),
  mayCreate: z.number().nullable(),
  mayRestore: z.number().nullable(),
  encrypted: z.number().nullable(),
})
export type BackupServerInfo = z.infer<typeof serverRow>

/** "SERVERPROPERTY (Transact-SQL)", EngineEdition. */
const EXPRESS = 4
const AZURE_DATABASE = 5
const MANAGED_INSTANCE = 8

/** Editions that compress backups ("Editions and supported features of SQL Server": not Express, not Web). */
export const compresses = ({ engineEdition, edition }: BackupServerInfo): boolean =>
  engineEdition !== EXPRESS && engineEdition !== AZURE_DATABASE && !/^(Web|Express)/i.test(edition)

const impossible = (reason: string, findings: readonly Finding[] = []): NativeMeans => ({
  tool: null,
  format: null,
  reason,
  findings,
})

/** "RESTORE Statements - HEADERONLY", "- FILELISTONLY", "- VERIFYONLY", permissions: CREATE DATABASE, which an owner of one database lacks. */
export const mayLookInto = ({ mayCreate }: BackupServerInfo): boolean => mayCreate === 1

const unverified = ({ login }: BackupServerInfo): Finding => ({
  severity: 'warning',
  code: 'native-not-verified',
  message: `${login} may not look into backups on the old server: the backup is written with checksums, and verified only by the new server before it is restored.`,
  hint: `To have it verified at once too, as the old server's administrator: GRANT CREATE ANY DATABASE TO ${quoteName(login)}`,
})

/**
 * "SQL Server backup to URL for Microsoft Azure Blob Storage": credentials that a URL finds by itself (signatures) since SQL Server 2016,
 * before it only those named in the statement; "… for S3-compatible object storage": since SQL Server 2022.
 */
function urlHindrance({ server, wishes }: Circumstances): string | undefined {
  if (wishes.server === undefined || !('url' in wishes.server) || server.engineEdition === MANAGED_INSTANCE) return undefined
  const [release, since] = isS3(wishes.server) ? [16, 'SQL Server 2022'] : [13, 'SQL Server 2016']
  if (Number.parseInt(server.version, 10) >= release) return undefined
  return `backups by such a URL are known since ${since}, and this server is ${server.version}: give backup: { path, file }`
}

/** "Transparent data encryption (TDE)", remarks: a backup is encrypted by the same key, and a key that Azure keeps never leaves it. */
const encrypted = ({ engineEdition }: BackupServerInfo): Finding => ({
  severity: 'warning',
  code: 'native-encrypted',
  message:
    'The old database is encrypted as a whole (TDE), and so is its backup: only a server that has the certificate can restore it.',
  hint:
    engineEdition === MANAGED_INSTANCE
      ? 'A managed instance backs up none whose key Azure keeps: use method: portable, or give the database a key of your own.'
      : 'Have the old server’s administrator save it (BACKUP CERTIFICATE … WITH PRIVATE KEY) and the new one’s create it in master there; or use method: portable, which copies rows as they are read.',
})

interface Circumstances {
  readonly server: BackupServerInfo
  readonly wishes: NativeWishes
  readonly sqlpackage: Program | undefined
  /** Why sqlpackage can't be used though it is installed. */
  readonly hindrance: string | undefined
  readonly credentials: Credentials
}

/** Names of the server's credentials, as far as the account may see them; `complete` where it may see them all. */
export interface Credentials {
  readonly names: readonly string[]
  readonly complete: boolean
}

const UNPROVEN: Finding = {
  severity: 'info',
  code: 'native-not-tried',
  message:
    'Rights and edition were asked; whether the server’s own account may write to that path, and whether there is room, is known only when BACKUP or RESTORE runs.',
}

const packageMeans = ({ sqlpackage, hindrance }: Circumstances, otherwise: string): NativeMeans => {
  if (sqlpackage === undefined) return impossible(`${otherwise}, and sqlpackage isn't installed here`)
  if (hindrance !== undefined) return impossible(`${otherwise}, and ${programName(sqlpackage)} can't be used: ${hindrance}`)
  return {
    tool: programName(sqlpackage),
    format: BACPAC,
    reason: `${otherwise}; ${programName(sqlpackage)} is installed here`,
    findings: [
      {
        severity: 'warning',
        code: 'native-not-consistent',
        message:
          'sqlpackage exports one table after the other while customers write: rows may lack their parents, and then the import fails.',
        hint: 'method: portable leaves such rows to reconcile instead.',
      },
    ],
  }
}

/** How a SQL Server's database is saved: BACKUP where the playbook says where to, else sqlpackage. Pure. */
export function saveMeans(at: Circumstances): NativeMeans {
  const { server, wishes } = at
  if (wishes.from !== undefined) return fromMeans(wishes.from)
  if (server.engineEdition === AZURE_DATABASE) return packageMeans(at, 'Azure SQL Database has no BACKUP')
  if (wishes.server === undefined)
    return packageMeans(at, 'the playbook doesn’t say where the server may write its backup (backup: { path, file } or { url })')
  if ('path' in wishes.server && server.engineEdition === MANAGED_INSTANCE)
    return impossible('a managed instance backs up to a URL alone: give backup: { url: … }')
  const noUrl = urlHindrance(at)
  if (noUrl !== undefined) return impossible(noUrl)
  // "SQL Server backup to URL for S3-compatible object storage", unsupported features.
  if (server.engineEdition === EXPRESS && isS3(wishes.server))
    return impossible(`${server.edition} makes no backup in S3: give backup: { path, file }`)
  const unseen = mayLookInto(server) ? [] : [unverified(server)]
  const secret = server.encrypted === 1 ? [encrypted(server)] : []
  const findings: Finding[] = [...credentialFindings(at), ...secret, ...unseen, UNPROVEN]
  if (server.mayBackUp !== 1) {
    return impossible(
      `${server.user} lacks the right BACKUP DATABASE on the old database: as its owner, run GRANT BACKUP DATABASE TO ${quoteName(server.user)}`,
    )
  }
  const how = compresses(server) ? 'compressed' : `not compressed, which ${server.edition} can't`
  return { tool: `BACKUP DATABASE ${server.version}`, format: BAK, reason: `the server saves itself, ${how}`, findings }
}

function fromMeans(file: string): NativeMeans {
  if (/\.bak$/i.test(file))
    return { tool: 'the backup given', format: BAK, reason: 'it is a backup of SQL Server’s own', findings: [] }
  if (/\.bacpac$/i.test(file))
    return { tool: 'the export given', format: BACPAC, reason: 'it is a data-tier export', findings: [] }
  return impossible(`${file} is neither a .bak nor a .bacpac`)
}

/** How it is restored. Pure. */
export function restoreMeans(at: Circumstances): NativeMeans {
  const { server, wishes } = at
  if (wishes.format === BACPAC) return packageMeans(at, 'the snapshot is a .bacpac')
  if (wishes.format !== undefined && wishes.format !== BAK) return impossible(`SQL Server reads no ${wishes.format}`)
  if (server.engineEdition === AZURE_DATABASE)
    return impossible('Azure SQL Database has no RESTORE: only a .bacpac can be brought in')
  // "RESTORE Statements (Transact-SQL)", Azure SQL Managed Instance: no option of WITH, and a database that exists is error 1801.
  if (server.engineEdition === MANAGED_INSTANCE)
    return impossible(
      'a managed instance restores a backup only under a name that no database has yet, while new.database is there',
    )
  // Before restore-database tells where the server finds the backup, the format is all that can be answered.
  if (wishes.server === undefined)
    return impossible('restore-database doesn’t say where the new server finds the backup (backup: { path, file } or { url })')
  const noUrl = urlHindrance(at)
  if (noUrl !== undefined) return impossible(noUrl)
  const missing: string[] = []
  if (server.mayRestore !== 1)
    missing.push(`ALTER SERVER ROLE dbcreator ADD MEMBER ${quoteName(server.login)} (or make it the database’s owner)`)
  if (!mayLookInto(server)) missing.push(`GRANT CREATE ANY DATABASE TO ${quoteName(server.login)}`)
  if (missing.length > 0)
    return impossible(`${server.login} may not restore on the new server: as its administrator, run ${missing.join('; ')}`)
  return {
    tool: `RESTORE DATABASE ${server.version}`,
    format: BAK,
    reason: 'the server restores itself',
    findings: [
      ...credentialFindings(at),
      {
        severity: 'info',
        code: 'native-users',
        message:
          'A backup brings its users and grants, not their logins: RESTORE replaces the new database as a whole, its users included.',
        hint: 'Afterwards join them: ALTER USER [name] WITH LOGIN = [login]; (sys.database_principals lists them).',
      },
      // "RESTORE Arguments (Transact-SQL)", ENABLE_BROKER; "TRUSTWORTHY database property".
      {
        severity: 'info',
        code: 'native-settings',
        message: 'A restored database has Service Broker and TRUSTWORTHY off, whatever they were in the old one.',
        hint: 'A site that caches pages by SqlDependency needs: ALTER DATABASE CURRENT SET ENABLE_BROKER WITH ROLLBACK IMMEDIATE;',
      },
      UNPROVEN,
    ],
  }
}

function credentialFindings({ server: { login }, wishes: { server }, credentials }: Circumstances): readonly Finding[] {
  if (server === undefined || !('url' in server)) return []
  const name = credentialOf(server.url)
  if (credentials.names.some((each) => name === each || name.startsWith(`${each}/`))) return []
  const create = createCredentialSql(server.url)
  if (credentials.complete)
    return [
      {
        severity: 'error',
        code: 'backup-credential-missing',
        message: `The server has no credential for ${name}, by which it would write or read the backup there.`,
        hint: `As the server's administrator, run: ${create}`,
      },
    ]
  // "SQL Server backup to URL …", Security: who backs up by a URL has this right.
  return [
    {
      severity: 'warning',
      code: 'backup-credential-missing',
      message: `The server may have no credential for ${name}, by which it would write or read the backup there: ${login} may not see them all.`,
      hint: `As the server's administrator, run: GRANT ALTER ANY CREDENTIAL TO ${quoteName(login)}, which backups by a URL ask for; and where there is none yet: ${create}`,
    },
  ]
}
