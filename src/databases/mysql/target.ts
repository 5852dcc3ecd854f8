import type { Finding } from '../../base/errors.ts'
import { fullName, type Schema, type Table } from '../schema.ts'
import { EXACT } from './consequences.ts'
import { allowLooseReferences } from './execute.ts'
import { missingFunctions } from './functions.ts'
import { rightsByRole } from './rights.ts'
import { isSince, type ServerKind, type Session } from './session.ts'
import { databasesRead, splitCreateTable, withoutStrings } from './sql-text.ts'
import { strictLayouts } from './strict-layout.ts'

/** lower_case_table_names, beside EXACT: 1 stores all names in lower case, 2 compares so ("Identifier Case Sensitivity"). */
const LOWERED = '1'

/** How the new server is set where that decides what it takes. */
interface Settings {
  readonly collations: ReadonlySet<string>
  readonly engines: ReadonlySet<string>
  readonly tableNames: string
  readonly requiresKey: boolean
  readonly addsKey: boolean
  readonly takesLooseReferences: boolean
  readonly explicitTimestamps: boolean
}

/** See the port. */
export async function unmet(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const { kind } = session
  const settings = await askSettings(session)
  return [
    ...missingCollations(schema, settings),
    ...missingEngines(schema, settings, kind),
    ...missingTypes(schema, kind),
    ...(await missingDatabases(session, schema)),
    ...leftOut(schema, kind),
    ...(await missingFunctions(session, schema)),
    ...keyless(schema, settings),
    ...(await strictLayouts(session, schema)),
    ...looseReferences(schema, settings),
    ...loweredNames(schema, settings),
    ...implicitTimestamps(schema, settings),
    ...(kind.localInfile ? [] : [slowLoad]),
    ...(await rightsByRole(session, schema)),
  ]
}

/** "Server System Variables" of either family; what one hasn't stands for what it always does. */
async function askSettings(session: Session): Promise<Settings> {
  const { kind } = session
  const isMysql = (...version: readonly number[]): boolean => isSince(kind, 'mysql', ...version)
  const whole = isSince(kind, 'mariadb', 10, 10, 1) ? 'FULL_COLLATION_NAME' : 'COLLATION_NAME'
  const column = async (sql: string): Promise<readonly string[]> =>
    (await session.question(sql)).rows.map(([value]) => (value ?? '').toLowerCase())
  const collations = await column(`SELECT ${whole} FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY`)
  const engines = await column("SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')")
  const variables = [
    '@@GLOBAL.lower_case_table_names',
    isMysql(8, 0, 13)
      ? '@@SESSION.sql_require_primary_key'
      : kind.family === 'mariadb'
        ? '@@GLOBAL.innodb_force_primary_key'
        : '0',
    isMysql(8, 0, 30) ? '@@SESSION.sql_generate_invisible_primary_key' : '0',
    '@@explicit_defaults_for_timestamp',
    kind.family === 'mysql' ? '@@GLOBAL.disabled_storage_engines' : "''",
  ]
  const [[names, requires, adds, explicit, disabled] = []] = (await session.question(`SELECT ${variables.join(', ')}`)).rows
  const off = new Set((disabled ?? '').toLowerCase().split(','))
  return {
    collations: new Set(collations.map(commonName)),
    engines: new Set(engines.filter((engine) => !off.has(engine))),
    tableNames: names ?? EXACT,
    requiresKey: requires === '1',
    addsKey: adds === '1',
    takesLooseReferences: await allowLooseReferences(session),
    explicitTimestamps: explicit === '1',
  }
}

/** utf8mb3 has gone by the name utf8, and each knows the other's: MySQL since 8.0.30, MariaDB since 10.6. */
const commonName = (collation: string): string => collation.toLowerCase().replace(/^utf8mb3_/, 'utf8_')

/** "Security Considerations for LOAD DATA LOCAL": MySQL 8.0 and later come so. */
const slowLoad: Finding = {
  severity: 'info',
  code: 'load-by-insert',
  message:
    'The new server takes no LOAD DATA LOCAL (local_infile is off): rows are loaded by INSERT, which keeps it busy up to a half longer.',
  hint: 'Where that matters, have the new host run SET GLOBAL local_infile = 1; and set it back afterwards.',
}

const SHOWN = 5

