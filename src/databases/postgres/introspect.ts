import type { ForeignKey, Identity, Layout, Schema, SchemaObject, Table } from '../schema.ts'
import type { CatalogObject } from './catalog.ts'
import type { Session } from './connection.ts'
import { readExtensionRows } from './extension-rows.ts'
import { readFindings } from './findings.ts'
import { readIdentities } from './identities.ts'
import { type CatalogObjects, readDependencies, readObjects } from './introspect-objects.ts'
import { type CatalogTable, readForeignKeys, readTables } from './introspect-tables.ts'
import { readLargeObjects } from './large-objects.ts'
import { inOrder, neededBy } from './order.ts'
import { readPrincipals } from './rights.ts'
import { inTransaction } from './transaction.ts'

type Finding = Schema['findings'][number]

/** The whole schema as it stands, read in one transaction: a table that appears meanwhile is seen whole or not at all. */
export const readSchema = (session: Session): Promise<Schema> =>
  asItStands(session, async ({ tables, large, foreignKeys, identities }) => {
    const objects = await readObjects(session)
    const extensions = await readExtensionRows(session)
    const last = [...extensions.objects, ...objects.last]
    const ordered = arrange(tables, { ...objects, last }, await readDependencies(session))
    return {
      tables: [...large, ...ordered.tables.map(({ table }) => table)],
      foreignKeys,
      identities,
      objects: ordered.objects,
      principals: await readPrincipals(session),
      findings: [...(await readFindings(session)), ...extensions.findings, ...ordered.findings],
    }
  })

/** Without what is created beside the tables: for a third of the questions. */
export const readLayout = (session: Session): Promise<Layout> =>
  asItStands(session, async ({ tables, large, foreignKeys, identities }) => ({
    tables: [...large, ...tables.map(({ table }) => table)],
    foreignKeys,
    identities,
  }))

interface Looked {
  readonly tables: readonly CatalogTable[]
  readonly large: readonly Table[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly identities: readonly Identity[]
}

const asItStands = <T>(session: Session, work: (looked: Looked) => Promise<T>): Promise<T> =>
  inTransaction(
    session,
    'read',
    async () => {
      const identities = await readIdentities(session)
      const tables = await readTables(session, identities)
      return await work({
        tables,
        large: await readLargeObjects(session),
        foreignKeys: await readForeignKeys(session),
        identities,
      })
    },
    true,
  )

interface Arranged {
  readonly tables: readonly CatalogTable[]
  readonly objects: readonly SchemaObject[]
  readonly findings: readonly Finding[]
}

const tableId = (table: CatalogTable): string => `pg_class ${table.oid}`
const idsOf = (objects: readonly CatalogObject[]): readonly string[] => objects.map((object) => object.id)

/**
 * Puts everything into an order of creation that works. Before the tables come schemas, extensions, types, sequences, and those
 * functions that a column or type uses or that need no table; right after the rows those that a check or an index uses or that need no
 * view; every other one with the views. So early, since a body in quotes doesn't tell which others it calls: one that a column, an index
 * or a check uses is run when the rows come, and those that it calls must be there.
 */
function arrange(
  tables: readonly CatalogTable[],
  objects: CatalogObjects,
  needs: ReadonlyMap<string, readonly string[]>,
): Arranged {
  const { foundations, routines, ofTables, views, last } = objects
  const tableIds = tables.map(tableId)
  const relationIds = [...tableIds, ...tables.flatMap((table) => table.partitionOids.map((oid) => `pg_class ${oid}`))]
  const needsAny = (object: CatalogObject, ids: readonly string[]): boolean => {
    const needed = neededBy([object.id], needs)
    return ids.some((id) => needed.has(id))
  }
  const needTables = (object: CatalogObject): boolean => needsAny(object, relationIds)
  const viewIds = idsOf(views)
  const forTables = neededBy([...relationIds, ...idsOf(foundations)], needs)
  const forParts = neededBy(idsOf(ofTables), needs)
  const isFirst = (each: CatalogObject): boolean => !(needTables(each) || needsAny(each, viewIds))
  const first = routines.filter((each) => forTables.has(each.id) || isFirst(each))
  const firstIds = new Set([...idsOf(first), ...neededBy(idsOf(first), needs)])
  const before = [...foundations, ...routines.filter((each) => firstIds.has(each.id))]
  const early = routines.filter((each) => !firstIds.has(each.id) && (forParts.has(each.id) || !needsAny(each, viewIds)))
  const earlyIds = new Set(idsOf(early))
  const rest = [...routines.filter((each) => !firstIds.has(each.id) && !earlyIds.has(each.id)), ...views]
  const tableById = new Map(tables.map((table) => [tableId(table), table]))
  return {
    tables: inOrder(tableIds, needs).flatMap((id) => tableById.get(id) ?? []),
    objects: [
      ...sorted(before, needs).map((each) => staged(each, 'before')),
      ...[...sorted(early, needs), ...ofTables, ...sorted(rest, needs), ...last].map((each) => staged(each, 'after')),
    ],
    findings: before.filter((each) => firstIds.has(each.id) && needTables(each)).map(circular),
  }
}

function sorted(objects: readonly CatalogObject[], needs: ReadonlyMap<string, readonly string[]>): readonly CatalogObject[] {
  const byId = new Map(objects.map((object) => [object.id, object]))
  return inOrder(idsOf(objects), needs).flatMap((id) => byId.get(id) ?? [])
}

const staged = ({ kind, name, sql, undo, table }: CatalogObject, stage: 'before' | 'after'): SchemaObject => ({
  kind,
  name,
  stage,
  sql,
  undo,
  ...(table ? { table } : {}),
})

/** What a table needs can't itself need a table, to be created before all tables. */
const circular = ({ kind, name }: CatalogObject): Finding => ({
  severity: 'error',
  code: 'object-order',
  message: `The ${kind} ${name} is used by a table's columns and itself uses a table's row type: it can't be created before the tables.`,
  hint: 'Change it to take single values instead of a row, or drop the default that uses it.',
})
