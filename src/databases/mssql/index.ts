import type { Finding } from '../../base/errors.ts'
import type { ClosingPower } from '../closing-port.ts'
import { LEDGER_START, ledgerPages, wholeLedger } from '../ledger.ts'
import type { NativePower } from '../native-port.ts'
import type {
  BlockLoad,
  Database,
  Fingerprint,
  KeyCells,
  LedgerEntry,
  MarkedStatement,
  OrphanRule,
  Printing,
  Reader,
  RightsPurpose,
  Row,
  ServerInfo,
  Statement,
  TableSize,
  Transaction,
  WholePrintedRow,
} from '../port.ts'
import type { Identity, IdentityState, Schema, Table } from '../schema.ts'
import type { ScratchPower } from '../scratch-port.ts'
import { applying, deleteOrphans } from './apply.ts'
import { BLOCK_FORMAT, rowsOfBlock } from './blocks.ts'
import { brokenViews } from './broken.ts'
import { mssqlClosing } from './closing.ts'
import { Connections, type MssqlOptions } from './connection.ts'
import { consequences } from './consequences.ts'
import { ddl } from './ddl.ts'
import { execute, executeTogether, retract } from './execute.ts'
import { identityStates, raise, raiseSql, reset } from './identities.ts'
import { introspect, introspectTables } from './introspect.ts'
import { type Loading, load, loadBlocks, loadTogether } from './loads.ts'
import { dropOwnTables, ensureOwnTable, ledgerPageOf, type Mark, readMarks } from './marks.ts'
import { LEDGER_TABLE } from './names.ts'
import { mssqlNative } from './native.ts'
import { backupServer } from './native-server.ts'
import { oversize } from './oversize.ts'
import { type Hashing, methodOf, probeHashing } from './print-method.ts'
import { printedByKey, printedByPrint } from './prints.ts'
import { allowsSnapshot, beginSnapshot, endSnapshot, readerOn, rowsByKey, tableSizes } from './read.ts'
import { refusesRows } from './refusal.ts'
import { missingRights } from './rights.ts'
import { roomFacts } from './room.ts'
import { mssqlScratch } from './scratch.ts'
import { serverInfo } from './server-info.ts'
import type { Session } from './session.ts'
import { Untriggered } from './triggers.ts'
import { unmet } from './unmet.ts'

export type { MssqlOptions } from './connection.ts'

/** A SQL Server database (2012 and later). Nothing is connected until the first call; `close` ends every connection. */
export const openMssql = (options: MssqlOptions): Database => new MssqlDatabase(options)

class MssqlDatabase implements Database {
  readonly label: string
  readonly native: NativePower
  readonly closing: ClosingPower
  readonly scratch: ScratchPower
  readonly blockFormat = BLOCK_FORMAT
  readonly #connections: Connections
  #hashing: Promise<Hashing> | undefined
  #freezes: boolean | undefined
  readonly #loading: Loading = { taken: true, untriggered: new Untriggered() }

  constructor(options: MssqlOptions) {
    this.label = options.label
    this.#connections = new Connections(options)
    this.closing = mssqlClosing((work) => this.#connections.use(work))
    this.scratch = mssqlScratch((work) => this.#connections.use(work))
    this.native = mssqlNative(options, backupServer(options), () => this.removeOwnTables())
  }

  info(): Promise<ServerInfo> {
    return this.#connections.use(serverInfo)
  }

  furtherFacts(): Promise<Readonly<Record<string, string>>> {
    return this.#connections.use(roomFacts)
  }

  schema(): Promise<Schema> {
    return this.#connections.use(introspect)
  }

  tables(): Promise<readonly Table[]> {
    return this.#connections.use(introspectTables)
  }

  sizes(): Promise<readonly TableSize[]> {
    return this.#connections.use(tableSizes)
  }

  consequences(source: ServerInfo, target: ServerInfo): readonly Finding[] {
    return consequences(source, target)
  }

  oversize(schema: Schema): Promise<readonly Finding[]> {
    return this.#connections.use((session) => oversize(session, schema))
  }

  broken(schema: Schema): Promise<readonly Finding[]> {
    return this.#connections.use((session) => brokenViews(session, schema))
  }

  unmet(schema: Schema): Promise<readonly Finding[]> {
    return this.#connections.use((session) => unmet(session, schema))
  }

  missingRights(purpose: RightsPurpose): Promise<readonly Finding[]> {
    return this.#connections.use((session) => missingRights(session, purpose))
  }

  /**
   * Where the database allows SNAPSHOT isolation there is one reader, since no two sessions can share a snapshot; otherwise as many as
   * asked for, of which one place is kept for questions meanwhile.
   */
  read<T>(connections: number, work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>): Promise<T> {
    return this.#connections.use(async (first) => {
      if (await this.#mayFreeze(first)) {
        await beginSnapshot(first)
        const result = await work([readerOn(first, true)])
        await endSnapshot(first)
        return result
      }
      const more = Math.max(0, Math.min(connections, this.#connections.limit - 1) - 1)
      return this.#connections.useSpare(more, (others) =>
        work([readerOn(first, false), ...others.map((each) => readerOn(each, false))]),
      )
    })
  }

  /** Asked once: a shop of many small tables is read by many transactions. */
  async #mayFreeze(session: Session): Promise<boolean> {
    this.#freezes ??= await allowsSnapshot(session)
    return this.#freezes
  }

