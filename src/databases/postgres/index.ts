import { MigrateError } from '../../base/errors.ts'
import { LEDGER_START, ledgerPages, wholeLedger } from '../ledger.ts'
import type { Database, LedgerEntry } from '../port.ts'
import { applyTransaction, deleteOrphans, ledgerPageOf } from './apply.ts'
import { postgresClosing } from './closing.ts'
import { Connections, type PostgresOptions, type Session } from './connection.ts'
import { ddl } from './ddl.ts'
import { execute, executeTogether, retract, runStatements } from './execute.ts'
import { identityStates, raise, raiseSql, reset } from './identities.ts'
import { publicRights, serverInfo, tableSizes } from './info.ts'
import { readLayout, readSchema } from './introspect.ts'
import { rowsByKey } from './keys.ts'
import { analyse, load, loadBlocks, loadTogether } from './load.ts'
import { marksOf, removeOwn } from './marks.ts'
import { postgresNative } from './native.ts'
import { oversize } from './oversize.ts'
import { postgresPresence } from './presence.ts'
import { fingerprintMethod, printedByKey, printedByPrint } from './prints.ts'
import { readTogether, rowsOfBlock } from './read.ts'
import { refusesRows } from './refusal.ts'
import { missingRights } from './rights.ts'
import { postgresScratch } from './scratch.ts'
import { consequences, unmet } from './target.ts'

export type { PostgresOptions } from './connection.ts'

const MOST_KEYS = 1000

function atMost(count: number, what: string): void {
  if (count > MOST_KEYS)
    throw new MigrateError('fault', `${count} ${what} were asked for at once; at most ${MOST_KEYS} are allowed.`)
}

/** A server that couldn't be asked is asked again. */
function askedOnce<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  return () => {
    answer ??= ask()
    answer.catch(() => {
      answer = undefined
    })
    return answer
  }
}

/** A PostgreSQL database, version 12 or newer. Connects when first used. */
export function openPostgres(options: PostgresOptions): Database {
  const connections = new Connections(options)
  const use = <T>(work: (session: Session) => Promise<T>): Promise<T> => connections.use(work)
  /** For questions to the shop's own tables. */
  const useShop = <T>(work: (session: Session) => Promise<T>): Promise<T> => connections.use(work, 'shop')
  const ledgerOf = (run: string, table: string): AsyncIterable<readonly LedgerEntry[]> =>
    ledgerPages((after) => use((session) => ledgerPageOf(session, run, table, after)))
  return {
    label: options.label,
    info: () => use(serverInfo),
    furtherFacts: () => use(publicRights),
    schema: () => use(readSchema),
    layout: () => use(readLayout),
    sizes: () => useShop(tableSizes),
    missingRights: (purpose) => use((session) => missingRights(session, purpose)),
    read: (wanted, work) => readTogether(connections, wanted, work),
    rowsByKey: async (table, keys) => {
      atMost(keys.length, 'keys')
      return await useShop((session) => rowsByKey(session, table, keys, false))
    },
    fingerprintMethod: askedOnce(() => use(fingerprintMethod)),
    printedByKey: async (table, printing, keys) => {
      atMost(keys.length, 'keys')
      return await useShop((session) => printedByKey(session, table, printing, keys, false))
    },
    printedByPrint: async (table, printing, prints) => {
      atMost(prints.length, 'fingerprints')
      return await useShop((session) => printedByPrint(session, table, printing, prints))
    },
    unpackBlock: rowsOfBlock,
    consequences,
    oversize: (schema) => useShop((session) => oversize(session, schema)),
    unmet: (schema) => use((session) => unmet(session, schema)),
    ddl,
    marks: (run) => use((session) => marksOf(session, run)),
    execute: (sql, mark) => use((session) => execute(session, sql, mark)),
    executeTogether: (statements) => use((session) => executeTogether(session, statements)),
    retract: (sql, mark) => use((session) => retract(session, sql, mark)),
    load: (table, rows, mark) => use((session) => load(session, table, rows, mark)),
    blockFormat: 'postgres-copy-2',
    loadBlocks: (table, blocks, mark) => use((session) => loadBlocks(session, table, blocks, mark)),
    loadTogether: (loads) => use((session) => loadTogether(session, loads)),
    analyse: (tables) => use((session) => analyse(session, tables)),
    deleteOrphans: (rule) => use((session) => deleteOrphans(session, rule)),
    removeOwnTables: () => use(removeOwn),
    identities: (schema) => useShop((session) => identityStates(session, schema)),
    raiseIdentity: (identity, value) => use((session) => raise(session, identity, value)),
    raiseSql,
    resetIdentity: (identity, state) => use((session) => reset(session, identity, state)),
    transaction: (tables, work) => use((session) => applyTransaction(session, tables, work)),
    ledgerEntries: async (run, table, keys) => {
      if (keys === undefined) return await wholeLedger(ledgerOf(run, table))
      atMost(keys.length, 'keys')
      return await use(async (session) => (await ledgerPageOf(session, run, table, LEDGER_START, keys)).entries)
    },
    ledgerPages: ledgerOf,
    refusesRows: () => use(refusesRows),
    native: postgresNative(options, connections),
    closing: postgresClosing(use),
    scratch: postgresScratch(use),
    presence: postgresPresence(use),
    runStatements: (statements) => use((session) => runStatements(session, statements)),
    close: async () => connections.close(),
  }
}
