import { MigrateError } from '../base/errors.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Database } from '../databases/port.ts'
import {
  byName,
  type ForeignKey,
  fullName,
  type Identity,
  type Layout,
  readableColumns,
  type Table,
} from '../databases/schema.ts'
import type { CarriedTable } from './apply-context.ts'
import { baselineTables } from './baseline-file.ts'
import type { TablePolicy } from './policy.ts'
import { addedColumns, Printers, printingFor, printingOn, withoutColumns } from './printing.ts'
import { keyReferences } from './remap-references.ts'

export interface TablesOptions {
  /** The run's folder. */
  readonly directory: string
  readonly source: Database
  readonly target: Database
  /** A host's layout, read by whoever may know it already; asked of each host when absent. */
  readonly schemaOf?: (database: Database) => Promise<Layout>
  /** Which tables are reconciled, and how. */
  readonly tracked: (table: Table) => boolean
  readonly policyOf: (table: Table) => TablePolicy
  /** Foreign keys that the playbook names, in the tables that the target has. */
  readonly references: (tables: readonly Table[]) => readonly ForeignKey[]
}

export interface ReconciledTables {
  /** By the target's full name. */
  readonly tables: ReadonlyMap<string, CarriedTable>
  readonly foreignKeys: readonly ForeignKey[]
  readonly sourceSchema: Layout
  readonly targetSchema: Layout
}

/**
 * The tables of both hosts as they are now, matched by name, with all that is needed to carry their rows.
 * Throws MigrateError `table-missing` and `schema-drift` where the hosts' schemas have come apart since the snapshot.
 */
export async function reconciledTables(options: TablesOptions): Promise<ReconciledTables> {
  const { source, target, tracked, references, policyOf, schemaOf = layoutOf } = options
  const [sourceSchema, targetSchema] = await Promise.all([schemaOf(source), schemaOf(target)])
  const targetNamed = byName(targetSchema.tables, (table) => fullName(table.name))
  const sourceNames = new Set(sourceSchema.tables.map((table) => fullName(table.name)))
  const pairs = sourceSchema.tables.filter(tracked).map((table): { readonly source: Table; readonly target: Table } => {
    const name = fullName(table.name)
    const other = targetNamed(name)
    const isAnothers = other !== undefined && fullName(other.name) !== name && sourceNames.has(fullName(other.name))
    if (other === undefined || isAnothers) throw missingTable(table, target)
    const drift = columnDrift(table, other)
    if (drift !== undefined) throw drift
    return { source: table, target: withPartitionsOf(table, other) }
  })
  const all = new Map(pairs.map((pair) => [fullName(pair.target.name), pair.target]))
  const foreignKeys = [...targetSchema.foreignKeys.filter((key) => key.enforced), ...references([...all.values()])]
  const held = await baselineTables(options.directory)
  const printers = new Printers(options, held)
  const tables = new Map<string, CarriedTable>()
  for (const pair of pairs) {
    const name = fullName(pair.target.name)
    const rules = policyOf(pair.target)
    const added = addedColumns(pair.target, held.get(name) ?? held.get(fullName(pair.source.name)), rules.ignore)
    const policy = { ...rules, ignore: [...rules.ignore, ...added] }
    const targetPrinting = printingFor(pair.target, policy)
    tables.set(name, {
      name,
      ...pair,
      policy,
      added,
      printer: await printers.of(withoutColumns(pair.source, added), withoutColumns(pair.target, added)),
      sourcePrinting: printingOn(pair.source, pair.target, targetPrinting),
      targetPrinting,
      numbered: numberedBy(pair.target, targetSchema),
      references: keyReferences(pair.target, foreignKeys, all),
    })
  }
  return { tables, foreignKeys, sourceSchema, targetSchema }
}

/** What numbers the table's rows, where the number alone is their key. */
function numberedBy(table: Table, schema: Layout): Identity | undefined {
  const [only, ...more] = table.key
  if (only === undefined || more.length > 0) return undefined
  return schema.identities.find((identity) => identity.column === only && fullName(identity.table) === fullName(table.name))
}

/** The target with the partitions that the source alone has: made since the snapshot, they are wanted for the rows in them. */
function withPartitionsOf(source: Table, target: Table): Table {
  const { partitions } = target
  if (partitions === undefined) return target
  const there = new Set(partitions.map((part) => fullName(part.name)))
  const more = (source.partitions ?? []).filter((part) => !there.has(fullName(part.name)))
  return { ...target, partitions: [...partitions, ...more] }
}

const missingTable = (table: Table, target: Database): MigrateError =>
  new MigrateError('table-missing', `Table ${fullName(table.name)} isn't on the ${target.label}. Nothing was changed.`, {
    hint: 'It was born after the snapshot. Create it there by hand, or declare it in the playbook: skip or copy-only.',
  })

function columnDrift(source: Table, target: Table): MigrateError | undefined {
  const names = (table: Table): string =>
    readableColumns(table)
      .map((column) => column.name)
      .join(', ')
  if (names(source).toLowerCase() === names(target).toLowerCase()) return undefined
  return new MigrateError(
    'schema-drift',
    `Table ${fullName(source.name)} has different columns on the two hosts: ${names(source)} and ${names(target)}. Nothing was changed.`,
    { hint: 'The schema was changed after the snapshot. Make both alike, then run again.' },
  )
}
