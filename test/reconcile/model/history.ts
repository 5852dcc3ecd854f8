import fc from 'fast-check'
import { type Deed, deed } from './deeds.ts'
import type { Fault } from './faults.ts'
import { type ModelSchema, schemas } from './schema.ts'

/** A pass of the merge, what goes wrong in it, and what customers do meanwhile. */
const pass = fc.record({
  what: fc.constant('pass' as const),
  fault: fc.option(
    fc.record({
      kind: fc.constantFrom<Fault['kind']>('killed', 'killed-after', 'answer-lost', 'cut'),
      at: fc.integer({ min: 1, max: 12 }),
    }),
    { freq: 3 },
  ),
  /** Before the pass's so manieth transaction. */
  meanwhile: fc.array(fc.record({ at: fc.nat({ max: 3 }), deed }), { maxLength: 2, size: 'max' }),
  /** The next process does again what this one did: it knows its plan from the journal. */
  again: fc.boolean(),
})
export type Pass = typeof pass extends fc.Arbitrary<infer P> ? P : never

export interface History {
  readonly schema: ModelSchema
  /** What the old host has when the new one is restored. */
  readonly beginning: readonly Deed[]
  readonly events: readonly (Deed | Pass)[]
  /** After the last pass customers go on, and then everything goes back to the old host. */
  readonly back: readonly (Deed | Pass)[] | null
}

const events = (maxLength: number) =>
  fc.array(fc.oneof({ weight: 8, arbitrary: deed }, { weight: 1, arbitrary: pass }), { maxLength, size: 'max' })

export const histories: fc.Arbitrary<History> = fc.record({
  schema: schemas,
  beginning: fc.array(deed, { maxLength: 8, size: 'max' }),
  events: events(14),
  // As much work again as everything before it: two histories in five.
  back: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: events(5) }),
})
