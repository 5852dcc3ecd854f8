import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { ServerInfo, Statement } from '../port.ts'
import type { Schema, SchemaObject } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { ddl } from './ddl.ts'
import { isLargeObjects } from './large-objects.ts'
import { quoteName, quoteText } from './values.ts'

/** Statements whose text is the shop's own words: only what stands outside them says what they need. */
const OWN_WORDS = /^(function|procedure|view|materialized view|rule|trigger|policy|comment|aggregate) /

interface Feature {
  readonly since: number
  readonly name: string
  /** Names of the statements that may use it; all but those of OWN_WORDS when absent. */
  readonly by?: RegExp
  /** The words that they use it with. */
  readonly used: RegExp
}

/** What a release brought that a schema may use (release notes, appendix E). */
const FEATURES: readonly Feature[] = [
  { since: 14, name: 'multiranges', used: /multirange/i },
  {
    since: 14,
    name: 'bodies in standard SQL (BEGIN ATOMIC, RETURN)',
    by: /^(function|procedure) /,
    // Outside a body in quotes, which comes after AS.
    used: /(?<![\s\S])(?:(?!^AS )[\s\S])*?^(?:BEGIN ATOMIC$|RETURN )/m,
  },
  { since: 14, name: 'compression chosen by column', used: /ALTER COLUMN .* SET COMPRESSION/ },
  { since: 15, name: 'NULLS NOT DISTINCT', used: /NULLS NOT DISTINCT/ },
  {
    since: 15,
    name: 'views with the rights of their reader',
    by: /^view /,
    used: /^CREATE VIEW \S+ WITH \([^)]*security_invoker/,
  },
  { since: 15, name: 'foreign keys that set some of their columns', used: /ON DELETE SET (?:NULL|DEFAULT) \(/ },
  { since: 15, name: 'numeric with a scale below 0', used: /\bnumeric\(\d+,-\d+\)/ },
  { since: 15, name: 'unlogged sequences', used: /^CREATE UNLOGGED SEQUENCE/ },
  { since: 17, name: 'the right MAINTAIN', by: /^rights of everybody /, used: /\bMAINTAIN\b/ },
  { since: 18, name: 'virtual generated columns', used: /GENERATED ALWAYS AS \([\s\S]*\) VIRTUAL/ },
  {
    since: 18,
    name: 'NOT NULL that holds for new rows alone',
    used: /^ALTER TABLE .* ADD CONSTRAINT .* NOT NULL .* NOT VALID\b/,
  },
  { since: 18, name: 'the functions uuidv4 and uuidv7', used: /\buuidv[47]\(/ },
  { since: 18, name: 'keys WITHOUT OVERLAPS', used: /WITHOUT OVERLAPS|, PERIOD / },
  { since: 18, name: 'constraints NOT ENFORCED', used: /NOT ENFORCED/ },
]

const uses = ({ by, used }: Feature, { name, sql }: Statement): boolean =>
  (by === undefined ? !OWN_WORDS.test(name) : by.test(name)) && used.test(sql)

/** See the port. */
export function consequences(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  return [
    ...olderRelease(source, target),
    ...otherEncoding(source, target),
    ...otherCollation(source, target),
    ...openToEverybody(source, target),
  ]
}

const major = ({ version }: ServerInfo): number => version[0] ?? 0

function olderRelease(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const missing = FEATURES.filter(({ since }) => since > major(target) && since <= major(source)).map(({ name }) => name)
  if (missing.length === 0) return []
  return [
    {
      severity: 'warning',
      code: 'features-missing',
      message: `${target.product} doesn't know what ${source.product} does: ${missing.join(', ')}. What uses one of them can't be created there.`,
      hint: `restore-database's check names each thing that does. Ask the new host for PostgreSQL ${major(source)} or later.`,
    },
  ]
}

/** UTF8 takes the characters of every other encoding; no other takes all of UTF8's. */
function otherEncoding({ facts: from }: ServerInfo, { facts: to, database }: ServerInfo): readonly Finding[] {
  const [source, target] = [from?.encoding ?? '', to?.encoding ?? '']
  if (source === target || target === 'UTF8' || source === '' || target === '') return []
  return [
    {
      severity: 'error',
      code: 'encoding-narrower',
      message: `The new database ${database} has the encoding ${target}, the old one ${source}: it ${target === 'SQL_ASCII' ? 'takes bytes without knowing their characters' : "can't hold every character of the old one's"}.`,
      hint: `Create the new database anew: CREATE DATABASE ${database} ENCODING 'UTF8' TEMPLATE template0;`,
    },
  ]
}

function otherCollation(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [source.facts?.collationVersion ?? '', target.facts?.collationVersion ?? '']
  if (source.collation !== target.collation || from === to || from === '' || to === '') return []
  return [
    {
      severity: 'info',
      code: 'collation-version-differs',
      message: `Text is ordered by ${source.collation} of version ${from} on the old host and ${to} on the new one: some characters may sort otherwise.`,
      hint: 'Indexes are built anew on the new host, so they are right there. Look at lists that are ordered by name.',
    },
  ]
}

/** What stood on the new server before: migrate changes nothing of it, also where the account could. */
function openToEverybody({ facts: from }: ServerInfo, { facts: to, database }: ServerInfo): readonly Finding[] {
  const closed = new Set((from?.closed ?? '').split('\n'))
  const more = (to?.open ?? '').split('\n').filter((right) => right !== '' && closed.has(right))
  if (more.length === 0) return []
  const statements = more.map((right) => `REVOKE ${right.replace(/DATABASE$/, `DATABASE ${quoteName(database)}`)} FROM PUBLIC;`)
  return [
    {
      severity: 'warning',
      code: 'open-to-everybody',
      message: `Everybody (PUBLIC) may do on the new server what the old one forbids: ${firstOf(more)}.`,
      hint: `As the owner there or a superuser, run: ${statements.join(' ')}`,
    },
  ]
}

/** See the port. */
export async function unmet(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const named = (kind: string): readonly SchemaObject[] => schema.objects.filter((object) => object.kind === kind)
  return [
    ...(await missingSchemas(session, named('schema'))),
    ...(await missingExtensions(session, named('extension'))),
    ...(await missingAccounts(session, named('account'))),
    ...(await forcedRowSecurity(session, named('row security'))),
    ...(await missingLocales(session, named('collation'))),
    ...(schema.tables.some(isLargeObjects) ? await temporaryTables(session) : []),
    ...(await newerFeatures(session, schema)),
  ]
}

const nameList = (objects: readonly SchemaObject[]): string => objects.map(({ name }) => quoteText(name)).join(', ')

/** Some need no superuser; since release 13 others may be marked as ones that whoever may create in the database may install ("trusted"). */
const EXTENSIONS = (names: string): string => `SELECT w.name, e.extversion AS installed, a.default_version AS available,
  current_setting('is_superuser') = 'on' OR (has_database_privilege(current_database(), 'CREATE') AND coalesce((SELECT bool_or(NOT v.superuser OR (to_jsonb(v) ->> 'trusted')::bool)
    FROM pg_available_extension_versions v WHERE v.name = w.name AND v.version = a.default_version), false)) AS allowed
FROM unnest(ARRAY[${names}]) AS w(name) LEFT JOIN pg_extension e ON e.extname = w.name LEFT JOIN pg_available_extensions a ON a.name = w.name`

const extensionRow = z.object({
  name: z.string(),
  installed: z.string().nullable(),
  available: z.string().nullable(),
  allowed: z.boolean(),
})

async function missingExtensions(session: Session, wanted: readonly SchemaObject[]): Promise<readonly Finding[]> {
  if (wanted.length === 0) return []
  const rows = await ask(session, extensionRow, EXTENSIONS(nameList(wanted)))
  return rows.flatMap(({ name, installed, available, allowed }): readonly Finding[] => {
    const version = installed ?? available
    if (version === null) {
      const message = `The old database uses the extension ${name}, which the server of the ${session.label} doesn't have.`
      const hint = `Ask the new host to install it (pg_available_extensions lists what it has), or drop it on the old host if nothing uses it.`
      return [{ severity: 'error', code: 'extension-missing', message, hint }]
    }
    if (installed === null && !allowed) {
      const message = `The account may not install the extension ${name} on the ${session.label}.`
      return [
        {
          severity: 'error',
          code: 'right-to-create',
          message,
          hint: `As a superuser there, run: CREATE EXTENSION ${JSON.stringify(name)};`,
        },
      ]
    }
    const old = /version (\S+) on the old host/.exec(wanted.find((each) => each.name === name)?.sql ?? '')?.[1]
    if (old === undefined || old === version) return []
    const message = `The extension ${name} has version ${old} on the old host and ${version} on the ${session.label}.`
    return [
      { severity: 'warning', code: 'extension-version', message, hint: 'Read its release notes for what changed in between.' },
    ]
  })
}

const nameRow = z.object({ name: z.string() })

/** A schema may be made by whoever may create in the database; one that is there is another right's matter (rights.ts). */
async function missingSchemas(session: Session, wanted: readonly SchemaObject[]): Promise<readonly Finding[]> {
  if (wanted.length === 0) return []
  const sql = `SELECT w.name FROM unnest(ARRAY[${nameList(wanted)}]) AS w(name)
    WHERE NOT has_database_privilege(current_database(), 'CREATE') AND NOT EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = w.name)`
  const missing = (await ask(session, nameRow, sql)).map(({ name }) => name)
  if (missing.length === 0) return []
  const [grant] = await ask(
    session,
    nameRow,
    `SELECT format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS name`,
  )
  return [
    {
      severity: 'error',
      code: 'right-to-create',
      message: `The account may not create the ${missing.length === 1 ? 'schema' : 'schemas'} ${firstOf(missing)} on the ${session.label}.`,
      hint: `As the database's owner, run: ${grant?.name}`,
    },
  ]
}

async function missingAccounts(session: Session, wanted: readonly SchemaObject[]): Promise<readonly Finding[]> {
  if (wanted.length === 0) return []
  const sql = `SELECT w.name FROM unnest(ARRAY[${nameList(wanted)}]) AS w(name) WHERE NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = w.name)`
  return (await ask(session, nameRow, sql)).map(({ name }) => ({
    severity: 'error',
    code: 'account-missing',
    message: `A row security policy of the old database names the account ${name}, which the server of the ${session.label} doesn't have.`,
    hint: `Have it created there: CREATE ROLE ${JSON.stringify(name)};`,
  }))
}

async function forcedRowSecurity(session: Session, tables: readonly SchemaObject[]): Promise<readonly Finding[]> {
  const forced = tables.filter(({ sql }) => /FORCE ROW LEVEL SECURITY/.test(sql))
  if (forced.length === 0) return []
  const sql = `SELECT quote_ident(current_user) AS name FROM pg_roles r WHERE r.rolname = current_user AND NOT r.rolbypassrls AND NOT r.rolsuper`
  return (await ask(session, nameRow, sql)).flatMap(({ name }) =>
    forced.map(
      (table): Finding => ({
        severity: 'error',
        code: 'right-to-read',
        message: `The account may not see every row of ${table.name} on the ${session.label}, whose row security is forced on its owner too.`,
        hint: `As a superuser there, run: ALTER ROLE ${name} BYPASSRLS;`,
      }),
    ),
  )
}

/** Large objects arrive in one (large-objects.ts). */
async function temporaryTables(session: Session): Promise<readonly Finding[]> {
  const sql = `SELECT format('GRANT TEMPORARY ON DATABASE %I TO %I;', current_database(), current_user) AS name
    WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')`
  return (await ask(session, nameRow, sql)).map(({ name }) => ({
    severity: 'error',
    code: 'right-to-create',
    message: `The account may not make temporary tables on the ${session.label}, in which large objects arrive.`,
    hint: `As the database's owner, run: ${name}`,
  }))
}

/** Locales of libc are those of the operating system; PostgreSQL lists the ones that it found there. */
async function missingLocales(session: Session, wanted: readonly SchemaObject[]): Promise<readonly Finding[]> {
  const ofIcu = wanted.filter(({ sql }) => /PROVIDER = icu/.test(sql))
  const rows = await ask(
    session,
    nameRow,
    `SELECT 'icu' AS name WHERE EXISTS (SELECT 1 FROM pg_collation WHERE collprovider = 'i')`,
  )
  if (rows.length > 0) return []
  return ofIcu.map(({ name }) => ({
    severity: 'error',
    code: 'collation-missing',
    message: `The collation ${name} is one of ICU's, without which the server of the ${session.label} was built.`,
    hint: 'Ask the new host for a server that has ICU.',
  }))
}

async function newerFeatures(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const [row] = await ask(
    session,
    z.object({ number: z.number() }),
    `SELECT current_setting('server_version_num')::int AS number`,
  )
  return missingFeatures(ddl(schema), Math.trunc((row?.number ?? 0) / 10_000), session.label)
}

/** What the release of the database `label` doesn't know. Pure. */
export const missingFeatures = (statements: readonly Statement[], release: number, label: string): readonly Finding[] =>
  statements.flatMap((statement) =>
    FEATURES.filter((feature) => feature.since > release && uses(feature, statement)).map(
      ({ since, name: feature }): Finding => ({
        severity: 'error',
        code: 'feature-missing',
        message: `The ${statement.name} needs ${feature}, which PostgreSQL has from ${since} on; the ${label} runs ${release}.`,
        hint: `Ask the new host for PostgreSQL ${since} or later, or do without it on the old host.`,
      }),
    ),
  )
