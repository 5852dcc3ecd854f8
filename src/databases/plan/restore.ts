import { z } from 'zod'
import type { OrphanRule, Statement, TableSize } from '../port.ts'
import { fullName, type IdentityState, type Schema, type Table, tableNameSchema } from '../schema.ts'
import { isFuzzy, type Manifest, partsOf } from '../snapshot/manifest.ts'
import { inGroups, type PlannedStatement, plannedStatementSchema } from './statements.ts'

const orphanRuleSchema = z.object({
  child: tableNameSchema,
  columns: z.array(z.string()),
  parent: tableNameSchema,
  parentColumns: z.array(z.string()),
})

const loadSchema = z.object({
  kind: z.literal('load'),
  tables: z.array(z.object({ table: z.string(), rows: z.number(), bytes: z.number() })),
  /** True when no snapshot was there to count. */
  estimated: z.boolean(),
  connections: z.number(),
})

/** What `restore-database` does to the new host, one thing after the other. */
export const restoreChangeSchema = z.discriminatedUnion('kind', [
  plannedStatementSchema.extend({ kind: z.literal('statement') }),
  /** Several, one after the other; those that name tables, table beside table. */
  z.object({ kind: z.literal('statements'), statements: z.array(plannedStatementSchema) }),
  loadSchema,
  z.object({ kind: z.literal('orphans'), rules: z.array(orphanRuleSchema) }),
  z.object({ kind: z.literal('identities'), count: z.number() }),
  z.object({ kind: z.literal('baseline'), tables: z.array(z.string()) }),
])
export type RestoreChange = z.infer<typeof restoreChangeSchema>

/** Marks on the new host: what stands there by this run. */
export const statementMark = (name: string): string => `statement ${name}`
export const loadMark = (table: string, part: number): string => `${loadMarks(table)}${part}`
const loadMarks = (table: string): string => `rows ${table} part `
const tableStatement = (name: string): string => `table ${name}`

/** Load marks of the table that a statement creates; none for other statements. */
export function loadMarksOf(statementName: string, marks: ReadonlySet<string>): readonly string[] {
  if (!statementName.startsWith(tableStatement(''))) return []
  const prefix = loadMarks(statementName.slice(tableStatement('').length))
  return [...marks].filter((mark) => mark.startsWith(prefix) && /^\d+$/.test(mark.slice(prefix.length)))
}

/** The table that a statement creates, by its full name; `undefined` for other statements. */
export const tableCreatedBy = (statementName: string): string | undefined =>
  statementName.startsWith(tableStatement('')) ? statementName.slice(tableStatement('').length) : undefined

export interface RestoreInput {
  readonly schema: Schema
  readonly statements: readonly Statement[]
  /** Marks of this run on the new host. */
  readonly marks: ReadonlySet<string>
  /** Tables whose rows are copied. */
  readonly copied: readonly Table[]
  /** The snapshot; `undefined` when there is none yet and the plan is an estimate from `sizes`. */
  readonly manifest: Manifest | undefined
  /** The snapshot is still being taken: rows are loaded as they come, and may turn out to be of several moments. */
  readonly following: boolean
  readonly sizes: readonly TableSize[]
  readonly connections: number
}

/** What is left to do until all statements and rows stand on the new host, in order. Pure. */
export function planRestore(input: RestoreInput): readonly RestoreChange[] {
  const missing = input.statements.filter((statement) => !input.marks.has(statementMark(statement.name)))
  const planned = missing.map(
    (statement): PlannedStatement => ({ ...statement, stale: [...loadMarksOf(statement.name, input.marks)] }),
  )
  const after = planned.filter((statement) => statement.stage === 'after')
  // Parents' keys must exist before, so that looking for parents is quick; the foreign keys only after.
  const firstForeignKey = after.findIndex((statement) => statement.name.startsWith('foreign key '))
  const orphans = firstForeignKey === -1 ? [] : orphanChange(input)
  return [
    ...changesOf(planned.filter((statement) => statement.stage === 'before')),
    ...loadChange(input),
    ...changesOf(after.slice(0, Math.max(firstForeignKey, 0))),
    ...orphans,
    ...changesOf(after.slice(Math.max(firstForeignKey, 0))),
  ]
}

