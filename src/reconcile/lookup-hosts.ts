import { MigrateError } from '../base/errors.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Database, KeyCells, LedgerEntry, Row } from '../databases/port.ts'
import { findTable, fullName, keyPositions, type Table } from '../databases/schema.ts'
import { keyLabel, keyText } from './fingerprint.ts'
import { isNowhere } from './remap-index.ts'
import { portions } from './rows-by-key.ts'

/** What one host has under a key, and what its ledger says of rows that have this key on either host. */
interface HostAnswer {
  readonly row: Row | undefined
  readonly entries: readonly LedgerEntry[]
}

export interface HostsAnswer {
  /** The key as a server spells it: in another case of letters, with another number of digits, it may be the same. */
  readonly key: string
  readonly old: HostAnswer
  readonly fresh: HostAnswer
  /** Why the old host couldn't be asked. */
  readonly unreachable?: string
}

interface Hosts {
  readonly run: string
  readonly old: Database | undefined
  readonly new: Database
}

/** Asks both hosts for a row of a table (the new host's); what the old one can't answer is told, and stops nothing. */
export async function askHosts({ run, old, new: fresh }: Hosts, table: Table, asked: KeyCells): Promise<HostsAnswer> {
  const row = await rowOf(fresh, table, asked)
  const answer = async (there: Pick<HostAnswer, 'row'>): Promise<Omit<HostsAnswer, 'old'>> => {
    const key = keyOf(table, row ?? there.row) ?? keyText(asked)
    return { key, fresh: { row, entries: await entriesAbout(fresh, run, table, [key]) } }
  }
  const alone = async (unreachable: string): Promise<HostsAnswer> => ({
    ...(await answer({ row: undefined })),
    old: { row: undefined, entries: [] },
    unreachable,
  })
  if (old === undefined) return await alone('the playbook names none')
  try {
    const found = findTable((await layoutOf(old)).tables, fullName(table.name))
    const there = found === 'ambiguous' ? undefined : found
    const onOld = there === undefined ? undefined : await rowOf(old, there, asked)
    const known = await answer({ row: onOld })
    const keys = [known.key, ...keysOf(known.fresh.entries)]
    return { ...known, old: { row: onOld, entries: there === undefined ? [] : await entriesAbout(old, run, there, keys) } }
  } catch (error) {
    if (!(error instanceof MigrateError) || error.ending !== 'failed') throw error
    return await alone(error.message)
  }
}

/** A key that the server doesn't take as one (text where numbers are) is the person's mistake. */
export async function rowOf(database: Database, table: Table, key: KeyCells): Promise<Row | undefined> {
  try {
    return (await database.rowsByKey(table, [key]))[0]
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'database-statement-failed') throw error
    throw new MigrateError('key-unknown', `${keyLabel(keyText(key))} is no key of ${fullName(table.name)}.`, {
      ending: 'usage',
      cause: error,
      hint: `The server said: ${error.message}`,
    })
  }
}

const keyOf = (table: Table, row: Row | undefined): string | undefined =>
  row === undefined ? undefined : keyText(keyPositions(table).map((position) => row[position] ?? null))

const keysOf = (entries: readonly LedgerEntry[]): readonly string[] =>
  entries.flatMap((entry) => [entry.sourceKey, entry.targetKey]).filter((key) => !isNowhere(key))

/** Entries of rows with one of these keys on either host, and of all that these were or became. */
async function entriesAbout(
  database: Database,
  run: string,
  { name }: Table,
  wanted: readonly string[],
): Promise<readonly LedgerEntry[]> {
  let keys = [...new Set(wanted)]
  for (;;) {
    const [some = []] = portions(keys)
    const entries = await database.ledgerEntries(run, fullName(name), some)
    const known = [...new Set([...keys, ...keysOf(entries)])]
    if (known.length === keys.length || some.length < keys.length) return entries
    keys = known
  }
}
