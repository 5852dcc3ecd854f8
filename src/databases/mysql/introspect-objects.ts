import type { MigrateError } from '../../base/errors.ts'
import type { Schema, SchemaObject } from '../schema.ts'
import { ask } from './catalog.ts'
import type { Session } from './session.ts'
import { databasesRead, namesInText, type OwnNames, qualifiers, quotedNames, unqualified, withoutDefiner } from './sql-text.ts'
import { createdUnder, type Trigger, triggerSql } from './triggers.ts'
import { quoteName, quoteText } from './values.ts'

type Finding = Schema['findings'][number]

/** Objects in an order of creation that works, with what is to be said about them. */
export interface ReadObjects {
  readonly objects: readonly SchemaObject[]
  readonly findings: readonly Finding[]
  /** Accounts as which objects run on this server, `user@host`. */
  readonly definers: readonly string[]
}

export async function readObjects(session: Session, database: string, triggers: readonly Trigger[]): Promise<ReadObjects> {
  const own = await readOwnNames(session, database)
  const sequences = await readSequences(session, database)
  const routines = await readRoutines(session, own)
  const views = await readViews(session, own)
  const events = await readEvents(session, own)
  const triggerObjects = triggers.map(
    (trigger): SchemaObject => ({
      kind: 'trigger',
      name: trigger.name,
      stage: 'after',
      sql: triggerSql({ ...trigger, body: unqualified(trigger.body, own, trigger.sqlMode) }),
      undo: `DROP TRIGGER IF EXISTS ${quoteName(trigger.name)}`,
    }),
  )
  const objects = [...sequences, ...routines.objects, ...views.objects, ...triggerObjects, ...events.objects]
  return {
    objects,
    findings: [...routines.findings, ...views.findings, ...events.findings, ...(await foreignNames(session, database, objects))],
    definers: [...routines.definers, ...views.definers, ...triggers.map((trigger) => trigger.definer), ...events.definers],
  }
}

async function readOwnNames(session: Session, database: string): Promise<OwnNames> {
  const { rows } = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
     UNION SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()`,
  )
  return { database, objects: new Set(rows.map(([name]) => (name ?? '').toLowerCase())) }
}

/** MariaDB's sequences ("CREATE SEQUENCE", since 10.3). */
async function readSequences(session: Session, database: string): Promise<readonly SchemaObject[]> {
  const objects: SchemaObject[] = []
  for (const name of await sequenceNames(session)) {
    const { rows } = await session.query(`SHOW CREATE SEQUENCE ${quoteName(name)}`)
    objects.push({
      kind: 'sequence',
      name,
      stage: 'before',
      sql: unqualified(rows[0]?.[1] ?? '', database),
      undo: `DROP SEQUENCE IF EXISTS ${quoteName(name)}`,
    })
  }
  return objects
}

export async function sequenceNames(session: Session): Promise<readonly string[]> {
  if (session.kind.family !== 'mariadb') return []
  const { rows } = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'SEQUENCE' ORDER BY 1`,
  )
  return rows.map(([name]) => name ?? '')
}

const hidden = (kind: string, name: string, grant: string): Finding => ({
  severity: 'error',
  code: 'definition-hidden',
  message: `The ${kind} ${name} exists, but this account may not see its definition, so it can't be carried.`,
  hint: grant,
})

