import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { RightsPurpose } from '../port.ts'
import type { Schema } from '../schema.ts'
import { ask } from './catalog.ts'
import { definerFindings } from './definers.ts'
import { isSince, type Session } from './session.ts'
import { quoteAccount } from './triggers.ts'
import { quoteName } from './values.ts'

/** Accounts that may do something in this database, as far as this account may know: for the report. */
export async function readPrincipals(session: Session): Promise<Schema['principals']> {
  const rows = await ask(
    session,
    ['name', 'grant'] as const,
    `SELECT GRANTEE, CONCAT(GROUP_CONCAT(PRIVILEGE_TYPE ORDER BY PRIVILEGE_TYPE SEPARATOR ', '), ' on the database')
       FROM information_schema.SCHEMA_PRIVILEGES WHERE REPLACE(TABLE_SCHEMA, '\\\\', '') = DATABASE() GROUP BY GRANTEE
     UNION ALL SELECT GRANTEE, CONCAT(GROUP_CONCAT(PRIVILEGE_TYPE ORDER BY PRIVILEGE_TYPE SEPARATOR ', '), ' on table ', TABLE_NAME)
       FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = DATABASE() GROUP BY GRANTEE, TABLE_NAME ORDER BY 1, 2`,
  )
  return [...Map.groupBy(rows, (row) => row.name ?? '')].map(([name, group]) => ({
    name,
    grants: group.map((row) => row.grant ?? ''),
  }))
}

export interface Grants {
  readonly global: ReadonlySet<string>
  readonly database: ReadonlySet<string>
  /** True when mysql.proc, where MariaDB keeps routines, may be read. */
  readonly routines: boolean
}

const GRANT = /^GRANT (.+?) ON (?:(FUNCTION|PROCEDURE|PACKAGE|PACKAGE BODY) )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) TO /i
const ROLES = /^GRANT ((?:`[^`]+`@`[^`]+`(?:, ?)?)+) TO /

export async function readGrants(session: Session, database: string): Promise<Grants> {
  return grantsIn(await grantLines(session), database)
}

/**
 * What the account may do by itself, without its roles: all that MariaDB lets whatever runs as it (DEFINER) do. MySQL gives such things the
 * account's default roles as well ("Using Roles").
 */
async function readOwnGrants(session: Session, database: string): Promise<Grants> {
  const lines = await grantLines(session)
  return grantsIn(session.kind.family === 'mariadb' ? lines.filter((line) => TO_ACCOUNT.test(line)) : lines, database)
}

/** A role has no host. */
const TO_ACCOUNT = / TO `(?:[^`]|``)+`@`/

async function grantLines(session: Session): Promise<readonly string[]> {
  const lines = (await session.query('SHOW GRANTS')).rows.map(([line]) => line ?? '')
  // MySQL shows what roles bring only when they are named ("SHOW GRANTS Statement"); MariaDB shows it by itself.
  const roles = lines.map((line) => ROLES.exec(line)?.[1]).filter((found) => found !== undefined)
  if (roles.length === 0 || !isSince(session.kind, 'mysql', 8, 0)) return lines
  return (await session.query(`SHOW GRANTS FOR CURRENT_USER() USING ${roles.join(', ')}`)).rows.map(([line]) => line ?? '')
}

function grantsIn(lines: readonly string[], database: string): Grants {
  const global = new Set<string>()
  const own = new Set<string>()
  let routines = false
  for (const line of lines) {
    const [, privileges, object, where = '', what = ''] = GRANT.exec(line) ?? []
    if (privileges === undefined || object !== undefined) continue
    const list = listed(privileges)
    if (where === '*') for (const each of list) global.add(each)
    else if (where === '`mysql`') routines ||= (what === '*' || what === '`proc`') && list.includes('SELECT')
    // Grants on single tables don't count: whether there are others, such an account can't know.
    else if (what === '*' && isPatternFor(plain(where), database)) for (const each of list) own.add(each)
  }
  return { global, database: own, routines }
}

const plain = (quoted: string): string => quoted.slice(1, -1).replaceAll('``', '`')

/** Privileges on single columns don't count: migrate reads and writes whole rows. */
const listed = (privileges: string): readonly string[] =>
  privileges.split(/,\s*(?![^(]*\))/).flatMap((each) => {
    const name = each.trim().toUpperCase()
    return name.includes('(') ? [] : [name === 'ALL PRIVILEGES' ? 'ALL' : name]
  })

/** A database in a grant is a pattern: `%` and `_`, taken literally after a backslash ("GRANT Statement"). */
function isPatternFor(pattern: string, database: string): boolean {
  const source = pattern.replace(/\\[%_]|[%_]|[^%_\\]+|\\/g, (part) => {
    if (part === '%') return '.*'
    if (part === '_') return '.'
    return (part.length === 2 && part.startsWith('\\') ? part.slice(1) : part).replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')
  })
  return new RegExp(`^${source}$`, 's').test(database)
}

const TO_READ: readonly (readonly [string, string])[] = [
  ['SELECT', 'read the tables'],
  ['SHOW VIEW', 'see how views are defined'],
  ['TRIGGER', 'see which triggers there are'],
  ['EVENT', 'see which events there are'],
]
const TO_WRITE: readonly (readonly [string, string])[] = [
  ['SELECT', 'read the tables'],
  ['INSERT', 'insert rows'],
  ['UPDATE', 'update rows'],
  ['DELETE', 'delete rows'],
  ['CREATE', 'create tables'],
  ['ALTER', 'alter tables'],
  ['DROP', 'drop tables'],
  ['INDEX', 'create indexes'],
  ['REFERENCES', 'create foreign keys'],
  ['CREATE VIEW', 'create views'],
  ['SHOW VIEW', 'see how views are defined'],
  ['CREATE ROUTINE', 'create procedures and functions'],
  ['ALTER ROUTINE', 'drop procedures and functions'],
  ['TRIGGER', 'create and drop triggers'],
  ['EVENT', 'create and drop events'],
]

