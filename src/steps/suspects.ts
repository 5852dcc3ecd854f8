import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { keyOnly } from '../databases/plan/restore.ts'
import { canHold, isLikely, isNothing, type Profile, type Suspect, suspectColumns } from '../databases/plan/suspects.ts'
import type { Database, KeyCells, Reader } from '../databases/port.ts'
import {
  findTable,
  fullName,
  type IdentityState,
  keyPositions,
  readableColumns,
  type Schema,
  type Table,
} from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { declaredReferences, trackedTables } from './rules.ts'
import type { World } from './world.ts'

/** Rows read at either end of a table. */
const SAMPLE_ROWS = 1000
/** Different values looked up of each column. */
const MOST_VALUES = 1000
/** Columns looked at, the best names first: the old host is busy enough. */
const MOST_COLUMNS = 150
/** Up to here the server may be asked to count its way to the newest rows of a table whose numbers don't tell where they begin. */
const WALKED_ROWS = 200_000

/**
 * Columns of the old host that look like references which nothing declares (design.md, "Data"): a row that reconcile gives another
 * number would be left behind by them. Found by name and type, and offered only where a sample of their values is found among the
 * other table's keys. Read-only: at most four reads of a table, and three questions a column, one after the other.
 */
export async function suspectedReferences(world: World, schema: Schema, run: StepRun): Promise<readonly Finding[]> {
  const { database } = world.old
  const tables = trackedTables(world, schema)
  const suspects = suspectColumns({
    schema,
    tables,
    declared: declaredReferences(world, tables),
    dismissed: declaredReferences({ references: world.noReferences }, tables),
  })
  if (database === undefined || suspects.length === 0) return []
  const looked = [...suspects].sort((a, b) => bestFit(b) - bestFit(a)).slice(0, MOST_COLUMNS)
  try {
    const likely = await findLikely(database, schema, looked, run)
    return [...likely.map((each) => findingOf(each, tables)), ...notLookedAt(suspects.length - looked.length)]
  } catch (error) {
    run.signal.throwIfAborted()
    if (error instanceof MigrateError) return [notSampled(error)]
    throw error
  }
}

type Question = readonly Suspect[]
const bestFit = (suspects: Question): number => suspects[0]?.fit ?? 0

interface Likely {
  readonly suspect: Suspect
  readonly profile: Profile
  /** Another table that fits as well. */
  readonly other: Suspect | undefined
}

async function findLikely(
  database: Database,
  schema: Schema,
  questions: readonly Question[],
  run: StepRun,
): Promise<readonly Likely[]> {
  const samples = await sample(database, schema, questions, run)
  const likely: Likely[] = []
  for (const suspects of questions) {
    const values = [...(samples.get(suspects) ?? [])]
    const fitting: { readonly suspect: Suspect; readonly profile: Profile }[] = []
    for (const suspect of values.length === 0 ? [] : suspects) {
      run.signal.throwIfAborted()
      const best = fitting[0]
      if (best !== undefined && best.suspect.fit > suspect.fit) break
      const profile = { values, found: await countFound(database, suspect, values) }
      if (isLikely(suspect, profile)) fitting.push({ suspect, profile })
    }
    const [first, second] = fitting.toSorted((a, b) => b.profile.found - a.profile.found)
    if (first !== undefined) likely.push({ ...first, other: second?.suspect })
  }
  return likely
}

/** How many of these values are keys of the parent. */
async function countFound(database: Database, { parent }: Suspect, values: readonly string[]): Promise<number> {
  const table = keyOnly(parent)
  const possible = values.filter((value) => table.columns.every((column) => canHold(column, value)))
  if (possible.length === 0) return 0
  const rows = await database.rowsByKey(
    table,
    possible.map((value): KeyCells => [value]),
  )
  const keys = new Set(rows.map(([key]) => key))
  return values.filter((value) => keys.has(value)).length
}

/** Different values of every column in question, from the oldest rows and the newest. */
async function sample(
  database: Database,
  schema: Schema,
  questions: readonly Question[],
  run: StepRun,
): Promise<ReadonlyMap<Question, ReadonlySet<string>>> {
  const byTable = Map.groupBy(questions, ([first]) => first?.child)
  const names = new Set([...byTable.keys()].map((table) => (table === undefined ? '' : fullName(table.name))))
  const identities = schema.identities.filter((each) => names.has(fullName(each.table)))
  const states = await database.identities({ ...schema, identities })
  const sizes = new Map((await database.sizes()).map((size) => [fullName(size.table), size.rows]))
  const samples = new Map(questions.map((question) => [question, new Set<string>()]))
  await database.read(1, async ([reader]) => {
    for (const [table, group] of byTable) {
      if (table === undefined) continue
      const narrow = narrowed(table, group)
      const state = states.find(({ identity }) => isKeyOf(table, identity))
      await sampleTable(reader, narrow, { state, rows: sizes.get(fullName(table.name)) ?? 0 }, run, (column, value) => {
        for (const question of group) if (question[0]?.column === column) keep(samples.get(question), value)
      })
    }
  })
  return samples
}

