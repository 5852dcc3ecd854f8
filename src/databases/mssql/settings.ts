import type { Finding } from '../../base/errors.ts'
import type { ServerInfo } from '../port.ts'
import { quoteName } from './names.ts'

/** SERVERPROPERTY('EngineEdition'): 2 Standard and Web, 3 Enterprise and Developer, 4 Express, 5 Azure SQL Database, 8 Managed Instance. */
export const EXPRESS = '4'
/** Their release number, 12 whatever they are, says nothing: they have what the newest server has. */
export const AZURE: readonly string[] = ['5', '8']

/** What a server told of itself under a name; empty when it didn't. */
export const fact = (info: ServerInfo, name: string): string => info.facts?.[name] ?? ''

export const warning = (code: string, message: string, hint: string): Finding => ({ severity: 'warning', code, message, hint })

/** A setting of a database that is on ('1') or off ('0'), and what the shop sees of its being otherwise on the new host. */
interface Switch {
  readonly fact: string
  /** On the old host, off on the new one. */
  readonly lost: Finding
  readonly gained?: Finding
}

const onNewHost = (setting: string): string => `ALTER DATABASE CURRENT SET ${setting}; on the new host before customers come.`

/** "ALTER DATABASE SET options (Transact-SQL)". */
const SWITCHES: readonly Switch[] = [
  {
    fact: 'readCommittedSnapshot',
    lost: warning(
      'readers-wait',
      'On the old host readers don’t wait for writers (READ_COMMITTED_SNAPSHOT is ON); on the new host they do: pages may be slower under load, and deadlocks appear.',
      onNewHost('READ_COMMITTED_SNAPSHOT ON'),
    ),
    gained: warning(
      'readers-never-wait',
      'On the old host readers wait for writers (READ_COMMITTED_SNAPSHOT is OFF); on the new host they read what was there before: code that counts on waiting, such as a trigger that looks at the stock, may let two orders through.',
      onNewHost('READ_COMMITTED_SNAPSHOT OFF'),
    ),
  },
  {
    fact: 'snapshotIsolation',
    lost: warning(
      'snapshot-isolation-off',
      'The old database allows SNAPSHOT isolation, the new one doesn’t: what the shop does in such a transaction fails there (error 3952).',
      onNewHost('ALLOW_SNAPSHOT_ISOLATION ON'),
    ),
  },
  {
    fact: 'recursiveTriggers',
    lost: warning(
      'recursive-triggers',
      'On the old host a trigger that changes its own table fires again (RECURSIVE_TRIGGERS is ON), on the new host it doesn’t: what the further rounds do is left undone.',
      onNewHost('RECURSIVE_TRIGGERS ON'),
    ),
    gained: warning(
      'recursive-triggers',
      'On the new host a trigger that changes its own table fires again (RECURSIVE_TRIGGERS is ON), on the old host it doesn’t: it may do its work twice, or fail at the 32nd round (error 217).',
      onNewHost('RECURSIVE_TRIGGERS OFF'),
    ),
  },
  {
    fact: 'serviceBroker',
    lost: warning(
      'service-broker-off',
      'Service Broker is enabled in the old database and not in the new one: messages of the shop’s queues wait there, and it hears of no changes by query notifications (SqlDependency).',
      onNewHost('ENABLE_BROKER WITH ROLLBACK IMMEDIATE'),
    ),
  },
]

/** What other settings of the new host's database and login mean. Pure; nothing is said of what a server doesn't tell. */
export const settingConsequences = (source: ServerInfo, target: ServerInfo): readonly Finding[] => [
  ...SWITCHES.flatMap((each) => switched(each, fact(source, each.fact), fact(target, each.fact))),
  ...otherLanguage(source, target),
  ...otherTemporaries(source, target),
  ...otherSchema(source, target),
  ...inGroup(source),
]

function switched({ lost, gained }: Switch, from: string, to: string): readonly Finding[] {
  if (from === '1' && to === '0') return [lost]
  return from === '0' && to === '1' && gained !== undefined ? [gained] : []
}

/** "SET LANGUAGE (Transact-SQL)": it sets the order of dates in text and the names of months and days. */
function otherLanguage(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [fact(source, 'language'), fact(target, 'language')]
  const [order, newOrder] = [fact(source, 'dateFormat'), fact(target, 'dateFormat')]
  if (from === '' || to === '' || from.toLowerCase() === to.toLowerCase()) return []
  const isTurned = order !== '' && newOrder !== '' && order !== newOrder
  const effect = isTurned
    ? `a date that the shop writes as 03/04/2026 is read as ${newOrder} there, not as ${order}: day and month change places, or it is refused`
    : 'names of months and days, and messages, are in another language there'
  return [
    warning(
      'language-differs',
      `The account of the old database has the default language ${from}, that of the new one ${to}: ${effect}.`,
      'ALTER LOGIN … WITH DEFAULT_LANGUAGE = …; on the new host, for the login that the shop uses there; or look that the shop sets its language itself.',
    ),
  ]
}

/** "tempdb database", collation: temporary tables have it, while the shop's own columns keep the old database's. */
function otherTemporaries(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [fact(source, 'temporaryCollation'), fact(target, 'temporaryCollation')]
  if (from === '' || to === '' || from === to || to === source.collation) return []
  return [
    warning(
      'temporary-collation',
      `Text in temporary tables has the collation ${from} on the old host and ${to} on the new one; the shop’s columns keep ${source.collation}: comparing the two fails (error 468: collation conflict), or finds other rows.`,
      'Ask for a server, or a contained database, with that collation; or give columns of temporary tables COLLATE DATABASE_DEFAULT in the shop’s code.',
    ),
  ]
}

/**
 * "CREATE USER (Transact-SQL)", DEFAULT_SCHEMA: a name without a schema is looked for there, then in dbo. So what stands in dbo is found whatever
 * the default is, and what stands elsewhere isn't.
 */
function otherSchema(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [fact(source, 'defaultSchema'), fact(target, 'defaultSchema')]
  if (from === '' || to === '' || from.toLowerCase() === 'dbo' || from.toLowerCase() === to.toLowerCase()) return []
  return [
    warning(
      'default-schema-differs',
      `The account of the old database looks for names without a schema in ${from}, that of the new one in ${to}: a shop that writes Orders where ${from}.Orders is meant doesn't find it there (error 208).`,
      `ALTER USER … WITH DEFAULT_SCHEMA = ${quoteName(from)}; in the new database, for the user of the shop, once the schema is there; nothing to do if the shop writes the schema too.`,
    ),
  ]
}

/** "Database Engine events and errors", 1468. */
const inGroup = (source: ServerInfo): readonly Finding[] =>
  fact(source, 'grouped') === ''
    ? []
    : [
        warning(
          'database-in-group',
          'The old database is in an availability group, where none can be made read-only (error 1468): closing it at the cutover would fail.',
          'Have the shop itself take no orders meanwhile (a page that says so), or its administrator take the database out of the group before the cutover. Nothing to do where the playbook doesn’t close it.',
        ),
      ]
