import { type Finding, MigrateError } from '../../src/base/errors.ts'
import { LEDGER_PAGE } from '../../src/databases/ledger.ts'
import type {
  Database,
  KeyCells,
  LedgerEntry,
  MarkedStatement,
  OrphanRule,
  Reader,
  Row,
  ServerInfo,
  Statement,
  TableSize,
  Transaction,
} from '../../src/databases/port.ts'
import { fullName, type Identity, type IdentityState, type Schema, type Table } from '../../src/databases/schema.ts'
import { found, project, statementsFor, triggersOf } from './memory-language.ts'
import type { CallHook, MemoryDatabaseOptions } from './memory-options.ts'
import { MEMORY_PRINTS, printer } from './memory-prints.ts'
import { heldIn, hooked, readerOn } from './memory-reader.ts'
import { rowsOfBlock, rowsOfBlocks } from './memory-rows.ts'
import { counterName, type MemoryServer } from './memory-server.ts'
import { type Mark, type MemoryState, type MemoryWork, markText, setMark } from './memory-state.ts'
import { transactionOn } from './memory-transaction.ts'

/** A database kept in memory, behind the same port as the real ones and held to the same contract. */
export class MemoryDatabase implements Database {
  readonly label: string
  readonly blockFormat?: string
  /** Absent without the server's option `bulk`. */
  readonly loadBlocks?: NonNullable<Database['loadBlocks']>
  readonly loadTogether?: NonNullable<Database['loadTogether']>
  readonly unpackBlock?: NonNullable<Database['unpackBlock']>
  /** Absent with the option `fingerprints` off. */
  readonly fingerprintMethod?: NonNullable<Database['fingerprintMethod']>
  readonly printedByKey?: NonNullable<Database['printedByKey']>
  readonly printedByPrint?: NonNullable<Database['printedByPrint']>
  readonly #server: MemoryServer
  readonly #readOnly: boolean
  readonly #onCall: CallHook

