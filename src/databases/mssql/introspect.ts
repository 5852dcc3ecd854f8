import type { Finding } from '../../base/errors.ts'
import { fullName, readableColumns, type Schema, type Table } from '../schema.ts'
import { captured } from './capture.ts'
import { readFindings } from './findings.ts'
import { fullTextFindings } from './full-text.ts'
import { readDescriptions } from './introspect-descriptions.ts'
import { readModules } from './introspect-modules.ts'
import { readSchemas, readSequences, readSynonyms } from './introspect-objects.ts'
import { identitiesOf, indexObjects, readChecks, readForeignKeys, readTableCatalog, tableOf } from './introspect-tables.ts'
import { readAliasTypes, readTableTypes, readXmlSchemas } from './introspect-types.ts'
import { hasIdentityCache } from './jumps.ts'
import { inOrder, moduleObjects } from './modules.ts'
import { isOwnTable } from './names.ts'
import { neededByTables } from './order.ts'
import { ownNameFindings } from './own-name.ts'
import { principalFindings, readPrincipals } from './principals.ts'
import { rowversionFindings } from './rowversions.ts'
import type { Session } from './session.ts'
import { isCarried } from './values.ts'

/** Without migrate's own tables and those of change data capture. */
async function lookAtTables(session: Session) {
  const isCaptured = await captured(session)
  const catalog = await readTableCatalog(session)
  const ours = catalog.tables.filter(({ name }) => !isCaptured(name.schema))
  return { isCaptured, catalog, ours, tables: ours.map((table) => tableOf(catalog, table)) }
}

/** The tables of the schema, for a fraction of its questions. */
export const introspectTables = async (session: Session): Promise<readonly Table[]> => (await lookAtTables(session)).tables

/** The whole schema from the catalog views. */
export async function introspect(session: Session): Promise<Schema> {
  const { isCaptured, catalog, ours, tables } = await lookAtTables(session)
  const isCached = await hasIdentityCache(session)
  const checks = await readChecks(session)
  const { modules, hidden } = await readModules(session, isCaptured)
  const sequences = await readSequences(session, tables)
  const early = neededByTables(tables, modules)
  const ordered = inOrder(modules)
  const views = modules.filter((module) => module.kind === 'view')
  const descriptions = await readDescriptions(session, new Set([...tables, ...modules].map((each) => fullName(each.name))))
  const principals = (await readPrincipals(session)).filter(({ name }) => !isCaptured(name))
  return {
    tables,
    foreignKeys: (await readForeignKeys(session)).filter((key) => !isOwnTable(key.table.name)),
    identities: [...ours.flatMap((table) => identitiesOf(catalog, table, isCached)), ...sequences.identities],
    objects: [
      ...(await readSchemas(session)).filter(({ name }) => !isCaptured(name)),
      ...(await readXmlSchemas(session)),
      ...(await readAliasTypes(session)),
      ...(await readTableTypes(session, catalog.columns, catalog.indexes)),
      ...sequences.objects,
      ...ordered.filter((module) => early.has(module)).flatMap((module) => moduleObjects(module, true)),
      ...ours.flatMap((table) => indexObjects(table.name, catalog.indexes.get(table.id) ?? [], false)),
      ...checks,
      ...(await readSynonyms(session)),
      ...ordered
        .filter((module) => !early.has(module) && module.kind !== 'trigger')
        .flatMap((module) => moduleObjects(module, false)),
      ...views.flatMap((view) => indexObjects(view.name, catalog.indexes.get(view.id) ?? [], true)),
      ...ordered.filter((module) => module.kind === 'trigger').flatMap((module) => moduleObjects(module, false)),
      ...descriptions.objects,
    ],
    principals,
    findings: [
      ...tables.flatMap(columnFindings),
      ...rowversionFindings(tables),
      ...hidden.map(hiddenFinding),
      ...fullTextFindings(modules),
      ...ownNameFindings(modules, tables, session.where.database),
      ...principalFindings(principals, session.where.user),
      ...descriptions.findings,
      ...(await readFindings(session, isCaptured)),
    ],
  }
}

const columnFindings = (table: Table): Schema['findings'] =>
  readableColumns(table)
    .filter((column) => !isCarried(column.codec))
    .map((column) => ({
      severity: 'error',
      code: 'column-type-unsupported',
      message: `${fullName(table.name)}.${column.name} has the type ${column.type}, whose values migrate can't copy faithfully.`,
      hint: 'Leave the table out (`tables: { NAME: skip }`) and carry it by hand, or change the column on the old host first.',
      table: fullName(table.name),
    }))

const hiddenFinding = ({ kind, name }: { readonly kind: string; readonly name: string }): Finding => ({
  severity: 'error',
  code: 'definition-hidden',
  message: `The text of ${kind} ${name} can't be read: it is encrypted, or this account lacks VIEW DEFINITION.`,
  hint: 'GRANT VIEW DEFINITION to the account; of an encrypted one, create it on the new host from your own source.',
})