/** `a, b, c, d, e and 3 more`. */
const listed = (names: readonly string[]): string =>
  names.length <= SHOWN + 1 ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`

const namesOf = (tables: readonly Table[]): string => listed(tables.map(({ name }) => fullName(name)))

/** A collation wherever a definition names one outside quotes, and in what a program is created under. */
const COLLATION = /\bCOLLATE[ =]+`?(\w+)`?|\bcollation_connection = (\w+)/gi

function missingCollations(schema: Schema, { collations }: Settings): readonly Finding[] {
  const users = new Map<string, Set<string>>()
  const use = (collation: string, user: string): void => {
    if (collations.has(commonName(collation))) return
    users.set(collation, (users.get(collation) ?? new Set()).add(user))
  }
  for (const { name, columns } of schema.tables)
    for (const { collation } of columns) if (collation !== null) use(collation, `table ${fullName(name)}`)
  for (const { kind, name, sql } of schema.objects)
    for (const match of withoutStrings(sql).matchAll(COLLATION)) use(match[1] ?? match[2] ?? '', `${kind} ${name}`)
  return [...users].map(([collation, who]) => ({
    severity: 'error',
    code: 'collation-missing',
    message: `The new server doesn't have the collation ${collation}, by which text is sorted and compared in ${listed([...who])}.`,
    hint: 'Ask the new host for a release that has it; or choose another on the old host first (ALTER TABLE … CONVERT TO CHARACTER SET … COLLATE …), knowing that unique keys may then take other texts for the same.',
  }))
}

const ENGINE = /\bENGINE ?= ?(\w+)/i

function missingEngines(schema: Schema, { engines }: Settings, kind: ServerKind): readonly Finding[] {
  return schema.objects
    .filter((object) => object.kind === 'engine')
    .flatMap(({ name, sql }): readonly Finding[] => {
      const engine = ENGINE.exec(sql)?.[1] ?? ''
      const table = schema.objects.find((object) => object.kind === 'table' && object.name === name)
      // "Partitioning Limitations Relating to Storage Engines", MySQL 8.0.
      const { tail } = splitCreateTable(table?.sql ?? '')
      const isParted = isSince(kind, 'mysql', 8, 0) && /\bPARTITION BY\b/.test(withoutStrings(tail))
      if (engines.has(engine.toLowerCase()) && !isParted) return []
      return [
        {
          severity: 'error',
          code: 'engine-missing',
          message: `The table ${name} is kept by ${engine}, which the new server ${isParted ? "doesn't divide into partitions" : "doesn't have or doesn't allow"}.`,
          hint: `Turn it into InnoDB on the old host first: ALTER TABLE \`${name}\` ENGINE=InnoDB.`,
        },
      ]
    })
}

/** Types that came with a release ("Data Types"; MariaDB's release notes). */
const TYPES: readonly { readonly type: RegExp; readonly family: ServerKind['family']; readonly since: readonly number[] }[] = [
  { type: /^inet6\b/i, family: 'mariadb', since: [10, 5] },
  { type: /^uuid\b/i, family: 'mariadb', since: [10, 7] },
  { type: /^inet4\b/i, family: 'mariadb', since: [10, 10] },
  { type: /^vector\b/i, family: 'mariadb', since: [11, 7] },
  { type: /^vector\b/i, family: 'mysql', since: [9, 0] },
]

function missingTypes(schema: Schema, kind: ServerKind): readonly Finding[] {
  const missing = TYPES.filter(({ family, since }) => family === kind.family && !isSince(kind, family, ...since))
  return schema.tables.flatMap(({ name, columns }) =>
    columns
      .filter((column) => missing.some(({ type }) => type.test(column.type)))
      .map((column) => ({
        severity: 'error',
        code: 'type-missing',
        message: `The new server doesn't know the type of ${fullName(name)}.${column.name}, ${column.type}.`,
        hint: 'Ask the new host for a release that knows it.',
      })),
  )
}

/** A view is looked at when it is made: what it reads must be there by then. */
async function missingDatabases(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const uses = schema.objects.flatMap(({ kind, name, sql }) =>
    kind === 'view' ? [...databasesRead(sql)].map((database) => ({ name, database })) : [],
  )
  const users = Map.groupBy(uses, ({ database }) => database)
  if (users.size === 0) return []
  const there = new Set((await session.question('SELECT SCHEMA_NAME FROM information_schema.SCHEMATA')).rows.flat())
  return [...users]
    .filter(([database]) => !there.has(database))
    .map(([database, views]) => ({
      severity: 'error',
      code: 'database-elsewhere',
      message: `${views.length === 1 ? 'The view' : 'Views'} ${listed(views.map(({ name }) => name))} read${views.length === 1 ? 's' : ''} from the database ${database}, which the new server doesn't have or doesn't show to this account.`,
      hint: 'Move that database first, under the same name, and let the account read it; or drop the view on the old host.',
    }))
}

/** A comment that servers read from a version on ("Comments"): !80023 INVISIBLE. */
const VERSIONED = /\/\*!(\d{5,6}) ?(.*?) ?\*\//gs