const changesOf = (statements: readonly PlannedStatement[]): readonly RestoreChange[] =>
  inGroups(statements).map((group): RestoreChange => {
    const [first] = group
    return group.length === 1 && first !== undefined
      ? { kind: 'statement', ...first }
      : { kind: 'statements', statements: [...group] }
  })

function loadChange({ manifest, marks, copied, sizes, statements, connections }: RestoreInput): readonly RestoreChange[] {
  const standing = new Set(statements.filter(({ name }) => marks.has(statementMark(name))).map(({ name }) => name))
  const tables = copied.flatMap((table) => {
    const name = fullName(table.name)
    if (manifest === undefined) {
      const size = sizes.find((each) => fullName(each.table) === name)
      return [{ table: name, rows: size?.rows ?? 0, bytes: size?.bytes ?? 0 }]
    }
    // Rows count as loaded only where their table still is the one they were loaded into.
    const loaded = (part: number): boolean => standing.has(tableStatement(name)) && marks.has(loadMark(name, part))
    const parts = partsOf(manifest, name).filter((part) => !loaded(part.part))
    if (parts.length === 0) return []
    return [{ table: name, rows: sum(parts.map((part) => part.rows)), bytes: sum(parts.map((part) => part.bytes)) }]
  })
  return tables.length === 0 ? [] : [{ kind: 'load', tables, estimated: manifest === undefined, connections }]
}

/** Foreign keys whose rows may lack a parent: none when all tables were read at one instant, as far as that is known already. */
function orphanChange({ schema, manifest, following, copied }: RestoreInput): readonly RestoreChange[] {
  if (manifest === undefined ? !following : !isFuzzy(manifest)) return []
  const names = new Set(copied.map((table) => fullName(table.name)))
  // A parent whose rows are not copied has none: its children are refused in `check`, never deleted.
  const rules = schema.foreignKeys
    .filter((key) => key.enforced && key.trusted !== false && names.has(fullName(key.table)) && names.has(fullName(key.parent)))
    .map((key): OrphanRule => ({ child: key.table, columns: key.columns, parent: key.parent, parentColumns: key.parentColumns }))
  return rules.length === 0
    ? []
    : [
        {
          kind: 'orphans',
          rules: rules.map((rule) => ({ ...rule, columns: [...rule.columns], parentColumns: [...rule.parentColumns] })),
        },
      ]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

/** True when `next` lies beyond `value` in the direction of the increment. */
export const isBeyond = (next: bigint, value: bigint, increment: string): boolean =>
  BigInt(increment) < 0n ? next < value : next > value

/**
 * Identities of the new host that would hand out a value that a row has already, and the value that each must get past: the
 * furthest that was loaded, or where the old host stood when the snapshot was taken (`old`). Pure.
 */
export function identitiesToRaise(
  states: readonly IdentityState[],
  old: (state: IdentityState) => bigint | null,
): readonly { readonly state: IdentityState; readonly value: bigint }[] {
  return states.flatMap((state) => {
    const values = [state.last, old(state)].filter((value) => value !== null)
    const furthest = values.reduce<bigint | null>(
      (far, value) => (far === null || isBeyond(value, far, state.identity.increment) ? value : far),
      null,
    )
    if (furthest === null || isBeyond(state.next, furthest, state.identity.increment)) return []
    return [{ state, value: furthest }]
  })
}

/** The same table with its key's columns alone (the first readable one where it has no key): for counting and looking up. */
export function keyOnly(table: Table): Table {
  const first = table.columns.find((column) => column.computed === null && !column.rowversion)
  const columns = table.key.length > 0 ? table.columns.filter((column) => table.key.includes(column.name)) : first ? [first] : []
  return { ...table, columns }
}