  constructor(server: MemoryServer, options: MemoryDatabaseOptions = {}) {
    this.#server = server
    this.label = options.label ?? `database ${server.name}`
    this.#readOnly = options.readOnly ?? false
    const { fault } = options
    const fail = (): never => {
      throw new MigrateError(fault ?? 'fault', `${this.label}: ${fault}.`, { hint: 'Mend the playbook.' })
    }
    this.#onCall = fault === undefined ? (options.onCall ?? (() => undefined)) : fail
    const fingerprints = options.fingerprints ?? server.options.fingerprints
    if (fingerprints !== false) {
      this.fingerprintMethod = () => this.#call('fingerprintMethod', () => (fingerprints === true ? MEMORY_PRINTS : fingerprints))
      this.printedByKey = async (table, printing, keys) => (await this.rowsByKey(table, keys)).map(printer(table, printing))
      this.printedByPrint = (table, printing, prints) =>
        this.#call('printedByPrint', () => {
          const held = heldIn(this.#state, table)
          const all = project(held.table, table, [...held.rows.values()]).map(printer(table, printing))
          return all.filter(({ print }) => prints.includes(print))
        })
    }
    if (!server.options.bulk) return
    this.blockFormat = 'memory-rows-1'
    this.unpackBlock = (_table, bytes) => rowsOfBlock(bytes)
    this.loadBlocks = (table, blocks, mark) => this.load(table, rowsOfBlocks(blocks), mark)
    this.loadTogether = (loads) => {
      const tables = loads.map(({ table }) => table)
      return this.#write('load', tables, async (work) => {
        const counts: number[] = []
        for (const { table, blocks, mark } of loads) counts.push(await this.#insert(work, table, rowsOfBlocks(blocks), mark))
        return counts
      })
    }
  }

  info(): Promise<ServerInfo> {
    const { engine, version } = this.#server.options
    return this.#call('info', () => ({
      engine,
      product: `Memory ${version.join('.')}`,
      version,
      database: 'shop',
      user: this.#readOnly ? 'reader' : 'owner',
      collation: 'binary',
      fingerprint: this.#server.name,
      sizeBytes: null,
    }))
  }

  tables(): Promise<readonly Table[]> {
    return this.#call('tables', () => this.#tables())
  }

  #tables(): readonly Table[] {
    const { tables, objects } = this.#state
    return [...tables.values()].map(({ table }) => ({ ...table, triggers: triggersOf(table, objects) }))
  }

  schema(): Promise<Schema> {
    return this.#call('schema', () => {
      const { foreignKeys, objects } = this.#state
      return {
        tables: this.#tables(),
        foreignKeys,
        identities: this.#server.counters,
        objects,
        principals: [{ name: 'owner', grants: ['ALL'] }],
        findings: [],
      }
    })
  }

  sizes(): Promise<readonly TableSize[]> {
    return this.#call('sizes', () =>
      [...this.#state.tables.values()].map(({ table, rows }) => ({
        table: table.name,
        rows: rows.size,
        bytes: [...rows.values()].reduce((sum, row) => sum + row.reduce((length, cell) => length + (cell?.length ?? 0), 0), 0),
      })),
    )
  }

  async missingRights(purpose: 'read' | 'write'): Promise<readonly Finding[]> {
    if (purpose === 'read' || !this.#readOnly) return []
    return [
      {
        severity: 'error',
        code: 'database-rights-missing',
        message: `reader may not write in ${this.label}.`,
        hint: 'GRANT write TO reader',
      },
    ]
  }

  read<T>(connections: number, work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>): Promise<T> {
    return this.#call('read', async () => {
      const frozen = this.#server.options.consistent ? this.#state : undefined
      const reader = (): Reader =>
        readerOn({
          server: this.#server,
          frozen,
          fingerprints: this.fingerprintMethod !== undefined,
          onCall: this.#onCall,
        })
      return work([reader(), ...Array.from({ length: connections - 1 }, reader)])
    })
  }

  rowsByKey(table: Table, keys: readonly KeyCells[]): Promise<readonly Row[]> {
    return this.#call('rowsByKey', () => {
      const held = heldIn(this.#state, table)
      return project(held.table, table, found(held.rows, keys))
    })
  }

  ddl(schema: Schema): readonly Statement[] {
    return statementsFor(schema)
  }

  marks(run: string): Promise<ReadonlySet<string>> {
    return this.#call('marks', () => {
      const prefix = `${run} `
      const marks = [...(this.#state.marks ?? [])].filter((mark) => mark.startsWith(prefix))
      return new Set(marks.map((mark) => mark.slice(prefix.length)))
    })
  }

  execute(sql: string, mark: Mark): Promise<void> {
    return this.#write('execute', [], (work) => {
      if (!setMark(work, mark)) return
      this.#server.run(work, sql)
    })
  }

  executeTogether(statements: readonly MarkedStatement[]): Promise<void> {
    return this.#write('executeTogether', [], async (work) => {
      for (const { sql, mark } of statements) {
        await this.#onCall('execute one', 'before')
        if (setMark(work, mark)) this.#server.run(work, sql)
      }
    })
  }

  retract(sql: string | null, mark: Mark): Promise<void> {
    return this.#write('retract', [], (work) => {
      if (work.marks?.has(markText(mark)) !== true) return
      if (sql !== null) this.#server.run(work, sql)
      work.marks = new Set([...work.marks].filter((each) => each !== markText(mark)))
    })
  }

  load(table: Table, rows: AsyncIterable<readonly Row[]>, mark: Mark): Promise<number> {
    return this.#write('load', [table], (work) => this.#insert(work, table, rows, mark))
  }

  async #insert(work: MemoryWork, table: Table, rows: AsyncIterable<readonly Row[]>, mark: Mark): Promise<number> {
    if (!setMark(work, mark)) return 0
    let loaded = 0
    for await (const batch of rows) {
      await this.#onCall('load batch', 'before')
      work.insert(fullName(table.name), batch)
      loaded += batch.length
    }
    return loaded
  }

  deleteOrphans({ child, parent, columns, parentColumns }: OrphanRule): Promise<number> {
    return this.#write('deleteOrphans', [], (work) => {
      const orphans = () => work.orphans({ child: fullName(child), columns, parent: fullName(parent), parentColumns })
      let removed = 0
      // A row that goes may have been the parent of another row of the same table.
      for (let keys = orphans(); keys.length > 0; keys = orphans()) removed += work.delete(fullName(child), keys)
      return removed
    })
  }

  removeOwnTables(): Promise<void> {
    return this.#write('removeOwnTables', [], (work) => {
      work.marks = null
      work.ledger = null
    })
  }

  identities(schema: Schema): Promise<readonly IdentityState[]> {
    return this.#call('identities', () => schema.identities.map((identity) => this.#server.stateOf(counterName(identity))))
  }

  raiseIdentity(identity: Identity, value: bigint): Promise<void> {
    return this.#change('raiseIdentity', () => {
      const name = counterName(identity)
      const up = BigInt(identity.increment) > 0n
      const isBeyond = (next: bigint): boolean => (up ? next > value : next < value)
      if (isBeyond(this.#server.stateOf(name).next)) return
      if (!isBeyond(BigInt(up ? identity.maximum : identity.minimum))) throw pastItsEnd(name)
      this.#server.reseed(name, this.#server.wasUsed(name) ? value : value + BigInt(identity.increment))
    })
  }

  resetIdentity(identity: Identity, state: IdentityState): Promise<void> {
    return this.#change('resetIdentity', () => this.#server.restoreCounter(counterName(identity), state.last, state.next))
  }

  transaction<T>(tables: readonly Table[], work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#write('transaction', tables, async (own) =>
      work(
        transactionOn({
          work: own,
          server: this.#server,
          fingerprints: this.fingerprintMethod !== undefined,
          onCall: this.#onCall,
        }),
      ),
    )
  }

  ledgerEntries(run: string, table: string, keys?: readonly string[]): Promise<readonly LedgerEntry[]> {
    const isAsked = (entry: LedgerEntry): boolean =>
      keys === undefined || keys.includes(entry.sourceKey) || keys.includes(entry.targetKey)
    return this.#call('ledgerEntries', () =>
      (this.#state.ledger ?? []).filter((entry) => entry.run === run && entry.table === table && isAsked(entry)),
    )
  }

  async *ledgerPages(run: string, table: string): AsyncGenerator<readonly LedgerEntry[]> {
    const entries = await this.ledgerEntries(run, table)
    for (let at = 0; at < entries.length; at += LEDGER_PAGE) yield entries.slice(at, at + LEDGER_PAGE)
  }

  runStatements(statements: readonly string[]): Promise<readonly number[]> {
    return this.#write('runStatements', [], (work) => statements.map((sql) => this.#server.run(work, sql)))
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  get #state(): MemoryState {
    return this.#server.state
  }

  #write<T>(operation: string, quiet: readonly Table[], effect: (work: MemoryWork) => Promise<T> | T): Promise<T> {
    return this.#change(operation, () => this.#server.transaction(quiet, effect))
  }

  #change<T>(operation: string, effect: () => Promise<T> | T): Promise<T> {
    return this.#call(operation, () => {
      if (!this.#readOnly) return effect()
      throw new MigrateError('database-permission-denied', `reader may not write in ${this.label}: ${operation}.`)
    })
  }

  #call<T>(operation: string, effect: () => Promise<T> | T): Promise<T> {
    return hooked(this.#onCall, operation, effect)
  }
}

const pastItsEnd = (name: string): MigrateError =>
  new MigrateError('identity-overflow', `${name} ends before that.`, { hint: 'Take a smaller headroom.' })
