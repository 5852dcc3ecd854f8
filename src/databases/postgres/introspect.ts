import type { Schema, SchemaObject } from '../schema.ts'
import type { CatalogObject } from './catalog.ts'
import type { Session } from './connection.ts'
import { readFindings } from './findings.ts'
import { readIdentities } from './identities.ts'
import { readDependencies, readObjects } from './introspect-objects.ts'
import { type CatalogTable, readForeignKeys, readTables } from './introspect-tables.ts'
import { inOrder, neededBy } from './order.ts'
import { readPrincipals } from './rights.ts'
import { inTransaction } from './transaction.ts'

type Finding = Schema['findings'][number]

/** The whole schema as it stands, read in one transaction: a table that appears meanwhile is seen whole or not at all. */
export async function readSchema(session: Session): Promise<Schema> {
  return await inTransaction(
    session,
    'read',
    async () => {
      const tables = await readTables(session)
      const objects = await readObjects(session)
      const needs = await readDependencies(session)
      const ordered = arrange(tables, objects, needs)
      return {
        tables: ordered.tables.map(({ table }) => table),
        foreignKeys: await readForeignKeys(session),
        identities: await readIdentities(session),
        objects: ordered.objects,
        principals: await readPrincipals(session),
        findings: [...(await readFindings(session)), ...ordered.findings],
      }
    },
    true,
  )
}

interface Arranged {
  readonly tables: readonly CatalogTable[]
  readonly objects: readonly SchemaObject[]
  readonly findings: readonly Finding[]
}

/** Kinds that are always there before the first table. */
const FOUNDATIONS = new Set(['schema', 'extension', 'type', 'domain', 'sequence'])
/** Kinds that are created once everything that they could need is there, in the order of `readObjects`. */
const LAST = new Set(['table options', 'sequence options', 'sequence owner', 'rule', 'trigger', 'comment'])
/** Kinds that belong to one table and stand right after the rows. */
const OF_TABLES = new Set(['check', 'exclusion', 'index', 'statistics'])

const tableId = (table: CatalogTable): string => `pg_class ${table.oid}`

/**
 * Puts everything into an order of creation that works. Before the tables come schemas, extensions, types, sequences, and those
 * functions that a column, check, index or type uses; every other function and view comes after the rows.
 */
function arrange(
  tables: readonly CatalogTable[],
  objects: readonly CatalogObject[],
  needs: ReadonlyMap<string, readonly string[]>,
): Arranged {
  const byId = new Map(objects.map((object) => [object.id, object]))
  const tableIds = tables.map(tableId)
  const users = [
    ...tableIds,
    ...objects.filter((each) => FOUNDATIONS.has(each.kind) || OF_TABLES.has(each.kind)).map((each) => each.id),
  ]
  const early = neededBy(users, needs)
  const before = objects.filter((each) => FOUNDATIONS.has(each.kind) || (early.has(each.id) && isRoutine(each)))
  const beforeIds = new Set(before.map((each) => each.id))
  const middle = objects.filter((each) => !beforeIds.has(each.id) && !LAST.has(each.kind) && !OF_TABLES.has(each.kind))
  const fixed = (kinds: ReadonlySet<string>): readonly CatalogObject[] => objects.filter((each) => kinds.has(each.kind))
  const sorted = (some: readonly CatalogObject[]): readonly CatalogObject[] =>
    inOrder(
      some.map((each) => each.id),
      needs,
    ).flatMap((id) => byId.get(id) ?? [])
  const tableById = new Map(tables.map((table) => [tableId(table), table]))
  return {
    tables: inOrder(tableIds, needs).flatMap((id) => tableById.get(id) ?? []),
    objects: [
      ...sorted(before).map((each) => staged(each, 'before')),
      ...[...fixed(OF_TABLES), ...sorted(middle), ...fixed(LAST)].map((each) => staged(each, 'after')),
    ],
    findings: before.filter(isRoutine).flatMap((each) => circular(each, needs, new Set(tableIds))),
  }
}

const isRoutine = (object: CatalogObject): boolean => object.kind === 'function' || object.kind === 'procedure'

const staged = ({ kind, name, sql, undo }: CatalogObject, stage: 'before' | 'after'): SchemaObject => ({
  kind,
  name,
  stage,
  sql,
  undo,
})

/** A function that a table needs can't itself need a table, to be created before all tables. */
function circular(
  object: CatalogObject,
  needs: ReadonlyMap<string, readonly string[]>,
  tableIds: ReadonlySet<string>,
): readonly Finding[] {
  if (![...neededBy([object.id], needs)].some((id) => tableIds.has(id))) return []
  return [
    {
      severity: 'error',
      code: 'object-order',
      message: `The ${object.kind} ${object.name} is used by a table and itself uses a table's row type: it can't be created before the tables.`,
      hint: 'Change it to take single values instead of a row, or drop the default, check or index that uses it.',
    },
  ]
}
