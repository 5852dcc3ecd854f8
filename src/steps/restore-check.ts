import type { Finding } from '../base/errors.ts'
import { statementMark } from '../databases/plan/restore.ts'
import type { Database, ServerInfo } from '../databases/port.ts'
import { byName, fullName, type Schema } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { copiedTables } from './rules.ts'
import { sameDatabase } from './same-database.ts'
import { infoForCheck, schemaForCheck, sizesForCheck, tablesForCheck } from './schema-seen.ts'
import type { World } from './world.ts'

/**
 * What stands against restoring the schema on the new host's database, all of it together: another engine, an older release, tables
 * that are there already and aren't this run's, children of tables that the playbook leaves empty. The schema is the snapshot's; where
 * none was `saved` yet, the old host's, and while that is on its way, the new one is asked. Read-only.
 */
export async function checkTarget(
  world: World,
  run: StepRun,
  target: Database,
  saved: Promise<Schema | undefined>,
  old: Database,
): Promise<readonly Finding[]> {
  const [schema, servers, [there, marks], sizes] = await Promise.all([
    saved.then((schema) => schema ?? schemaForCheck(run, old)),
    serverFindings(run, old, target),
    // The marks last: a process of this run that was killed may have asked for tables that the server only makes now.
    tablesForCheck(run, target).then(async (seen) => [seen, await target.marks(run.id)] as const),
    sizesForCheck(run, old),
  ])
  const ours = (name: string): boolean => marks.has(statementMark(`table ${name}`))
  // Compared without case: some engines take orders and Orders for one table.
  const wanted = byName(schema.tables, ({ name }) => fullName(name))
  const occupied = there
    .map((table) => fullName(table.name))
    .filter((name) => {
      const own = wanted(name)
      return own !== undefined && !ours(fullName(own.name))
    })
  return [
    ...servers,
    ...((await target.unmet?.(schema)) ?? []),
    ...occupied.map(
      (name): Finding => ({
        severity: 'error',
        code: 'target-not-empty',
        message: `${target.label} has a table ${name} already, and this run didn't make it. Nothing was touched.`,
        hint: 'Give an empty database as new.database, or drop the table if it holds nothing that you need.',
      }),
    ),
    ...emptyParents(world, schema, new Map(sizes.map((size) => [fullName(size.table), size.rows]))),
  ]
}

async function comparedInfo(run: StepRun, database: Database): Promise<ServerInfo> {
  const [info, further] = await Promise.all([infoForCheck(run, database), database.furtherFacts?.()])
  return { ...info, facts: { ...info.facts, ...further } }
}

/** What the two servers are; the new host's engine tells what a difference means. Read-only. */
export async function serverFindings(run: StepRun, old: Database, target: Database): Promise<readonly Finding[]> {
  const [from, to] = await Promise.all([comparedInfo(run, old), comparedInfo(run, target)])
  if (from.engine !== to.engine) {
    return [
      {
        severity: 'error',
        code: 'engines-differ',
        message: `The old database is ${from.product}, the new one ${to.product}: a shop moves between two databases of one kind.`,
        hint: 'Give a new.database of the same kind.',
      },
    ]
  }
  const isAlike = from.fingerprint === to.fingerprint
  return [...(isAlike ? [await sameDatabase(old, target, to.database)] : []), ...differences(from, to, target)]
}

function differences(from: ServerInfo, to: ServerInfo, target: Database): readonly Finding[] {
  const findings: Finding[] = []
  if (isOlder(to.version, from.version)) {
    findings.push({
      // An engine that can say what it means is believed; else it may mean anything.
      severity: target.consequences === undefined ? 'error' : 'warning',
      code: 'target-older',
      message: `The new database is ${to.product}, older than the old host's ${from.product}: it may not take everything that the old one holds.`,
      hint: `Ask the new host for ${from.product} or later.`,
    })
  }
  if (from.collation !== to.collation) {
    findings.push({
      severity: 'warning',
      code: 'collation-differs',
      message: `The old database sorts and compares text by ${from.collation}, the new one by ${to.collation}: searches and unique keys may behave otherwise.`,
      hint: `Create the new database with ${from.collation}.`,
    })
  }
  return [...findings, ...(target.consequences?.(from, to) ?? [])]
}

/** Compares release numbers by their first part alone: hosts mend minor releases on their own. */
const isOlder = (version: readonly number[], than: readonly number[]): boolean => (version[0] ?? 0) < (than[0] ?? 0)

/** Rows that are copied and refer to a table whose rows are not. */
function emptyParents(world: World, schema: Schema, rows: ReadonlyMap<string, number>): readonly Finding[] {
  const copied = new Set(copiedTables(world, schema).map((table) => fullName(table.name)))
  return schema.foreignKeys
    .filter((key) => key.enforced && copied.has(fullName(key.table)) && !copied.has(fullName(key.parent)))
    .filter((key) => (rows.get(fullName(key.parent)) ?? 0) > 0)
    .map((key) => ({
      severity: 'error',
      code: 'parent-skipped',
      message: `${fullName(key.table)} refers to ${fullName(key.parent)} (${key.name}), whose rows the playbook skips: its rows would be without a parent.`,
      hint: `Say copy-only for ${fullName(key.parent)}, or skip ${fullName(key.table)} too.`,
    }))
}