  rowsByKey(table: Table, keys: readonly KeyCells[]): Promise<readonly Row[]> {
    return this.#connections.use((session) => rowsByKey(session, table, keys))
  }

  /** The server is asked once; a table whose columns it can fingerprint in its own way is told by its columns. */
  async fingerprintMethod(table: Table): Promise<string | undefined> {
    this.#hashing ??= this.#connections.use(probeHashing)
    try {
      return methodOf(table, await this.#hashing)
    } catch (error) {
      this.#hashing = undefined
      throw error
    }
  }

  printedByKey(table: Table, printing: Printing, keys: readonly KeyCells[]): Promise<readonly WholePrintedRow[]> {
    return this.#connections.use((session) => printedByKey(session, table, printing, keys))
  }

  printedByPrint(table: Table, printing: Printing, prints: readonly Fingerprint[]): Promise<readonly WholePrintedRow[]> {
    return this.#connections.use((session) => printedByPrint(session, table, printing, prints))
  }

  ddl(schema: Schema): readonly Statement[] {
    return ddl(schema)
  }

  /** Runs statements that may make triggers. */
  #changing<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#loading.untriggered.forgetting(() => this.#connections.use(work))
  }

  marks(run: string): Promise<ReadonlySet<string>> {
    return this.#connections.use((session) => readMarks(session, run))
  }

  execute(sql: string, mark: Mark): Promise<void> {
    return this.#changing((session) => execute(session, sql, mark))
  }

  executeTogether(statements: readonly MarkedStatement[]): Promise<void> {
    return this.#changing((session) => executeTogether(session, statements))
  }

  retract(sql: string | null, mark: Mark): Promise<void> {
    return this.#changing((session) => retract(session, sql, mark))
  }

  load(table: Table, rows: AsyncIterable<readonly Row[]>, mark: Mark): Promise<number> {
    return this.#connections.use((session) => load(session, table, rows, mark, this.#loading))
  }

  loadBlocks(table: Table, blocks: AsyncIterable<Buffer>, mark: Mark): Promise<number> {
    return this.#connections.use((session) => loadBlocks(session, table, blocks, mark, this.#loading))
  }

  loadTogether(loads: readonly BlockLoad[]): Promise<readonly number[]> {
    return this.#connections.use((session) => loadTogether(session, loads, this.#loading))
  }

  unpackBlock(_table: Table, bytes: Buffer): readonly Row[] {
    return rowsOfBlock(bytes)
  }

  deleteOrphans(rule: OrphanRule): Promise<number> {
    return this.#connections.use((session) => session.transaction(true, () => deleteOrphans(session, rule)))
  }

  removeOwnTables(): Promise<void> {
    return this.#connections.use(dropOwnTables)
  }

  identities(schema: Schema): Promise<readonly IdentityState[]> {
    return this.#connections.use((session) => identityStates(session, schema))
  }

  raiseIdentity(identity: Identity, value: bigint): Promise<void> {
    return this.#connections.use((session) => raise(session, identity, value))
  }

  raiseSql(identity: Identity, value: bigint): string {
    return raiseSql(identity, value)
  }

  resetIdentity(identity: Identity, state: IdentityState): Promise<void> {
    return this.#connections.use((session) => reset(session, identity, state))
  }

  transaction<T>(tables: readonly Table[], work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#connections.use(async (session) => {
      const ledger = await ensureOwnTable(session, LEDGER_TABLE)
      return applying(session, ledger, tables, work)
    })
  }

  async ledgerEntries(run: string, table: string, keys?: readonly string[]): Promise<readonly LedgerEntry[]> {
    if (keys === undefined) return await wholeLedger(this.ledgerPages(run, table))
    return (await this.#connections.use((session) => ledgerPageOf(session, run, table, LEDGER_START, keys))).entries
  }

  ledgerPages(run: string, table: string): AsyncIterable<readonly LedgerEntry[]> {
    return ledgerPages((after) => this.#connections.use((session) => ledgerPageOf(session, run, table, after)))
  }

  runStatements(statements: readonly string[]): Promise<readonly number[]> {
    return this.#changing((session) =>
      session.transaction(false, async () => {
        const counts: number[] = []
        for (const sql of statements) counts.push((await session.batch(sql)).count)
        return counts
      }),
    )
  }

  refusesRows(): Promise<string | undefined> {
    return this.#connections.use(refusesRows)
  }

  close(): Promise<void> {
    return this.#connections.close()
  }
}
