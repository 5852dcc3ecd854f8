import { createHash } from 'node:crypto'
import { z } from 'zod'
import { canonicalJson, type Json, jsonSchema } from '../base/json.ts'

const plannedStepSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    phase: z.enum(['prepare', 'cutover', 'settle']),
    undoable: z.boolean(),
  })
  .readonly()
/** A step as the journal remembers it, so that `status` needs no playbook. */
export type PlannedStep = z.infer<typeof plannedStepSchema>

export const bindingSchema = z.object({ playbook: jsonSchema, endpoints: z.record(z.string(), z.string()).readonly() }).readonly()
/** What a run is bound to (law 3): the playbook without its secrets, and what tells each endpoint apart from any other. */
export type Binding = z.infer<typeof bindingSchema>

const text = z.string()
const position = z.number().int()
const findingFields = {
  step: text.nullable(),
  severity: z.enum(['error', 'warning', 'info']),
  code: text,
  message: text,
  hint: text.optional(),
}

/** What a line of the journal says. */
export const recordSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('run-started'),
    run: text,
    playbook: text,
    hash: text,
    binding: bindingSchema,
    steps: z.array(plannedStepSchema).readonly(),
  }),
  /** Another process goes on with the run. */
  z.object({ type: z.literal('run-resumed'), run: text }),
  z.object({ type: z.literal('step-started'), step: text }),
  /** On disk before the effect (law 1), with the images of what stood there before. `redacted`: a secret was blanked in it. */
  z.object({
    type: z.literal('change-begun'),
    step: text,
    change: jsonSchema,
    summary: text,
    undoable: z.boolean(),
    redacted: z.boolean().optional(),
  }),
  /** `of` is the number of the line that began the change. */
  z.object({ type: z.literal('change-applied'), of: position }),
  /** On disk before a change is taken back: from here on it isn't known whether it stands. */
  z.object({ type: z.literal('change-undoing'), of: position }),
  z.object({ type: z.literal('change-undone'), of: position }),
  z.object({
    type: z.literal('step-finished'),
    step: text,
    skipped: z.boolean(),
    seconds: z.number(),
    /** The last progress that the step reported, by unit. */
    figures: z.record(text, z.number()),
  }),
  z.object({ type: z.literal('step-failed'), step: text, code: text, message: text, hint: text.optional(), ending: text }),
  z.object({ type: z.literal('fact'), key: text, value: jsonSchema }),
  z.object({ type: z.literal('finding'), ...findingFields }),
  /** An event that the report needs: the last `watch` of a step, every `reconciled`. */
  z.object({ type: z.literal('observed'), step: text, body: jsonSchema }),
  /** A hook's receiver has got a message about a condition. */
  z.object({ type: z.literal('notice-told'), hook: text, key: text }),
  /** The condition is gone: when it comes again, it is told again. */
  z.object({ type: z.literal('notice-over'), key: text }),
  z.object({ type: z.literal('rollback-started'), run: text }),
  /** Everything that can be taken back has been: the next run is a new one. */
  z.object({ type: z.literal('rolled-back'), run: text }),
  z.object({
    type: z.literal('run-finished'),
    outcome: z.enum(['ok', 'failed', 'parked', 'waiting', 'interrupted']),
    exit: z.number().int(),
    seconds: z.number(),
    /** What ended the run outside of any step. */
    code: text.optional(),
    message: text.optional(),
    hint: text.optional(),
  }),
])
export type JournalRecord = z.infer<typeof recordSchema>

/** One line of the journal, read and found whole. */
export interface JournalEntry {
  /** 1, 2, 3 … without gaps. */
  readonly n: number
  /** The fencing number of the lock that its writer held. */
  readonly fence: number
  /** ISO 8601, by the run's clock. */
  readonly time: string
  readonly record: JournalRecord
}

export const bindingHash = (binding: Binding): string =>
  createHash('sha256')
    .update(canonicalJson(binding as Json))
    .digest('hex')