const keep = (values: Set<string> | undefined, value: string): void => {
  if (values !== undefined && values.size < MOST_VALUES) values.add(value)
}

const isKeyOf = (table: Table, { table: owner, column }: IdentityState['identity']): boolean =>
  fullName(owner) === fullName(table.name) && table.key.length === 1 && table.key[0] === column

/** The table as if it had its key and the columns in question alone: nothing else is read. */
function narrowed(table: Table, questions: readonly Question[]): Table {
  const wanted = new Set([...table.key, ...questions.map(([first]) => first?.column ?? '')])
  return { ...table, columns: table.columns.filter((column) => wanted.has(column.name)) }
}

async function sampleTable(
  reader: Reader,
  table: Table,
  known: { readonly state: IdentityState | undefined; readonly rows: number },
  run: StepRun,
  tell: (column: string, value: string) => void,
): Promise<void> {
  const columns = readableColumns(table).map((column) => column.name)
  const [keyAt = 0] = keyPositions(table)
  let rows = 0
  let last: KeyCells = []
  const take = async (after: KeyCells | undefined): Promise<void> => {
    const options = { limit: SAMPLE_ROWS, signal: run.signal, ...(after === undefined ? {} : { after }) }
    for await (const batch of reader.rows(table, options)) {
      for (const row of batch) {
        for (const [at, cell] of row.entries()) if (!isNothing(cell)) tell(columns[at] ?? '', cell ?? '')
        rows += 1
        last = [row[keyAt] ?? null]
      }
    }
  }
  await take(undefined)
  if (rows < SAMPLE_ROWS || table.key.length === 0) return
  const before = rows
  for (const begin of await beginsOfNewest(reader, table, { ...known, last }, run)) {
    await take(begin)
    if (rows > before) return
  }
}

/** Keys after which the newest rows may come: by the numbers that the table gave, or by counting where it is small. */
async function beginsOfNewest(
  reader: Reader,
  table: Table,
  known: { readonly state: IdentityState | undefined; readonly rows: number; readonly last: KeyCells },
  run: StepRun,
): Promise<readonly KeyCells[]> {
  const { state, rows } = known
  if (state !== undefined && state.last !== null) {
    const [step, newest, read] = [BigInt(state.identity.increment), state.last, BigInt(known.last[0] ?? '0')]
    if (step < 0n) return []
    // Where the last numbers were never used, the newest rows lie further back.
    const begins = [newest - BigInt(SAMPLE_ROWS) * step, read + (newest - read) / 2n, read + (newest - read) / 4n]
    return begins.flatMap((begin) => (begin >= read ? [[String(begin)]] : []))
  }
  if (rows < 2 * SAMPLE_ROWS || rows > WALKED_ROWS) return []
  const boundary = await reader.boundary?.(table, rows - SAMPLE_ROWS, undefined, run.signal)
  return boundary === undefined ? [] : [boundary]
}

function findingOf({ suspect, profile, other }: Likely, tables: readonly Table[]): Finding {
  const [child, parent] = [nameOf(suspect.child, tables), nameOf(suspect.parent, tables)]
  const line = written(`${child}.${suspect.column} -> ${parent}.${suspect.parentColumn}`)
  const also = other === undefined ? '' : ` (or like ${nameOf(other.parent, tables)}.${other.parentColumn})`
  const count = `${formatCount(profile.found)} of ${formatCount(profile.values.length)} values are there`
  return {
    severity: 'warning',
    code: 'reference-suspected',
    message: `${child}.${suspect.column} looks like ${parent}.${suspect.parentColumn}${also} (${count}): declare it or dismiss it.`,
    hint: `In the playbook, under "references:" write  - ${line}  and a row of ${parent} that must get another number takes its ${child} along. If it is none, write the same line under "no-references:".`,
  }
}

/** Without its schema where that leaves no doubt. */
const nameOf = (table: Table, tables: readonly Table[]): string => {
  const found = findTable(tables, table.name.name)
  return found === 'ambiguous' ? fullName(table.name) : table.name.name
}

/** As YAML spells it: quoted where it holds what YAML would take for its own. */
const written = (reference: string): string =>
  /^[\p{L}_][\p{L}\p{N}_$.> -]*$/u.test(reference) ? reference : JSON.stringify(reference)

const notLookedAt = (count: number): readonly Finding[] =>
  count <= 0
    ? []
    : [
        {
          severity: 'info',
          code: 'references-not-all-sampled',
          message: `${formatCount(count)} more columns might be references by their names; to spare the old host, their values were not looked at.`,
          hint: 'Declare what you know under "references:"; what is declared makes room for others.',
        },
      ]

const notSampled = (error: MigrateError): Finding => ({
  severity: 'warning',
  code: 'references-not-sampled',
  message: `Whether columns refer to other tables without saying so couldn't be found out: ${messageOf(error)}`,
  hint: 'Run  migrate check PLAYBOOK  again later, or declare under "references:" what the schema does not.',
})