async function readRoutines(session: Session, own: OwnNames): Promise<ReadObjects> {
  const rows = await ask(
    session,
    ['name', 'type', 'definer'] as const,
    `SELECT ROUTINE_NAME, ROUTINE_TYPE, DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()
     ORDER BY ROUTINE_TYPE, ROUTINE_NAME`,
  )
  const objects: SchemaObject[] = []
  const findings: Finding[] = []
  for (const { name, type } of rows) {
    if (type !== 'FUNCTION' && type !== 'PROCEDURE') {
      findings.push({
        severity: 'error',
        code: 'object-not-carried',
        message: `The ${type?.toLowerCase()} ${name} isn't carried by migrate.`,
        hint: 'Create it on the new host by hand before the run, or drop it if nothing uses it.',
      })
      continue
    }
    const created = (await session.query(`SHOW CREATE ${type} ${quoteName(name ?? '')}`)).rows[0]
    const [_name, sqlMode, sql, _client, collation] = created ?? []
    const kind = type.toLowerCase()
    if (sql === null || sql === undefined) {
      findings.push(
        hidden(
          kind,
          name ?? '',
          'Grant SHOW_ROUTINE (MySQL 8.0.20), SHOW CREATE ROUTINE (MariaDB 11.3), or SELECT ON mysql.proc.',
        ),
      )
      continue
    }
    objects.push({
      kind,
      name: name ?? '',
      stage: 'after',
      sql: createdUnder(sqlMode ?? '', collation ?? '') + withoutDefiner(unqualified(sql, own, sqlMode ?? '')),
      undo: `DROP ${type} IF EXISTS ${quoteName(name ?? '')}`,
    })
  }
  return { objects, findings, definers: rows.map(({ definer }) => definer ?? '') }
}

async function readViews(session: Session, own: OwnNames): Promise<ReadObjects> {
  const rows = await ask(
    session,
    ['name', 'definer'] as const,
    'SELECT TABLE_NAME, DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME',
  )
  const objects = new Map<string, SchemaObject>()
  const findings: Finding[] = []
  for (const { name } of rows) {
    const view = name ?? ''
    const read = await readView(session, view)
    if ('error' in read) {
      findings.push(
        read.error.code === 'database-permission-denied'
          ? hidden('view', view, `Grant SHOW VIEW ON ${quoteName(own.database)}.*.`)
          : brokenView(view, read.error.message),
      )
      continue
    }
    objects.set(view, {
      kind: 'view',
      name: view,
      stage: 'after',
      sql: `SET SESSION collation_connection = ${read.collation};\n${withoutDefiner(unqualified(read.sql, own))}`,
      undo: `DROP VIEW IF EXISTS ${quoteName(view)}`,
    })
  }
  return { objects: inOrder(objects), findings, definers: rows.map(({ definer }) => definer ?? '') }
}

/** ER_VIEW_INVALID: the view names a table, column or function that is gone; SHOW CREATE VIEW says so by a warning. */
const BROKEN = '1356'

async function readView(
  session: Session,
  view: string,
): Promise<{ readonly sql: string; readonly collation: string } | { readonly error: MigrateError }> {
  try {
    const { rows } = await session.query(`SHOW CREATE VIEW ${quoteName(view)}`)
    const [, sql, , collation] = rows[0] ?? []
    const warnings = await session.query('SHOW WARNINGS')
    const broken = warnings.rows.find(([, number]) => number === BROKEN)
    if (broken !== undefined) return { error: session.error(new Error(broken[2] ?? '')) }
    return { sql: sql ?? '', collation: collation ?? '' }
  } catch (error) {
    return { error: session.error(error) }
  }
}

const brokenView = (view: string, words: string): Finding => ({
  severity: 'warning',
  code: 'view-broken',
  message: `The view ${view} doesn't work on the old host and isn't carried: ${words}`,
  hint: 'Nothing can use it. Drop it on the old host, or mend it there first.',
})

/** Each view after those that its text names. SHOW CREATE VIEW puts every name in backquotes. */
function inOrder(views: ReadonlyMap<string, SchemaObject>): readonly SchemaObject[] {
  const result: SchemaObject[] = []
  const seen = new Set<string>()
  const visit = (name: string): void => {
    const view = views.get(name)
    if (view === undefined || seen.has(name)) return
    seen.add(name)
    for (const other of quotedNames(view.sql)) visit(other)
    result.push(view)
  }
  for (const name of views.keys()) visit(name)
  return result
}

/** Its time is past, and it isn't to be kept then: switched off before, it may still stand. The time is that of the event's own zone. */
const OVER = `ON_COMPLETION = 'NOT PRESERVE' AND COALESCE(CONVERT_TZ(COALESCE(EXECUTE_AT, ENDS), TIME_ZONE, '+00:00') < UTC_TIMESTAMP(), 0)`

const overFinding = (event: string): Finding => ({
  severity: 'info',
  code: 'event-over',
  message: `The event ${event} is over (its time is past, ON COMPLETION NOT PRESERVE) and isn't carried: a server drops such a one as soon as it is made.`,
  hint: 'Nothing to do: it would never run again.',
})

