import type { Database, Printing } from '../../../src/databases/port.ts'
import { type ForeignKey, fullName, type Layout, type Table } from '../../../src/databases/schema.ts'
import { takeBaseline } from '../../../src/reconcile/baseline.ts'
import { printingFor } from '../../../src/reconcile/printing.ts'
import { Reconciler } from '../../../src/reconcile/reconciler.ts'
import { declaredReferences } from '../../../src/steps/rules.ts'
import type { TableRules } from '../../../src/steps/world.ts'
import type { Side } from './hosts.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

/** What of the product a history plays on: here alone the model meets its names. */

export const RUN = 'run-1'

const ours = (schema: ModelSchema, table: Table): ModelTable | undefined =>
  schema.tables.find((each) => each.name === table.name.name)

/** What the playbook says of the model's table. */
export function rulesOf(table: ModelTable): TableRules {
  const newest = { newest: 'stamp' }
  const { noteRule } = table
  return {
    mode: 'track',
    headroom: 'auto',
    conflict: table.conflict === 'newest' ? newest : table.conflict,
    add: table.add ? ['amount'] : [],
    match: table.match ? ['mail'] : [],
    ignore: table.ignore ? ['hits'] : [],
    columns: noteRule === 'none' ? {} : { note: noteRule === 'newest' ? newest : noteRule },
    sums: ['amount'],
  }
}

const rulesFor = (schema: ModelSchema, table: Table): TableRules => {
  const own = ours(schema, table)
  if (own === undefined) throw new Error(`${table.name.name} is none of the model's tables`)
  return rulesOf(own)
}

export const printings =
  (schema: ModelSchema) =>
  (table: Table): Printing =>
    printingFor(table, rulesFor(schema, table))

export async function baseline(
  schema: ModelSchema,
  directory: string,
  databases: Readonly<Record<Side, Database>>,
  { tables }: Layout,
): Promise<void> {
  await takeBaseline({ directory, database: databases.new, peer: databases.old, tables, printingOf: printings(schema) })
}

export function reconciler(
  schema: ModelSchema,
  directory: string,
  from: Side,
  databases: { readonly source: Database; readonly target: Database },
  schemas: { readonly source: Layout; readonly target: Layout },
): Reconciler {
  return new Reconciler({
    run: RUN,
    directory,
    ...databases,
    // Read once for a history: it takes an engine longer than the merge of a few rows.
    schemaOf: async (database) => (database === databases.source ? schemas.source : schemas.target),
    sourceSide: from,
    tracked: () => true,
    policyOf: (table) => rulesFor(schema, table),
    references: (tables) => references(schema, tables),
  })
}

/** The references that the playbook names. */
function references(schema: ModelSchema, tables: readonly Table[]): readonly ForeignKey[] {
  const given = schema.tables.flatMap((table) =>
    table.references
      .filter((reference) => !reference.declared)
      .map((reference) => ({
        table: table.name,
        column: reference.columns[0] ?? '',
        parent: reference.parent,
        parentColumn: schema.tables.find((each) => each.name === reference.parent)?.key[0] ?? '',
      })),
  )
  return declaredReferences({ references: given }, tables)
}

/** By how much the new host's numbers stand above the old one's. */
export async function raise(database: Database, schema: Layout, headroom: number): Promise<void> {
  for (const { identity, last } of await database.identities(schema)) {
    // Never less than what was restored: the numbers themselves begin anew on a copy.
    await database.raiseIdentity(identity, (last ?? BigInt(identity.seed) - 1n) + BigInt(headroom))
  }
}

/** Numbers that a host would give next though one of the hosts has a row with it, or beyond it. */
export async function lowIdentities(
  database: Database,
  schema: Layout,
  numbers: ReadonlyMap<string, readonly bigint[]>,
): Promise<readonly string[]> {
  const states = await database.identities(schema)
  return states.flatMap(({ identity, next }) => {
    const name = fullName(identity.table).split('.').at(-1) ?? ''
    const beyond = (numbers.get(name) ?? []).filter((number) => number >= next)
    return beyond.length === 0 ? [] : [`${name} would give ${next} next, and ${beyond} are there`]
  })
}
