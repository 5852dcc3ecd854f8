import { z } from 'zod'
import { identitySchema } from '../databases/schema.ts'

/** What is done with one row of the source. */
const carryActions = ['insert', 'update', 'delete', 'merge', 'remap', 'match', 'copies', 'skip'] as const

const copiesSchema = z.object({ base: z.number(), source: z.number(), target: z.number() }).readonly()

/** What a person decided about a row, seen from the direction in which rows are carried. */
const rulingSchema = z.union([z.enum(['source', 'target', 'skip']), z.object({ merge: z.string() }).readonly()])
export type Ruling = z.infer<typeof rulingSchema>

/** As the journal and the plan's own file give it back. */
export const itemSchema = z
  .object({
    table: z.string(),
    /** JSON array of the key's cells on the source; of the fingerprint for copies of a row of a table without a key. */
    key: z.string(),
    /** The same on the target; `null` where it isn't there yet and no number is known. */
    targetKey: z.string().nullable(),
    /**
     * `insert`, `update`, `delete` as they are called; `merge`: both hosts changed it and the playbook's rules make one row of both;
     * `remap`: the key is another row's on the target, so it gets a fresh number; `match`: the target has the same thing already, by its
     * natural key; `copies`: more or fewer of a row of a table without a key; `skip`: a person decided that both stay. A forecast: when it is carried, the rows as they then
     * stand decide.
     */
    action: z.enum(carryActions),
    /** Fingerprints that the source's and the target's row had when it was planned; `null` = no such row. */
    found: z.string().nullable(),
    expect: z.string().nullable(),
    /** How both stood when they last had it in common (`stateText`): on the source, on the target. */
    base: z.tuple([z.string(), z.string()]).readonly(),
    copies: copiesSchema.optional(),
    ruling: rulingSchema.optional(),
  })
  .readonly()
/** One row to carry to the target. */
export type CarryItem = z.infer<typeof itemSchema>

const parkSchema = z
  .object({
    table: z.string(),
    key: z.string(),
    targetKey: z.string().nullable(),
    reason: z.string(),
    /** True for a row that was born on the source: nothing on the target is the same thing, so nothing may refer to it there. */
    born: z.boolean(),
    source: z.string().nullable(),
    target: z.string().nullable(),
  })
  .readonly()
/** One row that a person decides about. */
export type ParkItem = z.infer<typeof parkSchema>

export const reconcileChangeSchema = z.discriminatedUnion('kind', [
  z
    .object({
      kind: z.literal('carry'),
      /** The rows may refer to each other. */
      cyclic: z.boolean(),
      /** Deletions tried before anything else, since they make room for new rows; what is still referred to waits for its turn. */
      early: z.boolean(),
      items: z.array(itemSchema).readonly(),
    })
    .readonly(),
  z
    .object({
      kind: z.literal('park'),
      items: z.array(parkSchema).readonly(),
      /** `parkedId` of rows that were refused earlier and of which nothing is left to do: they leave the list. */
      settled: z.array(z.string()).readonly(),
    })
    .readonly(),
  /** The target's numbering is moved beyond what the source has handed out, before fresh numbers are taken there. */
  z.object({ kind: z.literal('number'), identity: identitySchema, from: z.string(), to: z.string() }).readonly(),
])
export type ReconcileChange = z.infer<typeof reconcileChangeSchema>