/** ALTER TABLE … AUTO_INCREMENT wants these ("ALTER TABLE Statement"); SETVAL of a sequence wants INSERT. */
const TO_NUMBER: readonly (readonly [string, string])[] = [
  ['ALTER', 'move an identity'],
  ['CREATE', 'move an identity'],
  ['INSERT', 'move an identity'],
]

const NEEDED: Readonly<Record<RightsPurpose, readonly (readonly [string, string])[]>> = {
  read: TO_READ,
  write: TO_WRITE,
  identities: TO_NUMBER,
}

/** See the port. Asks for the account's grants; tries nothing. */
export async function missingRights(session: Session, purpose: RightsPurpose): Promise<readonly Finding[]> {
  const [row] = await ask(session, ['database', 'user'] as const, 'SELECT DATABASE(), CURRENT_USER()')
  const database = row?.database ?? ''
  const account = quoteAccount(row?.user ?? '')
  const grants = await readGrants(session, database)
  const has = (privilege: string): boolean => [grants.global, grants.database].some((set) => set.has(privilege) || set.has('ALL'))
  const code = purpose === 'read' ? 'right-to-read' : 'right-to-write'
  const missing = (what: string, remedy: string): Finding => ({
    severity: 'error',
    code,
    message: `The account may not ${what} on the ${session.label}.`,
    hint: `As an account that may grant it, run: ${remedy}`,
  })
  const on = `${quoteName(database)}.*`
  const findings = NEEDED[purpose]
    .filter(([privilege]) => !has(privilege))
    .map(([privilege, what]) => missing(what, `GRANT ${privilege} ON ${on} TO ${account};`))
  if (purpose === 'identities') return findings
  if (purpose === 'write')
    return [...findings, ...(await binaryLogFinding(session, grants)), ...(await definerFindings(session, grants.global))]
  const sees = grants.routines || ['SHOW_ROUTINE', 'SHOW CREATE ROUTINE', 'CREATE ROUTINE', 'ALTER ROUTINE', 'EXECUTE'].some(has)
  return [
    ...findings,
    ...(sees || grants.global.has('SELECT') ? [] : [missing('see procedures and functions', routineGrant(session, on, account))]),
  ]
}

function routineGrant(session: Session, on: string, account: string): string {
  if (isSince(session.kind, 'mysql', 8, 0, 20)) return `GRANT SHOW_ROUTINE ON *.* TO ${account};`
  if (isSince(session.kind, 'mariadb', 11, 3)) return `GRANT SHOW CREATE ROUTINE ON ${on} TO ${account};`
  return `GRANT SELECT ON mysql.proc TO ${account};`
}

/**
 * With a binary log, whoever creates a trigger or function needs SUPER unless the server trusts creators ("Stored Program Binary
 * Logging").
 */
export async function binaryLogFinding(session: Session, grants: Grants): Promise<readonly Finding[]> {
  const { rows } = await session.query('SELECT @@GLOBAL.log_bin, @@GLOBAL.log_bin_trust_function_creators')
  const [log, trust] = rows[0] ?? []
  if (log !== '1' || trust === '1' || grants.global.has('SUPER') || grants.global.has('ALL')) return []
  return [
    {
      severity: 'warning',
      code: 'right-to-create-programs',
      message: `The ${session.label} writes a binary log, so that this account may create neither triggers nor most functions there.`,
      hint: 'If the shop has any, have the host run: SET GLOBAL log_bin_trust_function_creators = 1; (or GRANT SUPER ON *.* to the account).',
    },
  ]
}

/** What a view, trigger, routine or event that runs as the account may need. */
const TO_RUN = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE', 'TRIGGER', 'EVENT'] as const
const RUNS_AS = new Set(['view', 'trigger', 'function', 'procedure', 'event'])

/** Rights that the account has by a role alone, and what is to run as it on this server hasn't. */
export async function rightsByRole(session: Session, schema: Pick<Schema, 'objects'>): Promise<readonly Finding[]> {
  const programs = schema.objects.filter(({ kind }) => RUNS_AS.has(kind))
  if (programs.length === 0) return []
  const [row] = await ask(session, ['database', 'user'] as const, 'SELECT DATABASE(), CURRENT_USER()')
  const database = row?.database ?? ''
  const has = ({ global, database: own }: Grants, right: string): boolean =>
    [global, own].some((set) => set.has(right) || set.has('ALL'))
  const [all, own] = [await readGrants(session, database), await readOwnGrants(session, database)]
  const lacking = TO_RUN.filter((right) => has(all, right) && !has(own, right))
  if (lacking.length === 0) return []
  return [
    {
      severity: 'error',
      code: 'right-by-role',
      message: `The account has rights on the ${session.label} by a role alone, which whatever runs as the account (DEFINER) hasn't: ${firstOf(programs.map(({ kind, name }) => `${kind} ${name}`))}.`,
      hint: `As an account that may grant it, run: GRANT ${lacking.join(', ')} ON ${quoteName(database)}.* TO ${quoteAccount(row?.user ?? '')};`,
    },
  ]
}