/** An event that runs on both hosts would do its work twice: it is created switched off. */
async function readEvents(session: Session, own: OwnNames): Promise<ReadObjects> {
  const rows = await ask(
    session,
    ['name', 'status', 'definer', 'over'] as const,
    `SELECT EVENT_NAME, STATUS, DEFINER, ${OVER} FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE() ORDER BY EVENT_NAME`,
  )
  const objects: SchemaObject[] = []
  const findings: Finding[] = []
  for (const { name, status, over } of rows) {
    const event = name ?? ''
    if (over === '1') {
      findings.push(overFinding(event))
      continue
    }
    const created = (await session.query(`SHOW CREATE EVENT ${quoteName(event)}`)).rows[0]
    const [_name, sqlMode, timeZone, sql, _client, collation] = created ?? []
    const text = withoutDefiner(unqualified(sql ?? '', own, sqlMode ?? ''))
    objects.push({
      kind: 'event',
      name: event,
      stage: 'after',
      sql: `SET SESSION time_zone = ${quoteText(timeZone ?? 'SYSTEM')};\n${createdUnder(sqlMode ?? '', collation ?? '')}${switchedOff(text)}`,
      undo: `DROP EVENT IF EXISTS ${quoteName(event)}`,
    })
    if (status !== 'ENABLED') continue
    findings.push({
      severity: 'warning',
      code: 'event-switched-off',
      message: `The event ${event} is carried switched off, since it would do its work on both hosts.`,
      hint: `After the cutover, switch it on there:  ALTER EVENT ${quoteName(event)} ENABLE;  and off on the old host:  ALTER EVENT ${quoteName(event)} DISABLE;`,
    })
  }
  return { objects, findings, definers: rows.map(({ definer }) => definer ?? '') }
}

const switchedOff = (sql: string): string =>
  sql.replace(/(ON COMPLETION (?:NOT )?PRESERVE) (?:ENABLE|DISABLE ON (?:SLAVE|REPLICA))\b/i, '$1 DISABLE')

/** Objects that name another database of the old server, which the new one may not have, or their own within a text. */
async function foreignNames(session: Session, database: string, objects: readonly SchemaObject[]): Promise<readonly Finding[]> {
  const { rows } = await session.query('SELECT SCHEMA_NAME FROM information_schema.SCHEMATA')
  const databases = new Set(rows.map(([name]) => name ?? '').filter((name) => name !== database && !SYSTEM.has(name)))
  return objects.flatMap((object) => {
    const modes = modesOf(object)
    // Of databases that this account may not see, a view's text alone tells.
    const read = object.kind === 'view' ? [...databasesRead(object.sql)].filter((name) => !SYSTEM.has(name)) : []
    const others = new Set([...[...qualifiers(object.sql, modes)].filter((name) => databases.has(name)), ...read])
    const named = namesInText(object.sql, database, modes) ? [ownName(object, database)] : []
    return [...named, ...[...others].map((other) => otherDatabase(object, other))]
  })
}

/** Every server has them. */
const SYSTEM = new Set(['information_schema', 'mysql', 'performance_schema', 'sys'])

/** The sql_mode under which an object's text was written (`createdUnder`). */
const modesOf = ({ sql }: SchemaObject): string => /^SET SESSION sql_mode = '([^']*)'/m.exec(sql)?.[1] ?? ''

const otherDatabase = (object: SchemaObject, other: string): Finding => ({
  severity: 'warning',
  code: 'other-database',
  message: `The ${object.kind} ${object.name} names another database of the old server, ${other}, which migrate doesn't carry.`,
  hint: 'Move that database as well, under the same name, or change the object.',
})

const ownName = (object: SchemaObject, database: string): Finding => ({
  severity: 'warning',
  code: 'own-database-named',
  message: `The ${object.kind} ${object.name} has the name of its database, ${database}, within a text, perhaps a statement that it puts together: that stays as it is.`,
  hint: 'Nothing to do where the new database has the same name. Else leave the name out on the old host first: what follows it is found without.',
})
