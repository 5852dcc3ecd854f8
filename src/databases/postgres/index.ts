import { MigrateError } from '../../base/errors.ts'
import type { Database } from '../port.ts'
import { applyTransaction, deleteOrphans, ledgerEntries } from './apply.ts'
import { Connections, type PostgresOptions, type Session } from './connection.ts'
import { ddl } from './ddl.ts'
import { identityStates, raise, reset } from './identities.ts'
import { serverInfo, tableSizes } from './info.ts'
import { readSchema } from './introspect.ts'
import { load } from './load.ts'
import { marksOf, ownTable, removeMark, removeOwn, setMark } from './marks.ts'
import { postgresNative } from './native.ts'
import { readTogether, rowsByKey } from './read.ts'
import { missingRights } from './rights.ts'
import { inTransaction } from './transaction.ts'

export type { PostgresOptions } from './connection.ts'

const MOST_KEYS = 1000

/** A PostgreSQL database, version 12 or newer. Connects when first used. */
export function openPostgres(options: PostgresOptions): Database {
  const connections = new Connections(options)
  const use = <T>(work: (session: Session) => Promise<T>): Promise<T> => connections.use(work)
  return {
    label: options.label,
    info: () => use(serverInfo),
    schema: () => use(readSchema),
    sizes: () => use(tableSizes),
    missingRights: (purpose) => use((session) => missingRights(session, purpose)),
    read: (wanted, work) => readTogether(connections, wanted, work),
    rowsByKey: async (table, keys) => {
      if (keys.length > MOST_KEYS)
        throw new MigrateError('fault', `${keys.length} keys were asked for at once; at most ${MOST_KEYS} are allowed.`)
      return await use((session) => rowsByKey(session, table, keys, false))
    },
    ddl,
    marks: (run) => use((session) => marksOf(session, run)),
    execute: (sql, mark) => use((session) => execute(session, sql, mark)),
    retract: (sql, mark) => use((session) => retract(session, sql, mark)),
    load: (table, rows, mark) => use((session) => load(session, table, rows, mark)),
    deleteOrphans: (rule) => use((session) => deleteOrphans(session, rule)),
    removeOwnTables: () => use(removeOwn),
    identities: (schema) => use((session) => identityStates(session, schema)),
    raiseIdentity: (identity, value) => use((session) => raise(session, identity, value)),
    resetIdentity: (identity, state) => use((session) => reset(session, identity, state)),
    transaction: (tables, work) => use((session) => applyTransaction(session, tables, work)),
    ledgerEntries: (run, table) => use((session) => ledgerEntries(session, run, table)),
    native: postgresNative(options, connections),
    runStatements: (statements) => use((session) => runStatements(session, statements)),
    close: async () => connections.close(),
  }
}

type Mark = { readonly run: string; readonly name: string }

async function execute(session: Session, sql: string, mark: Mark): Promise<void> {
  const marks = await ownTable(session, 'migrate_marks')
  await inTransaction(
    session,
    'write',
    async () => {
      if (await setMark(session, marks, mark)) await session.query(sql)
    },
    true,
  )
}

async function retract(session: Session, sql: string | null, mark: Mark): Promise<void> {
  const marks = await ownTable(session, 'migrate_marks')
  await inTransaction(
    session,
    'write',
    async () => {
      if ((await removeMark(session, marks, mark)) && sql !== null) await session.query(sql)
    },
    true,
  )
}

const runStatements = (session: Session, statements: readonly string[]): Promise<readonly number[]> =>
  inTransaction(
    session,
    'write',
    async () => {
      const counts: number[] = []
      for (const sql of statements) counts.push((await session.query(sql)).count)
      return counts
    },
    false,
  )
