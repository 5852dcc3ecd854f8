import { MigrateError } from '../../base/errors.ts'
import { LEDGER_START, ledgerPages, wholeLedger } from '../ledger.ts'
import type { Database } from '../port.ts'
import { applyTransaction, deleteOrphans, ledgerPageOf } from './apply.ts'
import { BLOCK_FORMAT } from './blocks.ts'
import { mysqlClosing } from './closing.ts'
import { Connections, type MysqlOptions } from './connection.ts'
import { consequences } from './consequences.ts'
import { ddl } from './ddl.ts'
import { execute, executeTogether, retract } from './execute.ts'
import { functionFacts } from './functions.ts'
import { identityStates, raise, raiseSql, reset } from './identities.ts'
import { serverInfo, tableSizes } from './info.ts'
import { readLayout, readSchema } from './introspect.ts'
import { analyse, load, loadBlocks, loadTogether } from './load.ts'
import { marksOf, removeOwn } from './marks.ts'
import { mysqlNative } from './native.ts'
import { oversize, rowLimits } from './oversize.ts'
import { PrintMethods, printedByKey, printedByPrint } from './prints.ts'
import { rowsByKey } from './read.ts'
import { orphans } from './references.ts'
import { refusesRows } from './refusal.ts'
import { missingRights } from './rights.ts'
import { mysqlScratch } from './scratch.ts'
import type { Session } from './session.ts'
import { readTogether } from './snapshot.ts'
import { unmet } from './target.ts'
import { inTransaction } from './transaction.ts'
import { Guards } from './triggers.ts'
import { unpackBlock } from './unpack.ts'

export type { MysqlOptions } from './connection.ts'

const MOST_KEYS = 1000
/** So long, at most, closing waits for the server. */
const TAKE_OFF_MS = 5000

/** A MySQL database, version 5.7 or newer, or a MariaDB one, 10.3 or newer. Connects when first used. */
export function openMysql(options: MysqlOptions): Database {
  const connections = new Connections(options)
  const guards = new Guards()
  const methods = new PrintMethods()
  const use = <T>(work: (session: Session) => Promise<T>): Promise<T> => connections.use(work)
  const ledgerOf = (run: string, table: string) =>
    ledgerPages((after) => use((session) => ledgerPageOf(session, run, table, after)))
  return {
    label: options.label,
    blockFormat: BLOCK_FORMAT,
    ...serverPowers(use),
    schema: () => use((session) => readSchema(session, connections.limit)),
    layout: () => use(readLayout),
    oversize: (schema, limits) => use((session) => oversize(session, schema, limits)),
    orphans: (schema) => use((session) => orphans(session, schema)),
    rowLimits: () => use(async (session) => rowLimits(session)),
    unmet: (schema) => use((session) => unmet(session, schema)),
    missingRights: (purpose) => use((session) => missingRights(session, purpose)),
    read: (wanted, work) => readTogether(connections, wanted, work),
    rowsByKey: async (table, keys) => await use((session) => rowsByKey(session, table, few(keys))),
    fingerprintMethod: (table) => methods.of(table, use),
    printedByKey: async (table, printing, keys) => await use((session) => printedByKey(session, table, printing, few(keys))),
    printedByPrint: async (table, printing, prints) =>
      await use((session) => printedByPrint(session, table, printing, few(prints))),
    unpackBlock,
    native: mysqlNative(options, (sql) => use(async (session) => (await session.query(sql)).rows)),
    refusesRows: () => use(refusesRows),
    closing: mysqlClosing(use),
    scratch: mysqlScratch(use),
    ddl,
    marks: (run) => use((session) => marksOf(session, run)),
    execute: (sql, mark) => use((session) => execute(session, sql, mark)),
    executeTogether: (statements) => use((session) => executeTogether(session, statements)),
    retract: (sql, mark) => use((session) => retract(session, sql, mark)),
    load: (table, rows, mark) => use((session) => load(session, guards, table, rows, mark)),
    loadBlocks: (table, blocks, mark) => use((session) => loadBlocks(session, guards, table, blocks, mark)),
    loadTogether: (loads) => use((session) => loadTogether(session, guards, loads)),
    analyse: (tables) => use((session) => analyse(session, tables)),
    deleteOrphans: (rule) => use((session) => deleteOrphans(session, guards, rule)),
    removeOwnTables: () =>
      use(async (session) => {
        await guards.takeOff(session)
        await removeOwn(session)
      }),
    identities: (schema) => use((session) => identityStates(session, schema)),
    raiseSql,
    raiseIdentity: (identity, value) => use((session) => raise(session, identity, value)),
    resetIdentity: (identity, state) => use((session) => reset(session, identity, state)),
    transaction: (tables, work) => use((session) => applyTransaction(session, guards, tables, work)),
    ledgerEntries: (run, table, keys) =>
      keys === undefined
        ? wholeLedger(ledgerOf(run, table))
        : use(async (session) => (await ledgerPageOf(session, run, table, LEDGER_START, few(keys))).entries),
    ledgerPages: ledgerOf,
    runStatements: (statements) => use((session) => runStatements(session, statements)),
    close: () => closeTidily(connections, guards),
  }
}

/** On a dead line the guards stay: they keep nobody's trigger from firing, and the next run takes them off. */
async function closeTidily(connections: Connections, guards: Guards): Promise<void> {
  if (guards.areUp) {
    const late = AbortSignal.timeout(TAKE_OFF_MS)
    late.addEventListener('abort', () => connections.close(), { once: true })
    await connections.use((session) => guards.takeOff(session)).catch(() => undefined)
  }
  connections.close()
}

/** What is asked of the server itself. */
const serverPowers = (use: <T>(work: (session: Session) => Promise<T>) => Promise<T>) => ({
  info: () => use(serverInfo),
  furtherFacts: () => use(functionFacts),
  sizes: () => use(tableSizes),
  consequences,
})

function few<T>(keys: readonly T[]): readonly T[] {
  if (keys.length <= MOST_KEYS) return keys
  throw new MigrateError('fault', `${keys.length} keys were asked for at once; at most ${MOST_KEYS} are allowed.`)
}

/** DDL among them commits by itself, with what came before it. */
const runStatements = (session: Session, statements: readonly string[]): Promise<readonly number[]> =>
  inTransaction(
    session,
    async () => {
      const counts: number[] = []
      for (const sql of statements) counts.push((await session.query(sql)).count)
      return counts
    },
    false,
  )
