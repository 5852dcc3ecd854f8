import type { Layout, Schema, SchemaObject } from '../schema.ts'
import { NO_SUCH_TABLE, serverNumber } from './errors.ts'
import { tableFindings } from './findings.ts'
import { readIdentities } from './identities.ts'
import { readObjects } from './introspect-objects.ts'
import { type CatalogTable, readTables } from './introspect-tables.ts'
import { readPrincipals } from './rights.ts'
import type { Session } from './session.ts'
import { LENIENT_MODE } from './settings.ts'
import { readTriggers } from './triggers.ts'
import { quoteName } from './values.ts'

const MOST_TRIES = 5

/**
 * The whole schema as it stands. DDL waits for nobody here: what is changed meanwhile may be seen before or after; where a table goes
 * between two questions, all are asked again. `connections`: how many there may be.
 */
export const readSchema = (session: Session, connections: number): Promise<Schema> =>
  whileTablesGo(() => readOnce(session, connections))

/** Its layout alone, read likewise. */
export const readLayout = (session: Session): Promise<Layout> => whileTablesGo(async () => (await lookAtTables(session)).layout)

async function whileTablesGo<T>(read: () => Promise<T>): Promise<T> {
  for (let left = MOST_TRIES; ; left -= 1) {
    try {
      return await read()
    } catch (error) {
      if (left === 1 || serverNumber(error) !== NO_SUCH_TABLE) throw error
    }
  }
}

async function lookAtTables(session: Session) {
  const [[name] = []] = (await session.query('SELECT DATABASE()')).rows
  const database = name ?? ''
  const triggers = await readTriggers(session)
  const { tables, others } = await readTables(session, database, triggers)
  const own = tables.map(({ table }) => table)
  const foreignKeys = tables.flatMap((each) => each.foreignKeys)
  const layout: Layout = { tables: own, foreignKeys, identities: await readIdentities(session, own) }
  return { database, triggers, tables, others, layout }
}

async function readOnce(session: Session, connections: number): Promise<Schema> {
  const { database, triggers, tables, others, layout } = await lookAtTables(session)
  const carried = new Set(tables.map(({ table }) => table.name.name))
  const read = await readObjects(
    session,
    database,
    triggers.filter((trigger) => carried.has(trigger.table)),
  )
  return {
    ...layout,
    objects: [...tables.map(definitionOf), ...tables.flatMap(laterOf), ...read.objects],
    principals: await readPrincipals(session),
    findings: [
      ...tableFindings(tables, others),
      ...read.findings,
      ...definerFindings(read.definers),
      ...lockFindings(connections),
      ...(await limitFindings(session, connections)),
    ],
  }
}

const definitionOf = ({ table, createSql }: CatalogTable): SchemaObject => ({
  kind: 'table',
  name: table.name.name,
  stage: 'before',
  sql: createSql,
  undo: `DROP TABLE IF EXISTS ${quoteName(table.name.name)}`,
})

/**
 * What a table gets once its rows are there: its own engine, and its indexes, all in one go (the rows are read once), but full-text
 * and spatial ones each by itself, since InnoDB makes only one of the former at a time ("InnoDB Full-Text Indexes").
 */
function laterOf({ table, engineSql, indexes }: CatalogTable): readonly SchemaObject[] {
  const name = table.name.name
  const isSpecial = (index: string): boolean => /^(FULLTEXT|SPATIAL) /i.test(index)
  const plain = indexes.filter((index) => !isSpecial(index))
  // What the server computes for an index may not fit, as on the old host, whose shop wasn't strict: no value is written by this.
  const lenient = table.columns.some(({ computed }) => computed !== null) ? `SET SESSION sql_mode = '${LENIENT_MODE}';\n` : ''
  const alter = (kind: string, what: string, sql: string): SchemaObject => ({
    kind,
    name: what,
    stage: 'after',
    sql: `${lenient}ALTER TABLE ${quoteName(name)} ${sql}`,
    undo: null,
    table: table.name,
  })
  return [
    ...(engineSql === null ? [] : [{ ...alter('engine', name, ''), sql: lenient + engineSql }]),
    ...(plain.length === 0 ? [] : [alter('indexes', name, plain.map((index) => `ADD ${index}`).join(', '))]),
    ...indexes.filter(isSpecial).map((index) => alter('index', `${name}.${/`([^`]+)`/.exec(index)?.[1] ?? ''}`, `ADD ${index}`)),
  ]
}

/** Two readers, and one that holds writers off meanwhile (snapshot.ts). */
const LOCKING_CONNECTIONS = 3

/** Told to every account: what one that may do less sees of a schema is the same. */
const lockFindings = (connections: number): Schema['findings'] =>
  connections < LOCKING_CONNECTIONS
    ? []
    : [
        {
          severity: 'info',
          code: 'snapshot-locks-tables',
          message:
            'Where the account has the right LOCK TABLES, several connections read the same moment: LOCK TABLES … READ holds writers off while they begin, for some milliseconds as a rule, 0.6 seconds at most. Where it is not had within 0.2 seconds, or without the right, one connection reads it all. Nobody who reads waits.',
          hint: 'To have no table locked at all, use an account without that right, or connections: 2; the snapshot of a large database then takes longer.',
        },
      ]

/** The account's own limit, or the server's for every account; 0 is none ("max_user_connections"). */
async function limitFindings(session: Session, connections: number): Promise<Schema['findings']> {
  const [[limit] = []] = (await session.query('SELECT @@SESSION.max_user_connections')).rows
  if (Number(limit ?? 0) === 0) return []
  return [
    {
      severity: Number(limit) > connections ? 'info' : 'warning',
      code: 'connections-limited',
      message: `The account may have ${limit === '1' ? 'one connection' : `${limit} connections`} at a time on the old server (max_user_connections); migrate takes up to ${Math.min(connections, Number(limit))} of them.`,
      hint: 'If the shop logs in by the same account, customers get the rest: lower connections: in the playbook (old: { connections: 1 }), or have an account of its own made for migrate.',
    },
  ]
}

function definerFindings(definers: readonly string[]): Schema['findings'] {
  const counts = new Map<string, number>()
  for (const definer of definers) counts.set(definer, (counts.get(definer) ?? 0) + 1)
  return [...counts].map(([definer, count]) => ({
    severity: 'info',
    code: 'definer-changes',
    message: `${count} ${count === 1 ? 'view, routine, trigger or event runs' : 'views, routines, triggers and events run'} as ${definer} on the old host (DEFINER); on the new one as the account in new.database. SQL SECURITY stays as it is.`,
    hint: 'Nothing to do as long as that account may do there what the shop does.',
  }))
}
