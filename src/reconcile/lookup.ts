import { MigrateError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Database, KeyCells, LedgerEntry, Row } from '../databases/port.ts'
import { findTable, fullName, type Layout, readableColumns, type Table } from '../databases/schema.ts'
import { keyCells, keyLabel } from './fingerprint.ts'
import { askHosts, type HostsAnswer, rowOf } from './lookup-hosts.ts'
import { readParked } from './parked.ts'
import { isNowhere } from './remap-index.ts'

/** What became of a row, as far as both hosts, the ledger and the list of parked rows can tell. */
export type Became =
  /** By the ledger. */
  | 'carried'
  | 'updated'
  | 'deleted'
  | 'merged'
  | 'remapped'
  | 'skipped'
  | 'parked'
  /** Without an entry: alike on both hosts, not alike, or on one alone. */
  | 'same'
  | 'differs'
  | 'not-carried'
  | 'born-on-new'
  /** It stands on the new host; the old one couldn't be asked. */
  | 'on-new'
  /** By the playbook: `copy-only`, `skip`. */
  | 'copied-only'
  | 'not-copied'

/** One row, the same thing on both hosts, with its key on each as people write it (`null` where it isn't and never was). */
export interface LookedUp {
  readonly oldKey: string | null
  readonly newKey: string | null
  readonly became: Became
  /** Why it is parked. */
  readonly reason?: string
  /** When it was carried, ISO 8601. */
  readonly at?: string
  /** The host that it was carried from, where that was the new one: on the way back. */
  readonly from?: 'new'
  /** True when it was carried to the new host and isn't there any more. */
  readonly goneSince?: true
}

export interface Lookup {
  /** Full name of the table. */
  readonly table: string
  readonly key: string
  /** Every row that has this key on either host; [] when none is known. */
  readonly rows: readonly LookedUp[]
  /** Why the old host couldn't be asked, where that was so. */
  readonly oldUnreachable?: string
}

export interface LookupOptions {
  readonly run: string
  /** The run's folder. */
  readonly directory: string
  readonly old: Database | undefined
  readonly new: Database
  /** As typed: a table's name, loosely, and its key, of several columns with commas between. */
  readonly table: string
  readonly key: string
  readonly modeOf: (table: Table, schema: Layout) => 'track' | 'copy-only' | 'skip'
}

/**
 * What became of a row. Read-only. The old host may be gone already: then the ledger and the new host answer alone.
 * Throws `table-unknown`, `key-unknown` (both `usage`), and what the new host's database throws.
 */
export async function lookUp(options: LookupOptions): Promise<Lookup> {
  const schema = await layoutOf(options.new)
  const table = tableNamed(schema, options.table)
  const asked = cellsOf(table, options.key)
  const answer = await askHosts(options, table, asked)
  const { key } = answer
  const entries = [...answer.fresh.entries.map(forward), ...answer.old.entries.map(backward)].sort(byTime)
  const explained = byLedger(entries, key)
  const parked = await parkedRows(options.directory, table, key)
  const known = [...explained.filter((each) => !parked.some((other) => other.oldKey === each.oldKey)), ...parked]
  const mode = options.modeOf(table, schema)
  const rows = [...known, ...byHosts({ table, known, answer, mode })]
  return {
    table: fullName(table.name),
    key: keyLabel(key),
    rows: await Promise.all(rows.map((each) => shown(each, options.new, table))),
    ...(answer.unreachable === undefined ? {} : { oldUnreachable: answer.unreachable }),
  }
}

/** A row before its keys are made readable. */
type Raw = Omit<LookedUp, 'goneSince'>

async function shown(raw: Raw, target: Database, table: Table): Promise<LookedUp> {
  const isToBeThere = raw.newKey !== null && ['carried', 'merged', 'remapped', 'updated'].includes(raw.became)
  const isGone = isToBeThere && (await rowOf(target, table, keyCells(raw.newKey ?? ''))) === undefined
  return {
    ...raw,
    oldKey: raw.oldKey === null ? null : keyLabel(raw.oldKey),
    newKey: raw.newKey === null ? null : keyLabel(raw.newKey),
    ...(isGone ? { goneSince: true as const } : {}),
  }
}

function tableNamed(schema: Layout, name: string): Table {
  const found = findTable(schema.tables, name)
  if (found !== undefined && found !== 'ambiguous') return found
  const names = schema.tables.map((each) => (name.includes('.') ? fullName(each.name) : each.name.name))
  const near = nearest(name, names)
  throw new MigrateError(
    'table-unknown',
    found === 'ambiguous' ? `Several tables are called ${name}.` : `The new database has no table ${name}.`,
    {
      ending: 'usage',
      hint:
        found === 'ambiguous'
          ? 'Write the name with its schema.'
          : near === undefined
            ? `It has: ${names.slice(0, 20).join(', ')}.`
            : `Did you mean ${near}?`,
    },
  )
}