/** What an older server passes over without a word. */
function leftOut(schema: Schema, kind: ServerKind): readonly Finding[] {
  const [major, minor, patch] = kind.version
  const own = major * 10_000 + minor * 100 + patch
  return schema.objects.flatMap((object): readonly Finding[] => {
    const text = withoutStrings(object.sql)
    const words = [...text.matchAll(VERSIONED)].filter(([, since]) => Number(since) > own).map(([, , what]) => what ?? '')
    const isCheckIgnored =
      kind.family === 'mysql' && !isSince(kind, 'mysql', 8, 0, 16) && object.kind === 'table' && / CHECK \(/.test(text)
    const lost = [...new Set([...words, ...(isCheckIgnored ? ['CHECK'] : [])])]
    if (lost.length === 0) return []
    return [
      {
        severity: 'warning',
        code: 'feature-left-out',
        message: `The new server is too old for a part of ${object.kind} ${object.name} and passes over it without a word: ${listed(lost)}.`,
        hint: 'Ask the new host for a later release, or make sure that the shop can do without.',
      },
    ]
  })
}

function keyless(schema: Schema, { requiresKey, addsKey }: Settings): readonly Finding[] {
  const tables = schema.tables.filter(({ primaryKey }) => primaryKey === null)
  if (tables.length === 0) return []
  const required: Finding = {
    severity: 'error',
    code: 'primary-key-required',
    message: `The new server takes no table without a primary key (sql_require_primary_key, innodb_force_primary_key), and these have none: ${namesOf(tables)}.`,
    hint: 'Have the new host switch that off for this account, or give each a primary key on the old host.',
  }
  const added: Finding = {
    severity: 'warning',
    code: 'primary-key-added',
    message: `The new server gives tables without a primary key a hidden one, my_row_id (sql_generate_invisible_primary_key): ${namesOf(tables)}.`,
    hint: 'Nothing to do for most shops; else have the new host switch that off.',
  }
  if (addsKey) return [added]
  return requiresKey ? [required] : []
}

function looseReferences(schema: Schema, { takesLooseReferences }: Settings): readonly Finding[] {
  if (takesLooseReferences) return []
  const tables = new Map(schema.tables.map((table) => [fullName(table.name), table]))
  return schema.foreignKeys
    .filter(({ parent, parentColumns }) => {
      const table = tables.get(fullName(parent))
      const keys = [...(table?.primaryKey ? [table.primaryKey] : []), ...(table?.uniqueKeys ?? [])]
      const isWhole = (columns: readonly string[]): boolean =>
        columns.length === parentColumns.length && columns.every((name) => parentColumns.includes(name))
      return !keys.some(({ columns }) => isWhole(columns))
    })
    .map(({ name, table, parent, parentColumns }) => ({
      severity: 'error',
      code: 'foreign-key-loose',
      message: `The foreign key ${name} of ${fullName(table)} refers to ${fullName(parent)} (${parentColumns.join(', ')}), which is no whole unique key; the new server refuses such (restrict_fk_on_non_standard_key).`,
      hint: `Make it unique on the old host (ALTER TABLE \`${parent.name}\` ADD UNIQUE …), or have the new host run: SET GLOBAL restrict_fk_on_non_standard_key = OFF;`,
    }))
}

/** A server that stores names in lower case finds them however they are spelled, but not two that differ in nothing else. */
function loweredNames(schema: Schema, { tableNames }: Settings): readonly Finding[] {
  if (tableNames === EXACT) return []
  const groups = [...Map.groupBy(schema.tables, ({ name }) => fullName(name).toLowerCase()).values()].filter(
    ({ length }) => length > 1,
  )
  const clashes = groups.map(
    (group): Finding => ({
      severity: 'error',
      code: 'table-names-clash',
      message: `The new server takes ${namesOf(group)} for one table (lower_case_table_names=${tableNames}).`,
      hint: 'Ask the new host for a server with lower_case_table_names=0; it is chosen when a server is set up.',
    }),
  )
  const changed = schema.tables.filter(({ name }) => name.name !== name.name.toLowerCase())
  if (tableNames !== LOWERED || changed.length === 0) return clashes
  return [
    ...clashes,
    {
      severity: 'error',
      code: 'table-names-lowered',
      message: `The new server stores the names of tables in lower case (lower_case_table_names=1); these have capital letters: ${namesOf(changed)}.`,
      hint: 'Ask the new host for a server with lower_case_table_names=0 or 2; it is chosen when a server is set up. Or rename the tables on the old host.',
    },
  ]
}

/** "Automatic Initialization and Updating for TIMESTAMP and DATETIME": what is left unsaid isn't nothing there. */
function implicitTimestamps(schema: Schema, { explicitTimestamps }: Settings): readonly Finding[] {
  if (explicitTimestamps) return []
  const tables = schema.tables.filter(({ columns }) =>
    columns.some(
      ({ type, nullable, default: own, computed }) => /^timestamp/i.test(type) && !nullable && own === null && computed === null,
    ),
  )
  if (tables.length === 0) return []
  return [
    {
      severity: 'warning',
      code: 'timestamp-default-added',
      message: `The new server gives a timestamp column without a default one of its own (explicit_defaults_for_timestamp is off), so that it changes with each update: ${namesOf(tables)}.`,
      hint: 'Have the new host switch explicit_defaults_for_timestamp on, or give the columns a default on the old host.',
    },
  ]
}