function cellsOf(table: Table, text: string): KeyCells {
  const columns = table.key
  const cells = columns.length === 1 ? [text] : text.split(',').map((part) => part.trim())
  if (cells.length === columns.length) return cells
  const name = fullName(table.name)
  throw new MigrateError(
    'key-unknown',
    columns.length === 0 ? `${name} has no key, so a row of it can't be named.` : `${text} is no key of ${name}.`,
    {
      ending: 'usage',
      hint:
        columns.length === 0
          ? 'It is compared as a whole; the report has its counts.'
          : `Its key has ${columns.length} columns (${columns.join(', ')}): write them with commas between, as in 10,1.`,
    },
  )
}

/** A ledger's entry, whichever way it went. */
interface Entry {
  readonly oldKey: string
  readonly newKey: string
  readonly action: LedgerEntry['action']
  readonly at: string
  readonly isBack: boolean
}

const forward = ({ sourceKey, targetKey, action, at }: LedgerEntry): Entry => ({
  oldKey: sourceKey,
  newKey: targetKey,
  action,
  at,
  isBack: false,
})

/** The old host's ledger was written on the way back, with the roles swapped. */
const backward = ({ sourceKey, targetKey, action, at }: LedgerEntry): Entry => ({
  oldKey: targetKey,
  newKey: sourceKey,
  action,
  at,
  isBack: true,
})

const byTime = (a: Entry, b: Entry): number => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)

/** Rows of which the ledger says something and that have this key on either host. */
const byLedger = (entries: readonly Entry[], key: string): readonly Raw[] =>
  [...Map.groupBy(entries, rowOfEntry).values()].flatMap((all): readonly Raw[] => {
    const last = all.at(-1)
    if (last === undefined || (last.oldKey !== key && last.newKey !== key)) return []
    const isBack = last.isBack
    return [
      {
        oldKey: somewhere(last.oldKey),
        newKey: somewhere(last.newKey),
        became: becameOf(all, last),
        ...(last.at === '' ? {} : { at: last.at }),
        ...(isBack ? { from: 'new' as const } : {}),
      },
    ]
  })

/** Entries of one row; one that was left out has no key on the other host. */
const rowOfEntry = ({ oldKey, newKey }: Entry): string => (isNowhere(oldKey) ? `new ${newKey}` : `old ${oldKey}`)
const somewhere = (key: string): string | null => (isNowhere(key) ? null : key)

function becameOf(all: readonly Entry[], last: Entry): Became {
  const did = (action: Entry['action']): boolean => all.some((entry) => entry.action === action)
  if (last.action === 'deleted' || last.action === 'skipped') return last.action
  if (did('merged')) return 'merged'
  if (last.oldKey !== last.newKey) return 'remapped'
  return did('inserted') ? 'carried' : 'updated'
}

async function parkedRows(directory: string, table: Table, key: string): Promise<readonly Raw[]> {
  const all = await readParked(directory)
  return all
    .filter((row) => row.key === key && row.table.toLowerCase() === fullName(table.name).toLowerCase())
    .map((row) => ({ oldKey: key, newKey: row.targetRow === null ? null : row.targetKey, became: 'parked', reason: row.reason }))
}

interface HostsSay {
  readonly table: Table
  readonly known: readonly Raw[]
  readonly answer: HostsAnswer
  readonly mode: 'track' | 'copy-only' | 'skip'
}

/** What stands on the hosts under this key and nothing else accounts for. */
function byHosts({ table, known, answer, mode }: HostsSay): readonly Raw[] {
  const { key, old, fresh, unreachable } = answer
  const isKnown = { old: known.some((each) => each.oldKey === key), new: known.some((each) => each.newKey === key) }
  const onOld = isKnown.old ? undefined : old.row
  const onNew = isKnown.new ? undefined : fresh.row
  const keys = { oldKey: onOld === undefined ? null : key, newKey: onNew === undefined ? null : key }
  if (onOld === undefined && onNew === undefined) return []
  if (mode !== 'track') return [{ ...keys, became: mode === 'skip' ? 'not-copied' : 'copied-only' }]
  if (onOld !== undefined && onNew !== undefined)
    return [{ ...keys, became: sameCells(table, onOld, onNew) ? 'same' : 'differs' }]
  if (onNew === undefined) return [{ ...keys, became: 'not-carried' }]
  return [{ ...keys, became: unreachable === undefined ? 'born-on-new' : 'on-new' }]
}

const sameCells = (table: Table, a: Row, b: Row): boolean =>
  readableColumns(table).every((_, position) => a[position] === b[position])
